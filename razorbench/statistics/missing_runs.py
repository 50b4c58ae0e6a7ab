"""Which runs a verdict lacks, and the commands that add them."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from razorbench.statistics.finished_runs import SECOND, Run

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Wanted(NamedTuple):
    """A run that there is not yet. demos: the style of demonstrations, empty for the task's first or none."""

    base: str
    demos: str
    method: str
    task: str
    seed: int


@dataclass(frozen=True)
class Design:
    """The runs that there should be of an arm. second: the second style of the tasks that have one."""

    tasks: Sequence[str]
    seeds: Sequence[int]
    second: Mapping[str, str]

    def missing(self, runs: Sequence[Run], arms: Sequence[str], base: str) -> list[Wanted]:
        """Return what the arms lack of the design's tasks and seeds among a base's runs; if they lack nothing, as many seeds again."""
        there = {(run.arm, run.task, run.seed) for run in runs}
        last = max([*self.seeds, *(seed for *_, seed in there)])
        for seeds in (self.seeds, range(last + 1, last + 1 + len(self.seeds))):
            wanted = [
                Wanted(base, self.second.get(task, "") if arm.endswith(SECOND) else "", arm.removesuffix(SECOND), task, seed)
                for arm, task, seed in itertools.product(arms, self.tasks, seeds)
                if (arm, task, seed) not in there and (task in self.second or not arm.endswith(SECOND))
            ]
            if wanted:
                break
        return wanted


def sweeps(wanted: Iterable[Wanted], prefix: str) -> list[str]:
    """Return the commands that make runs, as few as ask for no others. prefix: how a sweep begins."""
    seeds = _gathered(((run.base, run.demos, run.method, run.task), run.seed) for run in dict.fromkeys(wanted))
    tasks = _gathered(((base, demos, method, found), task) for (base, demos, method, task), found in seeds.items())
    methods = _gathered(((base, demos, found, together), method) for (base, demos, method, found), together in tasks.items())
    return [
        f"{prefix} base={base} method={','.join(names)} task={','.join(together)} seed={','.join(map(str, found))}{f' demos={demos}' if demos else ''}"
        for (base, demos, found, together), names in methods.items()
    ]


def _gathered(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    """All values of each key, in order."""
    found: dict[K, tuple[V, ...]] = {}
    for key, value in pairs:
        found[key] = (*found.get(key, ()), value)
    return found
