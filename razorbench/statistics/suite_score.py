"""One number per arm over a suite of tasks: the mean over tasks of the mean over seeds, with what it hides beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from razorbench.statistics.comparison import Numbers, units
from razorbench.store.estimate import Estimate, Undefined


@dataclass(frozen=True)
class Alone:
    """A number without an interval, and why it has none."""

    value: float
    why: str


@dataclass(frozen=True)
class Suite:
    """An arm's number over tasks.

    value: the mean over tasks of the mean over seeds, with its 95% Student interval over tasks (over seeds where there is one task); worst: the task
    with the lowest mean, and that mean; iqm: interquartile mean of all runs, as rliable takes it; n: how many units;
    runs: how many runs have the number; lacking: tasks that other arms have and this one has no number for, so that it may not be set beside them.
    """

    value: Estimate | Alone | Undefined
    worst: tuple[str, float] | None
    iqm: float | None
    n: int
    unit: str
    runs: int
    lacking: tuple[str, ...]


def suite(numbers: Numbers, tasks: Sequence[str]) -> Suite:
    """Aggregate an arm's numbers by task and seed. tasks: those that any arm has."""
    by_task: dict[str, list[float]] = {}
    for (task, _), number in sorted(numbers.items()):
        by_task.setdefault(task, []).append(number.value)
    lacking = tuple(task for task in tasks if task not in by_task)
    means = {task: float(np.mean(values)) for task, values in by_task.items()}
    worst = min(means.items(), key=lambda item: item[1]) if means else None
    everything = [number for values in by_task.values() for number in values]
    iqm = float(stats.trim_mean(everything, 0.25)) if everything else None
    found = units(numbers)
    value = found.difference or (Alone(everything[0], "one run") if everything else Undefined("no run has it"))
    return Suite(value, worst, iqm, found.n, found.unit, len(everything), lacking)
