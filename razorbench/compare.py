"""Comparing methods: differences paired by task and seed, Student intervals over tasks, and what they allow to say.

A percentile bootstrap over three seeds would give false alarms in a third of all comparisons; Student's interval keeps its 95%.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from razorbench.matched import LEVELS, NATS, at_forward_kl, matched
from razorbench.metrics import Estimate
from razorbench.results import Run, lookup, value

MARGIN = 0.05
"""Differences in retention that are called none."""
POWER = 0.8


@dataclass(frozen=True)
class Measure:
    """A number of a run, at a dotted path of its record or, with a level, of the snapshot at a matched success; or, with nats, at a matched forward KL.

    rates: path of the success rates that the number is a mean of; from them comes its sampling variance, 0 for what is measured exactly.
    more_is_better: whether one arm can be called better by it.
    """

    path: str
    level: float | None = None
    rates: str | None = None
    nats: float | None = None
    more_is_better: bool = True

    def value(self, run: Run) -> float | None:
        """Return the number, None where it is undefined."""
        found = value(self._source(run), self.path) if self.nats is None else at_forward_kl(run.curve, self.nats, self.path)
        return found if found is not None and math.isfinite(found) else None

    def variance(self, run: Run) -> float:
        """Return p (1 - p) / n over all episodes, two successes and two failures added so that a rate of 0 or 1 has one too (Agresti and Coull 1998)."""
        if self.rates is None:
            return 0.0
        found = lookup(self._source(run), self.rates)
        rates = [found] if "rate" in found else [each.get("final", {}).get("greedy", each) for each in found.values()]
        episodes = sum(rate["episodes"] for rate in rates) + 4
        p = (sum(rate["successes"] for rate in rates) + 2) / episodes
        return float(p * (1 - p) / episodes)

    def _source(self, run: Run) -> Mapping[str, Any]:
        return run.record if self.level is None else matched(run.curve, self.level).snapshot or {}


MEASURES = {
    **{f"retention@{level:g}": Measure("retention.value", level, "original") for level in LEVELS},
    **{f"{name}_kl{nats}": Measure(path, nats=nats) for name, path in (("retention", "retention.value"), ("success", "new_task.test.rate")) for nats in NATS},
    **{f"cka@{level:g}": Measure("drift.activations.original.cka", level) for level in LEVELS},
    "retention": Measure("retention.value", rates="original"),
    "success": Measure("new_task.final.greedy.rate", rates="new_task.final.greedy"),
    "score": Measure("score"),
    "forward_kl": Measure("divergence.kl_forward.new", more_is_better=False),
}
"""What arms are compared by. `retention@0.7`: at a success of 0.7 on the new task, and so CKA on old tasks; `retention_kl1`: where forward KL on the new
task first reaches 1 nat per decision; the others are the final policy's."""

Numbers = Mapping[tuple[str, int], tuple[float, float]]
"""By (task, seed): a number and its sampling variance."""


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


def student(values: Sequence[float], floor: float = 0.0) -> tuple[Estimate, float] | None:
    """Return the mean of independent values (n,) with its two-sided 95% Student interval, and the smallest mean visible with 80% power; None if n < 2.

    floor: the standard error that the mean has by sampling episodes alone, below which a few values that happen to be alike must not bring it.
    """
    n = len(values)
    if n < 2:
        return None
    mean, error = float(np.mean(values)), max(float(np.std(values, ddof=1) / np.sqrt(n)), floor)
    half, more = (_quantile(p, n - 1) * error for p in (0.975, POWER))
    return Estimate(mean, mean - half, mean + half), half + more


@cache
def _quantile(p: float, freedom: int) -> float:
    """Of Student's distribution; found anew each time, it would take most of a report's sums."""
    return float(stats.t.ppf(p, freedom))


def paired(first: Numbers, second: Numbers) -> Comparison:
    """Compare numbers of the same tasks and seeds: the difference is averaged over seeds, then over tasks; with one task, seeds are the units."""
    common = {key: (first[key][0] - second[key][0], first[key][1] + second[key][1]) for key in sorted(set(first) & set(second))}
    return units(common)


def units(numbers: Numbers) -> Comparison:
    """Average numbers over seeds, then over tasks, with a Student interval over tasks; with one task, over its seeds."""
    by_task: dict[str, list[tuple[float, float]]] = {}
    for (task, _), number in numbers.items():
        by_task.setdefault(task, []).append(number)
    alone = len(by_task) == 1
    groups = [[number] for number in next(iter(by_task.values()))] if alone else list(by_task.values())
    values = [float(np.mean([number for number, _ in group])) for group in groups]
    floor = math.sqrt(sum(sum(variance for _, variance in group) / len(group) ** 2 for group in groups)) / max(1, len(groups))
    found = student(values, floor)
    difference, visible = (None, None) if found is None else found
    return Comparison(difference, len(values), "seeds" if alone else "tasks", len(numbers), visible)


def numbers(runs: Sequence[Run], arm: str, measure: Measure) -> dict[tuple[str, int], tuple[float, float]]:
    """Return an arm's numbers (see `Run.arm`) with their variances by task and seed, without the undefined ones. runs: of which none was done twice."""
    found = {}
    for run in (run for run in runs if run.arm == arm):
        number = measure.value(run)
        if number is not None:
            found[run.task, int(run.record["seed"])] = number, measure.variance(run)
    return found
