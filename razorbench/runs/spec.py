"""What a run is: all that decides its result, and so its name."""

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
from razorbench.task import SPLIT_SIZES, Split, Task
from razorbench.types import Identity

OnUpdate = Callable[[ActorCriticPolicy, int, int, dict[str, float]], None]


@dataclass(frozen=True)
class EvalSettings:
    """How much is measured. snapshots: along a run; episodes: per task for base, final and new task; skill_episodes: of each original skill at a snapshot.

    split: `test`, or `select` for tuning: such a run never plays a TEST start.
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
            raise UsageError(f"eval.skill_episodes is {self.skill_episodes}, eval.episodes {self.episodes}: it must be no more; set eval.skill_episodes too")


@dataclass(frozen=True)
class RunSpec:
    """All that decides a run's result, and its name."""

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
    """Demonstrations from a file, and its SHA-256, in the place of the style's expert."""
    upstream: RunSpec | None = None

    def __post_init__(self) -> None:
        if self.log_std not in ("trained", "frozen"):
            raise UsageError(f"log_std is {self.log_std!r}: it must be trained or frozen, for every method alike")
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
        """Whether task, world and base have something that a method may need."""
        task, skills = self.task, self.base.skills
        return {
            Need.DEMONSTRATIONS: bool(task.experts) or self.recorded is not None,
            Need.EXPERT: bool(task.experts),
            Need.OLD_DEMONSTRATIONS: all(skill.experts for skill in skills),
            Need.INSTRUCTIONS: task.world.instruction is not None and any(skill.slot != task.slot for skill in skills),
            Need.GOALS: self.base.goals is not None,
        }[need]

    @property
    def demos(self) -> str:
        """What stands in the record for where demonstrations come from: the style, or the file's content."""
        return self.style if self.recorded is None else f"sha256:{self.recorded[1]}"

    def identity(self) -> Identity:
        """What the run's hash is made of."""
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
        """The method's settings; of the method that it builds on, the run that it builds on has them."""
        return {each.name: made_of(getattr(self.method, each.name)) for each in fields(self.method) if each.name != "upstream"}  # type: ignore[arg-type]

    @property
    def code(self) -> str | None:
        """Digest of a user's own method; None for one that comes with the package under this name, whose version stands for its code."""
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
        """Return the handle that the method is given.

        upstream: the policy that the run it builds on ended with. checkpoints, rng: where a killed run goes on from, and the method's generator.
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
        """Return where the run lies in a results folder."""
        return RunFolder(results, self.task.name, self.method_name, self.seed, digest(self.identity()))
