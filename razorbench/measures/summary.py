"""What a run's episodes come to: rates, forgetting, retention and score, the same for the run that plays them and for whoever checks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from razorbench import seeding
from razorbench.measures.episodes import Episodes, rate
from razorbench.measures.success import forgetting_and_retention, score
from razorbench.store.estimate import Undefined
from razorbench.store.record import BeforeAfter, FinalSuccess, Modes, NewTask, Splits, Success
from razorbench.types import BoolArray
from razorbench.world.rollout import Mode

MODES: tuple[Mode, ...] = ("greedy", "sampled")
UNSOLVED = Undefined("the base solves no original skill")


@dataclass(frozen=True)
class Subject:
    """Whose episodes they are. task: the new task's id, `push_far-v1`; skills: names of original skills; split: `test`, or `select` when tuning."""

    task: str
    skills: Sequence[str]
    method: str
    seed: int
    split: str

    @property
    def name(self) -> str:
        """The new task's name."""
        return self.task.rpartition("-v")[0]

    def snapshot(self, episodes: Episodes, label: str, first: int) -> Success:
        """Return success at a snapshot. first: how many episodes of each original skill count."""
        after = self._skills(episodes, label, first)
        forgot, kept = forgetting_and_retention(self._skills(episodes, "base", first), after, seeding.generator(*self._bootstrap(label)))
        return Success(
            new_task=Splits(**{split: rate(episodes.success(label, self.name, split)) for split in (self.split, "select")}),
            original={skill: rate(solved) for skill, solved in after.items()},
            forgetting=forgot or UNSOLVED,
            retention=kept or UNSOLVED,
        )

    def final(self, episodes: Episodes) -> FinalSuccess:
        """Return success of base and final policy."""
        forgot, kept = forgetting_and_retention(self._skills(episodes, "base"), self._skills(episodes, "final"), seeding.generator(*self._bootstrap("final")))
        s, s0 = (float(episodes.success(who, self.name, self.split).mean()) for who in ("final", "base"))
        return FinalSuccess(
            new_task=NewTask(**self._rates(episodes, self.name), select=rate(episodes.success("final", self.name, "select"))),
            original={skill: BeforeAfter(**self._rates(episodes, skill)) for skill in self.skills},
            forgetting=forgot or UNSOLVED,
            retention=kept or UNSOLVED,
            score=score(s, s0, None if kept is None else kept.value),
        )

    def _rates(self, episodes: Episodes, task: str) -> dict[str, Modes]:
        return {who: Modes(**{mode: rate(episodes.success(who, task, self.split, mode)) for mode in MODES}) for who in ("base", "final")}

    def _skills(self, episodes: Episodes, label: str, first: int | None = None) -> dict[str, BoolArray]:
        return {skill: episodes.success(label, skill, self.split, first=first) for skill in self.skills}

    def _bootstrap(self, label: str) -> tuple[object, ...]:
        return "bootstrap", self.task, self.method, self.seed, label
