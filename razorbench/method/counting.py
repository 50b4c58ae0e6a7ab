"""Counts what an adaptation costs, whoever made the environment or the optimiser, and notices what it cannot count."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any
from unittest.mock import patch

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.weak import WeakTensorKeyDictionary

from razorbench import meter
from razorbench.errors import BudgetExceeded, NotFinite, UsageError
from razorbench.method.data import Budget, Used
from razorbench.policy.network import all_finite
from razorbench.task import Expert, Task
from razorbench.types import FloatArray, State

COSTS = tuple(cost.name for cost in fields(Used))
UNCOUNTED = {
    "weight_changes": "the weights had changed otherwise than by a counted gradient step, times seen: {}",
    "processes": "processes started, in which nothing is counted: {}",
    "data": "the weights changed and no data was counted: what it learned from is not known",
}
"""What may go uncounted, in words, by the name that a record has for how often it was seen."""
_PROCESSES = ("subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.forkpty")
"""Python's own names for the ways to start a process, other than by `multiprocessing`."""


class Counts:
    """What was spent of a budget, and upstream, which has no cap. uncounted: how often costs were seen that cannot be counted, by the names of `UNCOUNTED`.

    What it has refused once, it refuses from then on: a method that catches the error does not get on.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.used, self.upstream = Used(), Used()
        self.uncounted: dict[str, int] = {}
        self.refused: Exception | None = None
        self._lock = Lock()
        self._left: MutableMapping[torch.Tensor, float] = WeakTensorKeyDictionary()
        self._reported: set[float] = set()

    def charge(self, what: str, amount: int, *, upstream: bool = False) -> None:
        """Count a cost that is about to arise, from any thread; raises BudgetExceeded beyond the cap, and from then on."""
        with self._lock, self.final():
            if self.refused is not None:
                raise self.refused
            if upstream:
                self.upstream = replace(self.upstream, **{what: getattr(self.upstream, what) + amount})
                return
            spent, cap = getattr(self.used, what) + amount, getattr(self.budget, what)
            if spent > cap:
                raise BudgetExceeded(
                    f"{what} would reach {spent}, the budget `{self.budget.name}` allows {cap}: lower the method's use or set budget.{what}={spent} or more"
                )
            self.used = replace(self.used, **{what: spent})

    @contextmanager
    def final(self) -> Iterator[None]:
        """Remember an error that is raised in the block."""
        try:
            yield
        except Exception as error:
            self.refused = error
            raise

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count in the block every step of any environment or optimiser, and every question to an expert, whoever made them, and in any thread.

        Raises NotFinite before a step with a gradient that is not finite, and UsageError where starts are asked for that are not TRAIN starts.
        """
        hooks = [register_optimizer_step_pre_hook(self._before_step), register_optimizer_step_post_hook(self._after_step)]
        _hear_processes()
        try:
            with meter.listening(self._hear), patch.object(BaseProcess, "start", _told(BaseProcess.start)):
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def reported(self, parameters: Iterable[torch.Tensor]) -> None:
        """Take note of the weights that a method reports."""
        self._compare(known := list(parameters))
        self._reported.update(_norms(known))

    def finish(self, before: Sequence[torch.Tensor], after: Sequence[torch.Tensor], data: bool) -> None:
        """Hold the weights against the counts at the end. data: whether it was given data that cost nothing, such as another policy."""
        if self.refused is not None:
            raise self.refused
        self._compare(after)
        if len(before) == len(after) and all(map(torch.equal, before, after)):
            return
        if not self.used.gradient_steps and "weight_changes" not in self.uncounted:
            self._note("weight_changes", 1)
        if not data and not any(getattr(spent, cost) for spent in (self.used, self.upstream) for cost in COSTS if cost != "gradient_steps"):
            self._note("data", 1)

    def state_dict(self) -> State:
        """Return the counts, for a checkpoint."""
        return {"used": asdict(self.used), "upstream": asdict(self.upstream), "uncounted": dict(self.uncounted), "reported": sorted(self._reported)}

    def load_state_dict(self, state: Any) -> None:
        """Go on where `state` was taken."""
        self.used, self.upstream = Used(**state["used"]), Used(**state["upstream"])
        self.uncounted, self._reported = dict(state["uncounted"]), set(state["reported"])

    def _hear(self, what: str, amount: int) -> None:
        if what in COSTS:
            self.charge(what, amount)
        elif what in UNCOUNTED:
            self._note(what, amount)
        else:
            with self.final():
                raise UsageError(f"the method asked for {amount} {what}: it may learn from train starts alone")

    def _note(self, what: str, times: int) -> None:
        self.uncounted[what] = self.uncounted.get(what, 0) + times

    def _before_step(self, optimizer: torch.optim.Optimizer, arguments: tuple[Any, ...], settings: State) -> Any:
        gradients = [p.grad for p in _parameters(optimizer) if p.grad is not None]
        if not all_finite(gradients):
            raise NotFinite(f"gradient of the loss is not finite at gradient step {self.used.gradient_steps + 1}: training diverged; lower the learning rate")
        self._compare(_parameters(optimizer))
        self.charge("gradient_steps", 1)
        return tuple(map(self._beyond_the_first, arguments)), {name: self._beyond_the_first(value) for name, value in settings.items()}

    def _after_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for parameter, norm in zip(_parameters(optimizer), _norms(_parameters(optimizer)), strict=True):
            self._left[parameter] = norm

    def _beyond_the_first(self, argument: Any) -> Any:
        """A step's closure with every call after the first counted as a step of its own: so does L-BFGS move."""
        if not callable(argument) or isinstance(argument, torch.optim.Optimizer):
            return argument
        calls = iter([True])

        @functools.wraps(argument)
        def counted() -> Any:
            if not next(calls, False):
                self.charge("gradient_steps", 1)
            return argument()

        return counted

    def _compare(self, parameters: Sequence[torch.Tensor]) -> None:
        """Note if parameters are no more as their last counted step left them, nor as they were reported once."""
        stepped = [parameter for parameter in parameters if parameter in self._left]
        if any(now != self._left[each] and now not in self._reported for each, now in zip(stepped, _norms(stepped), strict=True)):
            self._note("weight_changes", 1)


def counted(task: Task) -> Task:
    """Return a task whose experts count as asked when they are called."""

    def telling(expert: Expert) -> Expert:
        @functools.wraps(expert)
        def asked(readings: Any) -> FloatArray:
            actions = expert(readings)
            meter.tell("expert_queries", len(actions))
            return actions

        return asked

    return replace(task, experts={style: telling(expert) for style, expert in task.experts.items()})


def uncounted(counts: Mapping[str, int]) -> list[str]:
    """Say which costs a record leaves out, a sentence each. counts: how often each was seen."""
    return [UNCOUNTED[name].format(times) for name, times in counts.items() if name in UNCOUNTED]


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _norms(parameters: Sequence[torch.Tensor]) -> list[float]:
    """A number for each, which no change but by a hair or by design leaves as it is; a comparison of all elements would take ten times as long."""
    norms: list[float] = torch.stack(torch._foreach_norm([parameter.detach() for parameter in parameters])).tolist() if parameters else []
    return norms


@functools.cache
def _hear_processes() -> None:
    """Announce starts of processes from now on: Python cannot take such a hook back."""

    def hook(event: str, _: Any) -> None:
        if event in _PROCESSES:
            meter.tell("processes", 1)

    sys.addaudithook(hook)


def _told(start: Callable[[BaseProcess], None]) -> Callable[[BaseProcess], None]:
    """Return a `BaseProcess.start` that announces itself: Python's audit events do not cover all of its ways."""

    @functools.wraps(start)
    def told(process: BaseProcess) -> None:
        meter.tell("processes", 1)
        with meter.silence():
            start(process)

    return told
