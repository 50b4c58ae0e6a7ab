"""One number per arm over a suite of tasks: the mean over tasks of the mean over seeds, with the worst task and the interquartile mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from razorbench.statistics.comparison import Numbers, units
from razorbench.store.estimate import Estimate, Undefined


@dataclass(frozen=True)
class Alone:
    """A number without an interval, and the reason."""

    value: float
    why: str


@dataclass(frozen=True)
class Suite:
    """An arm's number over tasks.

    value: the mean over tasks of the mean over seeds, with its 95% Student interval over tasks (over seeds if there is one task); worst: the task with
    the lowest mean, and that mean; iqm: interquartile mean of all runs, as in rliable; n: number of units; runs: number of runs with a number;
    lacking: tasks that other arms have and this arm lacks, so that the arms are not comparable.
    """

    value: Estimate | Alone | Undefined
    worst: tuple[str, float] | None
    iqm: float | None
    n: int
    unit: str
    runs: int
    lacking: tuple[str, ...]


def suite(numbers: Numbers, tasks: Sequence[str]) -> Suite:
    """Aggregate an arm's numbers by task and seed. tasks: all tasks that any arm has."""
    by_task: dict[str, list[float]] = {}
    for (task, _), number in sorted(numbers.items()):
        by_task.setdefault(task, []).append(number.value)
    lacking = tuple(task for task in tasks if task not in by_task)
    means = {task: float(np.mean(values)) for task, values in by_task.items()}
    worst = min(means.items(), key=lambda item: item[1]) if means else None
    values = [number for own in by_task.values() for number in own]
    iqm = float(stats.trim_mean(values, 0.25)) if values else None
    mean = units(numbers)
    value = mean.difference or (Alone(values[0], "one run") if values else Undefined("no run has it"))
    return Suite(value, worst, iqm, mean.n, mean.unit, len(values), lacking)
