"""Conformance of methods, for `razorbench check NAME`: `check_method` returns a sentence for each fault, none if the method conforms."""

from __future__ import annotations

import inspect
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.errors import RazorbenchError
from razorbench.measures import probe_states
from razorbench.method.data import Used
from razorbench.policy import network
from razorbench.runs.adapting import adapted
from razorbench.runs.spec import RunSpec
from razorbench.store import provenance
from razorbench.store.checkpoint import Checkpoints
from razorbench.store.folder import STATE
from razorbench.types import FloatArray, State

_KILLS = 3
"""Number of loops in which a run is killed, once each; a method has one to three."""


class _Killed(BaseException):
    """Ends a run like a power failure: nothing catches it."""


class _KilledHalfway(Checkpoints):
    """Saves the state of each loop halfway and at its end, and kills the run after the first save of each loop."""

    def __init__(self, spec: RunSpec, results: Path) -> None:
        folder = spec.folder(results)
        (folder.path / STATE).mkdir(parents=True)
        super().__init__(folder, STATE, provenance.code(spec.method), along=dict)
        self.places: dict[int, str] = {}

    def save(self, loop: int, update: int, total: int, state: Callable[[], State]) -> None:
        first = loop not in self.places
        if update < total and (2 * update < total or not first):
            return
        kills = first and len(self.places) < _KILLS
        if kills:
            self.places[loop] = f"update {update} of {total} of loop {loop + 1}"
        self._cost = 0.0  # makes the save due
        super().save(loop, update, total, state)
        if kills:
            raise _Killed


@dataclass(frozen=True)
class _Trial:
    """A run of a method without measurements. states: (N, O), for comparing policies with their files; upstream: the policy that the method builds on."""

    spec: RunSpec
    states: FloatArray
    upstream: ActorCriticPolicy | None = field(default=None, compare=False)

    def tuned(self, checkpoints: Checkpoints | None = None) -> tuple[ActorCriticPolicy, Used]:
        """Adapt a copy of the base and return the tuned policy and its costs. Raises the errors of a run."""
        spec = self.spec
        rng = seeding.generator("run", spec.task.id, spec.method_name, spec.seed)

        def on_update(policy: ActorCriticPolicy, update: int, total: int, metrics: dict[str, float]) -> None:
            if update in (1, total):
                self._filed(policy)

        handle = spec.handle(1, on_update, self.upstream, checkpoints, rng)
        with network.one_thread():
            return self._filed(adapted(spec, network.clone(spec.base.policy).eval(), handle, rng)), handle.used

    def resumed(self, policy: ActorCriticPolicy, used: Used) -> Iterator[str]:
        """Yield the differences between a run that is killed halfway through each loop and resumes, and a run that ended with this policy and these costs."""
        with tempfile.TemporaryDirectory() as results:
            checkpoints = _KilledHalfway(self.spec, Path(results))
            while True:
                try:
                    policy_, used_ = self.tuned(checkpoints)
                    break
                except _Killed:
                    continue
                except Exception as error:
                    yield f"a run that is killed after {_listed(checkpoints)} cannot resume: {_sentence(error, self.spec)}"
                    return
        if not (_same(policy, policy_) and used == used_):
            yield (
                f"a run that is killed after {_listed(checkpoints)} and resumes ends with another policy or other costs than a run that is not killed: "
                "give task.updates everything that its loop changes, as in task.updates(total, policy=policy, optimizer=optimizer, batches=batches)"
            )

    def _filed(self, policy: ActorCriticPolicy) -> ActorCriticPolicy:
        return network.as_filed(policy, self.spec.base.policy, self.states)


def check_method(spec: RunSpec) -> list[str]:
    """Return a sentence for each fault of a run's method. It does the run three times, so the budget should be tiny."""
    return list(_faults(spec))


def _faults(spec: RunSpec) -> Iterator[str]:
    cls: Any = type(spec.method)
    if not cls.__dataclass_params__.frozen:
        yield f"{cls.__name__} is a dataclass that is not frozen, so a run could change its settings: write @dataclass(frozen=True) above the class"
    states = probe_states.some(spec.base.probes_with(spec.task))
    try:
        upstream = None if spec.upstream is None else _Trial(spec.upstream, states).tuned()[0]
        trial = _Trial(spec, states, upstream)
        (policy, used), (policy_, used_) = trial.tuned(), trial.tuned()
    except Exception as error:
        yield _sentence(error, spec)
        return  # nothing to compare
    if _same(policy, policy_) and used == used_:
        yield from trial.resumed(policy, used)
    else:
        yield (
            "two runs with the same seed end with different policies or costs: draw random numbers from the `rng` that `adapt` gets, "
            "or from the global generators of Python, NumPy and torch, which the harness seeds"
        )


def _same(one: ActorCriticPolicy, other: ActorCriticPolicy) -> bool:
    return all(map(torch.equal, one.parameters(), other.parameters()))


def _listed(checkpoints: _KilledHalfway) -> str:
    return " and ".join(checkpoints.places.values())


def _sentence(error: Exception, spec: RunSpec) -> str:
    """Return a sentence about an error. For an unexpected error it quotes the last line of the method's file in the traceback."""
    if isinstance(error, RazorbenchError):
        return str(error)
    frames, file = traceback.extract_tb(error.__traceback__), inspect.getsourcefile(type(spec.method))
    line = next((frame.line for frame in reversed(frames) if frame.filename == file), frames[-1].line)
    return f"adapt raised {type(error).__name__} ({error}) in `{line}`"
