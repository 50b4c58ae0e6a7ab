"""The forgetting law: how well one quantity predicts forgetting over snapshots of many runs (RL's Razor, arXiv 2509.04259, section 4).

Every run weighs 1 in total. Intervals resample whole runs, never snapshots, which belong together. Everything that a resample needs is a sum
over a run's snapshots, so a resample is a vector of how often each run was drawn, and ten thousand of them are one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression

from razorbench.metrics import RESAMPLES, Estimate, percentile
from razorbench.types import BoolArray, FloatArray, IntArray

RATES = 240
"""Rates B that the saturating fit tries, spaced evenly in their logarithm: 6% apart."""


@dataclass(frozen=True)
class Points:
    """Snapshots: run (N,), indices into the runs; x (N,), the predictor; y (N,), forgetting; noise (N,), its sampling variance.

    Per run, (R,): method, family, task.
    """

    run: IntArray
    x: FloatArray
    y: FloatArray
    noise: FloatArray
    method: Sequence[str]
    family: Sequence[str]
    task: Sequence[str]

    @property
    def weight(self) -> FloatArray:
        """One over the number of its run's snapshots, (N,)."""
        return 1.0 / np.bincount(self.run, minlength=len(self.method))[self.run]

    def where(self, keep: BoolArray) -> Points:
        """Return the snapshots where keep (N,) holds, and the runs that have any."""
        runs, index = np.unique(self.run[keep], return_inverse=True)
        per_run = {name: [getattr(self, name)[k] for k in runs] for name in ("method", "family", "task")}
        return Points(index, self.x[keep], self.y[keep], self.noise[keep], **per_run)

    def sums(self, values: FloatArray) -> FloatArray:
        """Weighted sums of values (N, ...) over each run's snapshots, (R, ...)."""
        weighted = values * self.weight.reshape(-1, *[1] * (values.ndim - 1))
        total = np.zeros((len(self.method), *values.shape[1:]))
        np.add.at(total, self.run, weighted)
        return total


class Fit(Protocol):
    """A family of curves, fitted by least squares. counts (..., R): how often each run is there; parameters have the same leading shape."""

    slopes: int

    def fit(self, counts: FloatArray) -> Any:
        """Return the parameters."""

    def squared_error(self, counts: FloatArray, parameters: Any) -> FloatArray:
        """Return the weighted sum of squared residuals, (...)."""

    def predict(self, x: FloatArray, parameters: Any) -> FloatArray:
        """Return the curve's values at x (M,), (M,), for parameters of one fit."""


class Saturating:
    """F = A (1 - exp(-B K)), A >= 0: the best of a grid of B, for each of which A is linear least squares."""

    slopes = 1

    def __init__(self, points: Points) -> None:
        positive = points.x[points.x > 0]
        span = (positive.min(), positive.max()) if len(positive) else (1.0, 1.0)
        # From a straight line over the whole range to a step below the least of the predictors.
        self.rates = np.geomspace(0.01 / span[1], 10.0 / max(span[0], span[1] * 1e-4), RATES)
        curve = self._curve(points.x)
        self._yy, self._fy, self._ff = points.sums(points.y**2), points.sums(curve * points.y[:, None]), points.sums(curve**2)

    def _curve(self, x: FloatArray) -> FloatArray:
        return -np.expm1(-np.maximum(x, 0.0)[:, None] * self.rates)

    def fit(self, counts: FloatArray) -> tuple[FloatArray, IntArray]:
        """Return A and the index of B."""
        fy, ff = np.maximum(counts @ self._fy, 0.0), counts @ self._ff
        gain = np.divide(fy**2, ff, out=np.zeros_like(fy), where=ff > 0)
        best = np.argmax(gain, axis=-1)
        fy, ff = (np.take_along_axis(each, best[..., None], axis=-1)[..., 0] for each in (fy, ff))
        return np.divide(fy, ff, out=np.zeros_like(fy), where=ff > 0), best

    def squared_error(self, counts: FloatArray, parameters: tuple[FloatArray, IntArray]) -> FloatArray:
        """Return the sum of squared residuals."""
        a, best = parameters
        fy, ff = (np.take_along_axis(counts @ each, best[..., None], axis=-1)[..., 0] for each in (self._fy, self._ff))
        return counts @ self._yy - 2 * a * fy + a**2 * ff

    def predict(self, x: FloatArray, parameters: tuple[FloatArray, IntArray]) -> FloatArray:
        """Return the curve at x."""
        a, best = parameters
        return a * self._curve(x)[:, best]


class Quadratic:
    """F = a + b K + c K^2, the paper's form."""

    slopes = 2

    def __init__(self, points: Points) -> None:
        self._scale = float(np.abs(points.x).max()) or 1.0
        powers = self._powers(points.x)
        self._yy, self._py = points.sums(points.y**2), points.sums(powers * points.y[:, None])
        self._pp = points.sums(powers[:, :, None] * powers[:, None, :])

    def _powers(self, x: FloatArray) -> FloatArray:
        return (x[:, None] / self._scale) ** np.arange(3)

    def fit(self, counts: FloatArray) -> FloatArray:
        """Return coefficients (..., 3) in powers of the predictor over its largest magnitude."""
        inverse = np.linalg.pinv(np.einsum("...r,rij->...ij", counts, self._pp), hermitian=True)
        found: FloatArray = np.einsum("...ij,...j->...i", inverse, counts @ self._py)
        return found

    def squared_error(self, counts: FloatArray, parameters: FloatArray) -> FloatArray:
        """Return the sum of squared residuals."""
        cross = (counts @ self._py * parameters).sum(axis=-1)
        square = np.einsum("...r,rij,...i,...j->...", counts, self._pp, parameters, parameters, optimize=True)
        error: FloatArray = counts @ self._yy - 2 * cross + square
        return error

    def predict(self, x: FloatArray, parameters: FloatArray) -> FloatArray:
        """Return the curve at x."""
        return self._powers(x) @ parameters

    def coefficients(self, parameters: FloatArray) -> FloatArray:
        """Return a, b, c."""
        return parameters / self._scale ** np.arange(3)


def r2(fit: Fit, points: Points, counts: FloatArray) -> FloatArray:
    """In-sample R2, about the weighted mean, (...); NaN where forgetting does not vary."""
    return _r2(fit.squared_error(counts, fit.fit(counts)), points, counts)


def left_out_r2(fit: Fit, points: Points, groups: Sequence[str], counts: FloatArray) -> FloatArray:
    """R2 with every group (R,) predicted by the fit to all others, about the pooled mean; it may be negative. NaN with fewer than two groups."""
    names = sorted(set(groups))
    if len(names) < 2:
        return np.full(counts.shape[:-1], np.nan)
    error = np.zeros(counts.shape[:-1])
    for name in names:
        inside = np.array([group == name for group in groups])
        error = error + fit.squared_error(counts * inside, fit.fit(counts * ~inside))
    return _r2(error, points, counts)


def _r2(error: FloatArray, points: Points, counts: FloatArray) -> FloatArray:
    y, yy = points.sums(points.y), points.sums(points.y**2)
    total = counts @ yy - (counts @ y) ** 2 / counts.sum(axis=-1)
    flat = total <= 1e-12
    return np.where(flat, np.nan, 1.0 - error / np.where(flat, 1.0, total))


def resamples(runs: int, rng: np.random.Generator) -> FloatArray:
    """How often each run is drawn in each bootstrap resample, (10 000, runs)."""
    return rng.multinomial(runs, np.full(runs, 1.0 / runs), RESAMPLES).astype(float)


@dataclass(frozen=True)
class Law:
    """What the points say. r2 and the left-out versions are of the saturating fit; None: undefined, for want of groups or of variation.

    ceiling: R2 that a perfect predictor would have, given that forgetting is measured on finitely many episodes. residuals: mean of observed less
    predicted, per method. turnover: the predictor at which the quadratic has its top, if that lies inside the data.
    """

    runs: int
    snapshots: int
    amplitude: float
    rate: float
    r2: Estimate | None
    adjusted_r2: float | None
    family_left_out: Estimate | None
    task_left_out: Estimate | None
    quadratic_r2: Estimate | None
    quadratic: tuple[float, float, float]
    turnover: float | None
    isotonic_r2: float | None
    spearman: float | None
    ceiling: float | None
    residuals: dict[str, float]


def law(points: Points, rng: np.random.Generator) -> Law:
    """Fit the law; intervals are 95% percentile intervals over runs drawn with replacement."""
    saturating, quadratic = Saturating(points), Quadratic(points)
    one, many = np.ones(len(points.method)), resamples(len(points.method), rng)
    a, best = saturating.fit(one)
    weight, n = points.weight, len(points.x)
    residual = points.y - saturating.predict(points.x, (a, best))
    mean = float(np.average(points.y, weights=weight))
    spread = float((weight * (points.y - mean) ** 2).sum())
    varies = spread > 1e-12
    inside = _estimate(r2(saturating, points, one), r2(saturating, points, many))
    isotonic = monotone(points.x, points.y, weight)
    c0, c1, c2 = (float(value) for value in quadratic.coefficients(quadratic.fit(one)))
    top = -c1 / (2 * c2) if c2 < 0 else None
    methods = np.array([points.method[k] for k in points.run])
    return Law(
        runs=len(points.method),
        snapshots=n,
        amplitude=float(a),
        rate=float(saturating.rates[best]),
        r2=inside,
        adjusted_r2=1.0 - (1.0 - inside.value) * (n - 1) / (n - 1 - saturating.slopes) if inside is not None and n > 2 else None,
        family_left_out=_estimate(*(left_out_r2(saturating, points, points.family, counts) for counts in (one, many))),
        task_left_out=_estimate(*(left_out_r2(saturating, points, points.task, counts) for counts in (one, many))),
        quadratic_r2=_estimate(r2(quadratic, points, one), r2(quadratic, points, many)),
        quadratic=(c0, c1, c2),
        turnover=top if top is not None and points.x.min() <= top <= points.x.max() else None,
        isotonic_r2=1.0 - float((weight * (points.y - isotonic) ** 2).sum()) / spread if varies else None,
        spearman=float(stats.spearmanr(points.x, points.y).statistic) if varies and np.ptp(points.x) > 0 else None,
        ceiling=max(0.0, 1.0 - float((weight * points.noise).sum()) / spread) if varies else None,
        residuals={name: float(np.average(residual[methods == name], weights=weight[methods == name])) for name in sorted(set(points.method))},
    )


def monotone(x: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the values at x (N,) of the non-decreasing function of x that is nearest to y, (N,); equal x share one value."""
    _, where = np.unique(x, return_inverse=True)
    total = np.bincount(where, weight)
    fitted: FloatArray = isotonic_regression(np.bincount(where, weight * y) / total, weights=total).x[where]
    return fitted


def r2_difference(first: Points, second: Points, rng: np.random.Generator, *, left_out: str | None = None) -> Estimate | None:
    """R2 of one predictor less that of another over the same runs, on the same resamples. left_out: `family` or `task`, else in-sample.

    Raises ValueError if the two are not of the same runs.
    """
    if list(first.method) != list(second.method) or list(first.task) != list(second.task):
        raise ValueError("the two predictors are not of the same runs")
    values = []
    for counts in (np.ones(len(first.method)), resamples(len(first.method), rng)):
        both = [
            r2(Saturating(each), each, counts) if left_out is None else left_out_r2(Saturating(each), each, getattr(each, left_out), counts)
            for each in (first, second)
        ]
        values.append(both[0] - both[1])
    return _estimate(values[0], values[1])


def _estimate(value: FloatArray, resampled: FloatArray) -> Estimate | None:
    if not np.isfinite(value):
        return None
    return Estimate(float(value), *percentile(resampled[np.isfinite(resampled)]))
