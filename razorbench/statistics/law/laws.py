"""Generalization of the law: R2 of the curve in-sample and on held-out runs, tasks and families, with intervals."""

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
    """The law of one predictor. None: undefined, because there are too few groups or forgetting does not vary.

    r2: in-sample; family_left_out, task_left_out, run_left_out: leave-one-out R2 about the pooled mean, which may be negative. Intervals resample tasks and
    arms; run_left_out has none. noise_ceiling: R2 of a perfect predictor, below 1 because forgetting is measured on finitely many episodes. residuals:
    mean of observed minus predicted, by arm. leads: for each of `SCORES`, the headline predictor's minus this one's, on the same resamples.
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
    """Fit the law to one predictor, see `laws`."""
    return laws({"": points}, "")[""]


def laws(points: Mapping[K, Points], headline: K, over: Over = "tasks and arms", number: int = RESAMPLES) -> dict[K, Law]:
    """Fit the law to several predictors of the same runs, all on the same resamples.

    headline: the predictor that `Law.leads` compares the others with; over: unit of resampling; number: of resamples.

    Raises ValueError if the predictors have different runs.
    """
    first = points[headline]
    for name, own in points.items():
        if not own.same_runs(first):
            raise ValueError(f"{name} and {headline} are not of the same runs")
    counts = resamples(first, over, number)
    # One thread per predictor: a second one slows down such small matrices.
    with threadpool_limits(1), ThreadPoolExecutor(threads()) as workers:
        values = dict(zip(points, workers.map(_values, points.values()), strict=True))
        drawn = dict(zip(points, workers.map(partial(_resampled, counts=counts, over=over), points.values()), strict=True))
    fits = {}
    for name, own in points.items():
        scores = {score: estimate(values[name][0][score], drawn[name][score]) for score in SCORES}
        leads = {score: estimate(values[headline][0][score] - values[name][0][score], drawn[headline][score] - drawn[name][score]) for score in SCORES}
        fits[name] = _law(own, *values[name], scores, leads)
    return fits


def intervals(points: Points) -> dict[Over, dict[str, Estimate | None]]:
    """Return each of `SCORES` with its interval, by unit of resampling."""
    values, _ = _values(points)
    by_unit: dict[Over, dict[str, Estimate | None]] = {}
    for over in OVER:
        drawn = _resampled(points, resamples(points, over), over)
        by_unit[over] = {score: estimate(values[score], drawn[score]) for score in SCORES}
    return by_unit


def carried(known: Points, fresh: Points) -> float | None:
    """Return the R2, about the fresh mean, on fresh points of the curve fitted to known points; None if fresh forgetting does not vary."""
    fit = Saturating(known, np.zeros(len(known.arm), dtype=np.int64), fine=True)
    curve = fit.curve(fit.best(np.ones(1)))
    error = float((fresh.weight * (fresh.y - curve(fresh.x)) ** 2).sum())
    value = 1.0 - error / float(fresh.spread(np.ones(len(fresh.arm))))
    return value if np.isfinite(value) else None


def _values(points: Points) -> tuple[dict[str, float], Curve]:
    """Return every R2 without resampling, and the curve."""
    unit, groups = _units(points.family, points.task)
    fit, one = Saturating(points, unit, fine=True), np.ones((1, len(groups)))
    (inside, family), (_, task) = (fit.left_out(one, names) for names in zip(*groups, strict=True))
    errors = {"r2": inside[0], "family_left_out": family[0], "task_left_out": task[0], "run_left_out": Saturating(points).each_left_out()}
    spread = float(points.spread(np.ones(len(points.arm))))
    return {name: 1.0 - float(error) / spread for name, error in errors.items()}, fit.curve(fit.best(one[0]))


def _resampled(points: Points, counts: FloatArray, over: Over) -> dict[str, FloatArray]:
    """Return `SCORES` of every resample, (B,) each, NaN where undefined. counts (B, R): weights of the runs."""
    # Unless single runs are drawn, all runs of a task and an arm have the same weight, so their sums are computed once.
    unit, _ = _units(range(len(points.arm))) if over == "runs" else _units(points.task, points.arm)
    _, first = np.unique(unit, return_index=True)
    fit, spread, drawn = Saturating(points, unit), points.spread(counts), counts[:, first]
    inside, family = fit.left_out(drawn, [points.family[k] for k in first])
    _, task = fit.left_out(drawn, [points.task[k] for k in first])
    return {name: 1.0 - error / spread for name, error in zip(SCORES, (inside, family, task), strict=True)}


def _units(*labels: Sequence[Any]) -> tuple[IntArray, list[tuple[Any, ...]]]:
    """Return the index of every run's labels (R,), and the distinct labels in order."""
    per_run = list(zip(*labels, strict=True))
    place = {group: k for k, group in enumerate(sorted(set(per_run)))}
    return np.array([place[group] for group in per_run]), list(place)


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
