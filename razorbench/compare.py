"""Comparing methods: differences paired by task and seed, Student intervals over tasks, and what they allow to say.

A percentile bootstrap over three seeds would give false alarms in a third of all comparisons; Student's interval keeps its 95%.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from razorbench.errors import UsageError
from razorbench.matched import LEVELS, matched
from razorbench.metrics import Estimate
from razorbench.results import Run

MARGIN = 0.05
"""Differences in retention that are called none."""
POWER = 0.8

Measure = Callable[[Run], float | None]
"""A run's number, None where it is undefined."""


def at(level: float) -> Measure:
    """Return the measure of retention at a matched success."""
    return lambda run: matched(run.curve, level).retention


MEASURES: dict[str, Measure] = {
    **{f"retention@{level:g}": at(level) for level in LEVELS},
    "retention": lambda run: run.record["retention"]["value"],
    "success": lambda run: run.record["new_task"]["final"]["greedy"]["rate"],
    "score": lambda run: run.record["score"],
    "forward_kl": lambda run: run.record["divergence"]["kl_forward"]["new"],
}
"""What arms are compared by; `retention@0.7` is retention at a success of 0.7 on the new task, the others are those of the final policy."""


@dataclass(frozen=True)
class Comparison:
    """One arm less another. n: tasks, or seeds where there is one task (`unit`); pairs: runs of each that were paired.

    visible: the smallest difference that would be told from 0 with 80% power at this spread; None with fewer than two units.
    """

    difference: Estimate | None
    n: int
    unit: str
    pairs: int
    visible: float | None

    def verdict(self, margin: float = MARGIN) -> str:
        """Return `no difference` if the interval lies inside the margin, `better` or `worse` if it excludes 0, else `underpowered`."""
        found = self.difference
        if found is None:
            return "underpowered"
        if -margin <= found.low and found.high <= margin:
            return "no difference"
        return "better" if found.low > 0 else "worse" if found.high < 0 else "underpowered"


def student(values: Sequence[float]) -> tuple[Estimate, float] | None:
    """Return the mean of independent values (n,) with its two-sided 95% Student interval, and the smallest mean visible with 80% power; None if n < 2."""
    n = len(values)
    if n < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n))
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return Estimate(mean, mean - half, mean + half), half + float(stats.t.ppf(POWER, n - 1)) * error


def paired(first: Mapping[tuple[str, int], float], second: Mapping[tuple[str, int], float]) -> Comparison:
    """Compare numbers by (task, seed): the difference is averaged over seeds, then over tasks; with one task, seeds are the units."""
    common = sorted(set(first) & set(second))
    by_task: dict[str, list[float]] = {}
    for task, seed in common:
        by_task.setdefault(task, []).append(first[task, seed] - second[task, seed])
    alone = len(by_task) == 1
    values = next(iter(by_task.values())) if alone else [float(np.mean(differences)) for differences in by_task.values()]
    found = student(values)
    difference, visible = (None, None) if found is None else found
    return Comparison(difference, len(values), "seeds" if alone else "tasks", len(common), visible)


def numbers(runs: Sequence[Run], arm: str, measure: Measure) -> dict[tuple[str, int], float]:
    """Return an arm's numbers (see `Run.arm`) by task and seed, without the undefined ones.

    Raises UsageError if two runs are of the same task and seed, as with two settings of one method in one folder.
    """
    found: dict[tuple[str, int], float] = {}
    for run in (run for run in runs if run.arm == arm):
        key = run.task, int(run.record["seed"])
        if key in found:
            raise UsageError(f"{arm} has two runs of {key[0]}, seed {key[1]}: they differ in their settings; keep each setting in a folder of its own")
        number = measure(run)
        if number is not None:
            found[key] = number
    return found
