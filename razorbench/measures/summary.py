"""Summary of a run's episodes: rates, forgetting, retention and score. The run and the validation of a submission share this code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from razorbench import seeding
from razorbench.measures.episodes import Episodes, rate
from razorbench.measures.success import forgetting_and_retention, score
from razorbench.store.estimate import Estimate, Undefined
from razorbench.store.record import BeforeAfter, FinalSuccess, Modes, NewTask, Splits, Success
from razorbench.task import Task, pairs_episodes
from razorbench.types import BoolArray
from razorbench.world.rollout import Mode

MODES: tuple[Mode, ...] = ("greedy", "sampled")
UNSOLVED = Undefined("the base solves no original skill")


@dataclass(frozen=True)
class Subject:
    """The run that the episodes belong to. task: id of the new task, `push_far-v1`; skills: original skills by name; split: `test`, `select` in a search.

    paired: whether base and final policy meet the same episodes, see `forgetting_and_retention`.
    """

    task: str
    skills: Sequence[str]
    method: str
    seed: int
    split: str
    paired: bool = True

    @classmethod
    def of(cls, task: Task, skills: Sequence[Task], method: str, seed: int, split: str) -> Subject:
        """Return the subject of a run on a task."""
        return cls(task.id, [skill.name for skill in skills], method, seed, split, pairs_episodes(task.world))

    @property
    def name(self) -> str:
        """The new task's name."""
        return self.task.rpartition("-v")[0]

    def snapshot(self, episodes: Episodes, label: str, first: int) -> Success:
        """Return success at a snapshot. first: number of episodes per original skill."""
        after = self._skills(episodes, label, first)
        forgot, retained = self._kept(self._skills(episodes, "base", first), after, label)
        return Success(
            new_task=Splits(**{split: rate(episodes.success(label, self.name, split)) for split in (self.split, "select")}),
            original={skill: rate(solved) for skill, solved in after.items()},
            forgetting=forgot or UNSOLVED,
            retention=retained or UNSOLVED,
        )

    def final(self, episodes: Episodes) -> FinalSuccess:
        """Return success of base and final policy."""
        forgot, retained = self._kept(self._skills(episodes, "base"), self._skills(episodes, "final"), "final")
        s, s0 = (float(episodes.success(who, self.name, self.split).mean()) for who in ("final", "base"))
        return FinalSuccess(
            new_task=NewTask(**self._rates(episodes, self.name), select=rate(episodes.success("final", self.name, "select"))),
            original={skill: BeforeAfter(**self._rates(episodes, skill)) for skill in self.skills},
            forgetting=forgot or UNSOLVED,
            retention=retained or UNSOLVED,
            score=score(s, s0, None if retained is None else retained.value),
        )

    def _rates(self, episodes: Episodes, task: str) -> dict[str, Modes]:
        return {who: Modes(**{mode: rate(episodes.success(who, task, self.split, mode)) for mode in MODES}) for who in ("base", "final")}

    def _skills(self, episodes: Episodes, label: str, first: int | None = None) -> dict[str, BoolArray]:
        return {skill: episodes.success(label, skill, self.split, first=first) for skill in self.skills}

    def _kept(self, base: Mapping[str, BoolArray], after: Mapping[str, BoolArray], label: str) -> tuple[Estimate, Estimate | None]:
        rng = seeding.generator("bootstrap", self.task, self.method, self.seed, label)
        return forgetting_and_retention(base, after, rng, paired=self.paired)
