"""Does a fit carry over? R2 of the curve in-sample and on runs, tasks and families that were left out, with intervals."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from razorbench.statistics.law.curves import Curve, Saturating
from razorbench.statistics.law.points import Points
from razorbench.statistics.law.resampling import OVER, RESAMPLES, Over, estimate, resamples
from razorbench.store.estimate import Estimate
from razorbench.types import FloatArray, IntArray
from razorbench.world.cores import threads

K = TypeVar("K", bound=Hashable)
SCORES = ("r2", "family_left_out", "task_left_out")
"""Fields of `Law` that have intervals."""


@dataclass(frozen=True)
class Law:
    """What one predictor says of forgetting. None: undefined, for want of groups or of variation.

    r2: in-sample; family_left_out, task_left_out, run_left_out: every family (task, run) predicted by the fit to the others, about the pooled mean; they
    may be negative. Intervals resample tasks and arms, but run_left_out has none. noise_ceiling: the R2 of a perfect predictor, as forgetting is
    measured on finitely many episodes. residuals: mean of observed minus predicted, per arm. leads: for each of `SCORES`, the headline predictor's minus
    this one's, on the same resamples.
    """

    runs: int
    snapshots: int
    curve: Curve
    r2: Estimate | None
    family_left_out: Estimate | None
    task_left_out: Estimate | None
    run_left_out: float | None
    noise_ceiling: float | None
    spearman: float | None
    residuals: dict[str, float]
    leads: dict[str, Estimate | None]


def law(points: Points) -> Law:
    """Fit the law to one predictor, as `laws` does."""
    return laws({"": points}, "")[""]


def laws(points: Mapping[K, Points], headline: K, over: Over = "tasks and arms", number: int = RESAMPLES) -> dict[K, Law]:
    """Fit the law to several predictors of the same runs, all on the same resamples.

    headline: the predictor that `Law.leads` compares the others with; over: what is resampled; number: of resamples.

    Raises ValueError if the predictors are not of the same runs.
    """
    first = points[headline]
    for name, each in points.items():
        if not each.same_runs(first):
            raise ValueError(f"{name} and {headline} are not of the same runs")
    counts = resamples(first, over, number)
    # One thread per predictor: on such small matrices a second one costs more than it gives.
    with threadpool_limits(1), ThreadPoolExecutor(threads()) as workers:
        values = dict(zip(points, workers.map(_values, points.values()), strict=True))
        drawn = dict(zip(points, workers.map(partial(_resampled, counts=counts, over=over), points.values()), strict=True))
    found = {}
    for name, each in points.items():
        scores = {score: estimate(values[name][0][score], drawn[name][score]) for score in SCORES}
        leads = {score: estimate(values[headline][0][score] - values[name][0][score], drawn[headline][score] - drawn[name][score]) for score in SCORES}
        found[name] = _law(each, *values[name], scores, leads)
    return found


def intervals(points: Points) -> dict[Over, dict[str, Estimate | None]]:
    """Return each of `SCORES` with its interval, by what is resampled."""
    values, _ = _values(points)
    found: dict[Over, dict[str, Estimate | None]] = {}
    for over in OVER:
        drawn = _resampled(points, resamples(points, over), over)
        found[over] = {score: estimate(values[score], drawn[score]) for score in SCORES}
    return found


def carried(known: Points, fresh: Points) -> float | None:
    """Return the R2 on fresh points of the curve that was fitted to known ones, about the fresh mean; None if fresh forgetting does not vary."""
    fit = Saturating(known, np.zeros(len(known.arm), dtype=np.int64), fine=True)
    curve = fit.curve(fit.best(np.ones(1)))
    error = float((fresh.weight * (fresh.y - curve(fresh.x)) ** 2).sum())
    value = 1.0 - error / float(fresh.spread(np.ones(len(fresh.arm))))
    return value if np.isfinite(value) else None


def _values(points: Points) -> tuple[dict[str, float], Curve]:
    """Every R2 of the data themselves, and the curve."""
    unit, groups = _units(points.family, points.task)
    fit, one = Saturating(points, unit, fine=True), np.ones((1, len(groups)))
    (inside, family), (_, task) = (fit.left_out(one, names) for names in zip(*groups, strict=True))
    errors = {"r2": inside[0], "family_left_out": family[0], "task_left_out": task[0], "run_left_out": Saturating(points).each_left_out()}
    spread = float(points.spread(np.ones(len(points.arm))))
    return {name: 1.0 - float(error) / spread for name, error in errors.items()}, fit.curve(fit.best(one[0]))


def _resampled(points: Points, counts: FloatArray, over: Over) -> dict[str, FloatArray]:
    """`SCORES` of every resample, (B,) each, NaN where undefined. counts (B, R): of runs."""
    # Unless runs are drawn one by one, those of a task and an arm always weigh the same, and their sums can be taken once.
    unit, _ = _units(range(len(points.arm))) if over == "runs" else _units(points.task, points.arm)
    _, first = np.unique(unit, return_index=True)
    fit, spread, drawn = Saturating(points, unit), points.spread(counts), counts[:, first]
    inside, family = fit.left_out(drawn, [points.family[k] for k in first])
    _, task = fit.left_out(drawn, [points.task[k] for k in first])
    return {name: 1.0 - error / spread for name, error in zip(SCORES, (inside, family, task), strict=True)}


def _units(*labels: Sequence[Any]) -> tuple[IntArray, list[tuple[Any, ...]]]:
    """The index (R,) of every run's labels among those that there are, and these in order."""
    per_run = list(zip(*labels, strict=True))
    place = {each: k for k, each in enumerate(sorted(set(per_run)))}
    return np.array([place[each] for each in per_run]), list(place)


def _law(points: Points, values: Mapping[str, float], curve: Curve, scores: Mapping[str, Estimate | None], leads: dict[str, Estimate | None]) -> Law:
    residual, arms, weight = points.y - curve(points.x), np.array(points.arm)[points.run], points.weight
    spread = float(points.spread(np.ones(len(points.arm))))
    varies = np.isfinite(spread)
    return Law(
        runs=len(points.arm),
        snapshots=len(points.x),
        curve=curve,
        **scores,
        run_left_out=values["run_left_out"] if np.isfinite(values["run_left_out"]) else None,
        noise_ceiling=max(0.0, 1.0 - float((weight * points.noise).sum()) / spread) if varies else None,
        spearman=float(stats.spearmanr(points.x, points.y).statistic) if varies and np.ptp(points.x) > 0 else None,
        residuals={name: float(np.average(residual[arms == name], weights=weight[arms == name])) for name in sorted(set(points.arm))},
        leads=leads,
    )
