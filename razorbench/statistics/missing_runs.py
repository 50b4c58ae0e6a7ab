"""Runs that a verdict needs and the commands that add them."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from razorbench.statistics.finished_runs import SECOND, Run

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Wanted(NamedTuple):
    """A missing run. demos: demonstration style, empty for the task's first style or none."""

    base: str
    demos: str
    method: str
    task: str
    seed: int


@dataclass(frozen=True)
class Design:
    """The runs that each arm should cover. second: the second demonstration style of each task that has one."""

    tasks: Sequence[str]
    seeds: Sequence[int]
    second: Mapping[str, str]

    def missing(self, runs: Sequence[Run], arms: Sequence[str], base: str) -> list[Wanted]:
        """Return the arms' missing tasks and seeds among a base's runs; if none is missing, as many new seeds again."""
        done = {(run.arm, run.task, run.seed) for run in runs}
        last = max([*self.seeds, *(seed for *_, seed in done)])
        for seeds in (self.seeds, range(last + 1, last + 1 + len(self.seeds))):
            wanted = [
                Wanted(base, self.second.get(task, "") if arm.endswith(SECOND) else "", arm.removesuffix(SECOND), task, seed)
                for arm, task, seed in itertools.product(arms, self.tasks, seeds)
                if (arm, task, seed) not in done and (task in self.second or not arm.endswith(SECOND))
            ]
            if wanted:
                break
        return wanted


def sweeps(wanted: Iterable[Wanted], prefix: str) -> list[str]:
    """Return the fewest commands that make these runs and no others. prefix: start of a sweep's command."""
    by_task = _gathered(((run.base, run.demos, run.method, run.task), run.seed) for run in dict.fromkeys(wanted))
    by_method = _gathered(((base, demos, method, seeds), task) for (base, demos, method, task), seeds in by_task.items())
    groups = _gathered(((base, demos, seeds, tasks), method) for (base, demos, method, seeds), tasks in by_method.items())
    return [
        f"{prefix} base={base} method={','.join(methods)} task={','.join(tasks)} seed={','.join(map(str, seeds))}{f' demos={demos}' if demos else ''}"
        for (base, demos, seeds, tasks), methods in groups.items()
    ]


def _gathered(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    """Return all values of each key, in order."""
    values: dict[K, tuple[V, ...]] = {}
    for key, value in pairs:
        values[key] = (*values.get(key, ()), value)
    return values
