"""Specification of a run: everything that determines its result, and so its hash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.bases.base import Base
from razorbench.errors import UsageError, among
from razorbench.identity.parts import code, made_of, own, shipped
from razorbench.method.counting import counted
from razorbench.method.data import Budget, Demonstrations, Need
from razorbench.method.handle import TaskHandle
from razorbench.method.protocol import Method
from razorbench.store.checkpoint import Checkpoints
from razorbench.store.folder import PROTOCOL, SCHEMA, RunFolder, digest
from razorbench.task import SPLIT_SIZES, Split, Task, has_other_slots
from razorbench.types import Identity

OnUpdate = Callable[[ActorCriticPolicy, int, int, dict[str, float]], None]


@dataclass(frozen=True)
class EvalSettings:
    """Amount of evaluation. snapshots: number along a run; episodes: per task for base and final policy, and on the new task at each snapshot.

    skill_episodes: per original skill at each snapshot. split: `test`, or `select` for tuning: such a run never plays a TEST start.
    """

    snapshots: int = 24
    episodes: int = 100
    skill_episodes: int = 25
    split: str = "test"

    def __post_init__(self) -> None:
        most = SPLIT_SIZES[Split.TEST]
        if self.split not in (Split.TEST.value, Split.SELECT.value):
            raise UsageError(f"eval.split is {self.split!r}: it must be test, or select for tuning")
        for name, low in (("snapshots", 1), ("episodes", 1), ("skill_episodes", 1)):
            value = getattr(self, name)
            if not low <= value <= (10_000 if name == "snapshots" else most):
                raise UsageError(f"eval.{name} is {value}: it must lie between {low} and {most if name != 'snapshots' else 10_000}")
        if self.skill_episodes > self.episodes:
            raise UsageError(f"eval.skill_episodes is {self.skill_episodes}, above eval.episodes={self.episodes}: lower eval.skill_episodes")


@dataclass(frozen=True)
class RunSpec:
    """Everything that determines a run's result. Raises UsageError for an impossible combination."""

    task: Task
    method_name: str
    method: Method
    base: Base
    seed: int
    budget: Budget
    style: str
    eval: EvalSettings
    log_std: str = "trained"
    recorded: tuple[Demonstrations, str] | None = None
    """Demonstrations from a file, with its SHA-256, instead of the style's expert."""
    upstream: RunSpec | None = None

    def __post_init__(self) -> None:
        if self.log_std not in ("trained", "frozen"):
            raise UsageError(f"log_std is {self.log_std!r}: it must be trained or frozen")
        if self.style not in (self.task.style, *self.task.experts):
            raise UsageError(f"demos={self.style}: {self.task.id} has no such demonstration style{among(self.style, self.task.experts)}")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}: it must be 0 or more")
        if (world := self.base.skills[0].world.version) != self.task.world.version:
            here = self.task.world.version
            raise UsageError(f"{self.task.id} lives in {here}, base {self.base.id} was made for {world}: choose a task and a base of one world")
        if lacking := [need.value for need in getattr(self.method, "needs", ()) if not self._has(need)]:
            raise UsageError(f"method={self.method_name} is undefined on {self.task.id} from {self.base.id}: it needs {' and '.join(sorted(lacking))}")

    def _has(self, need: Need) -> bool:
        """Whether the run's task, world and base fulfill a need of a method."""
        task, skills = self.task, self.base.skills
        return {
            Need.DEMONSTRATIONS: bool(task.experts) or self.recorded is not None,
            Need.EXPERT: bool(task.experts),
            Need.OLD_DEMONSTRATIONS: all(skill.experts for skill in skills),
            Need.INSTRUCTIONS: task.world.instruction is not None and has_other_slots(task, skills),
            Need.GOALS: self.base.goals is not None,
        }[need]

    @property
    def demos(self) -> str:
        """Origin of the demonstrations for the record: the style, or the digest of their file."""
        return self.style if self.recorded is None else f"sha256:{self.recorded[1]}"

    def identity(self) -> Identity:
        """Return the content of the run's hash."""
        return {
            "schema": SCHEMA,
            "protocol": PROTOCOL,
            "task": self.task.fingerprint(),
            "method": {"name": self.method_name, "version": self.method.version, "settings": self._settings(), "code": self.code},
            "base": self.base.identity(),
            "seed": self.seed,
            "budget": asdict(self.budget),
            "demos": self.demos,
            "eval": asdict(self.eval),
            "log_std": self.log_std,
            "upstream": None if self.upstream is None else digest(self.upstream.identity()),
        }

    def _settings(self) -> Identity:
        """Return the method's settings, without those of its upstream method: these are in the upstream run's identity."""
        return {field.name: made_of(getattr(self.method, field.name)) for field in fields(self.method) if field.name != "upstream"}  # type: ignore[arg-type]

    @property
    def code(self) -> str | None:
        """Digest of the code of a user's own method; None for a shipped method, whose version stands for its code."""
        cls = type(self.method)
        return None if self.method_name in shipped("method") and not own(cls) else digest(code(cls))

    def handle(
        self,
        threads: int | None = None,
        on_update: OnUpdate | None = None,
        upstream: ActorCriticPolicy | None = None,
        checkpoints: Checkpoints | None = None,
        rng: np.random.Generator | None = None,
    ) -> TaskHandle:
        """Return the method's task handle.

        upstream: final policy of the upstream run. checkpoints: where a killed run resumes. rng: the method's generator.
        """
        return TaskHandle(
            task=counted(self.task),
            budget=self.budget,
            style=self.style,
            skills=tuple(map(counted, self.base.skills)),
            goals=self.base.goals,
            threads=threads,
            old_task_data=self.method.old_task_data,
            recorded=None if self.recorded is None else self.recorded[0],
            log_std_trains=self.log_std == "trained",
            other_policy=self.base.other_policy,
            upstream=upstream,
            on_update=on_update,
            checkpoints=checkpoints,
            rng=np.random.default_rng() if rng is None else rng,
        )

    def folder(self, results: Path) -> RunFolder:
        """Return the run's folder in a results folder."""
        return RunFolder(results, self.task.name, self.method_name, self.seed, digest(self.identity()))
