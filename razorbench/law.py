"""The forgetting law: how well one quantity predicts forgetting over snapshots of many runs (RL's Razor, arXiv 2509.04259, section 4).

Every run weighs 1 in total. Intervals resample whole runs, never snapshots, which belong together. Everything that a resample needs is a sum
over a run's snapshots, so a resample is a vector of how often each run was drawn, and ten thousand of them are one matrix product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy import sparse, stats
from scipy.optimize import isotonic_regression

from razorbench.metrics import RESAMPLES, Estimate, percentile
from razorbench.types import BoolArray, FloatArray, IntArray

RATES, COARSE = 240, 40
"""Rates B that the saturating fit tries, spaced evenly in their logarithm: 6% apart; in resamples 40%, which moves R2 by some thousandths."""
TINY = 1e-9
CHUNK = 1000
"""Resamples at a time, which bounds memory."""


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
        """Weighted sums of values (N,) or (N, K) over each run's snapshots, (R,) or (R, K)."""
        shape = len(self.method), len(self.run)
        found: FloatArray = sparse.csr_array((self.weight, (self.run, np.arange(len(self.run)))), shape) @ values
        return found

    @cached_property
    def moments(self) -> FloatArray:
        """Weighted sums of 1, y and y^2 over each run's snapshots, (R, 3)."""
        return self.sums(self.y[:, None] ** np.arange(3))


Totals = Any
"""Sums over runs that a fit and its error need: arrays that add up over disjoint sets of runs."""


class Fit(Protocol):
    """A family of curves, fitted by least squares to whatever runs its totals are of."""

    slopes: int

    def totals(self, counts: FloatArray, runs: IntArray | slice = slice(None)) -> Totals:
        """Return the totals of some runs, all by default. counts (..., R): how often each run is there; what follows has the same leading shape."""

    def fit(self, totals: Totals) -> Any:
        """Return the parameters."""

    def squared_error(self, totals: Totals, parameters: Any) -> FloatArray:
        """Return the weighted sum of squared residuals, (...)."""

    def predict(self, x: FloatArray, parameters: Any) -> FloatArray:
        """Return the curve's values at x (M,), (M,), for parameters of one fit."""


class Saturating:
    """F = A (1 - exp(-B K)), A >= 0: the best of a grid of B, for each of which A is linear least squares."""

    slopes = 1

    def __init__(self, points: Points, rates: int = RATES) -> None:
        positive = points.x[points.x > 1e-100]
        span = (positive.min(), positive.max()) if len(positive) else (1.0, 1.0)
        # From a straight line over the whole range to a step below the least of the predictors.
        self.rates = np.geomspace(0.01 / span[1], 10.0 / max(span[0], span[1] * 1e-4), rates)
        curve = self._curve(points.x)
        parts = [points.sums(points.y**2)[:, None], points.sums(curve * points.y[:, None]), points.sums(curve**2)]
        self._sums, self._half = np.concatenate(parts, axis=1), rates + 1

    def _curve(self, x: FloatArray) -> FloatArray:
        return -np.expm1(-np.maximum(x, 0.0)[:, None] * self.rates)

    def totals(self, counts: FloatArray, runs: IntArray | slice = slice(None)) -> FloatArray:
        """Return sums of y^2, of y times the curve of every rate, and of its square, (..., 1 + 2 rates)."""
        found: FloatArray = counts[..., runs] @ self._sums[runs]
        return found

    def fit(self, totals: FloatArray) -> tuple[FloatArray, IntArray]:
        """Return A and the index of B."""
        fy, ff = np.maximum(totals[..., 1 : self._half], 0.0), totals[..., self._half :]
        gain = np.divide(fy**2, ff, out=np.zeros_like(fy), where=ff > TINY)
        best = np.argmax(gain, axis=-1)
        fy, ff = self._at(totals, best)
        return np.divide(np.maximum(fy, 0.0), ff, out=np.zeros_like(fy), where=ff > TINY), best

    def squared_error(self, totals: FloatArray, parameters: tuple[FloatArray, IntArray]) -> FloatArray:
        """Return the sum of squared residuals."""
        a, best = parameters
        fy, ff = self._at(totals, best)
        error: FloatArray = totals[..., 0] - 2 * a * fy + a**2 * ff
        return error

    def _at(self, totals: FloatArray, best: IntArray) -> tuple[FloatArray, FloatArray]:
        fy, ff = (np.take_along_axis(totals, best[..., None] + first, axis=-1)[..., 0] for first in (1, self._half))
        return fy, ff

    def predict(self, x: FloatArray, parameters: tuple[FloatArray, IntArray]) -> FloatArray:
        """Return the curve at x."""
        a, best = parameters
        return a * -np.expm1(-np.maximum(x, 0.0) * self.rates[best])


class Quadratic:
    """F = a + b K + c K^2, the paper's form."""

    slopes = 2

    def __init__(self, points: Points) -> None:
        self._scale = float(np.abs(points.x).max()) or 1.0
        powers = self._powers(points.x)
        products = powers[:, :, None] * powers[:, None, :]
        self._sums = points.sums(np.concatenate([points.y[:, None] ** 2, powers * points.y[:, None], products.reshape(-1, 9)], axis=1))

    def _powers(self, x: FloatArray) -> FloatArray:
        return (x[:, None] / self._scale) ** np.arange(3)

    def totals(self, counts: FloatArray, runs: IntArray | slice = slice(None)) -> FloatArray:
        """Return sums of y^2, of y times the powers 0 to 2, and of the products of these powers, (..., 13)."""
        found: FloatArray = counts[..., runs] @ self._sums[runs]
        return found

    def fit(self, totals: FloatArray) -> FloatArray:
        """Return coefficients (..., 3) in powers of the predictor over its largest magnitude."""
        inverse = np.linalg.pinv(totals[..., 4:].reshape(*totals.shape[:-1], 3, 3), hermitian=True)
        found: FloatArray = np.einsum("...ij,...j->...i", inverse, totals[..., 1:4])
        return found

    def squared_error(self, totals: FloatArray, parameters: FloatArray) -> FloatArray:
        """Return the sum of squared residuals."""
        square = np.einsum("...ij,...i,...j->...", totals[..., 4:].reshape(*totals.shape[:-1], 3, 3), parameters, parameters)
        error: FloatArray = totals[..., 0] - 2 * (totals[..., 1:4] * parameters).sum(axis=-1) + square
        return error

    def predict(self, x: FloatArray, parameters: FloatArray) -> FloatArray:
        """Return the curve at x."""
        return self._powers(x) @ parameters

    def coefficients(self, parameters: FloatArray) -> FloatArray:
        """Return a, b, c."""
        return parameters / self._scale ** np.arange(3)


def r2(fit: Fit, points: Points, counts: FloatArray) -> FloatArray:
    """In-sample R2, about the weighted mean, (...); NaN where forgetting does not vary. counts (..., R): how often each run is there."""
    totals = fit.totals(counts)
    return 1.0 - fit.squared_error(totals, fit.fit(totals)) / _spread(points, counts)


def left_out_r2(fit: Fit, points: Points, groups: Sequence[str], counts: FloatArray) -> FloatArray:
    """R2 with every group (R,) predicted by the fit to all others, about the pooled mean, (...); it may be negative. NaN with fewer than two groups."""
    return 1.0 - _errors(fit, groups, counts)[1] / _spread(points, counts)


def _errors(fit: Fit, groups: Sequence[str], counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum of squared errors in-sample, and with every group left out: from the same totals, which take most of the time."""
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    parts = [fit.totals(counts, np.flatnonzero(member == k)) for k in range(len(names))]
    whole = parts[0].copy()
    for part in parts[1:]:
        whole += part
    inside = fit.squared_error(whole, fit.fit(whole))
    left_out = np.zeros(inside.shape) if len(names) > 1 else np.full(inside.shape, np.nan)
    for part in parts:
        left_out += fit.squared_error(part, fit.fit(whole - part))
    return inside, left_out


def _spread(points: Points, counts: FloatArray) -> FloatArray:
    """Weighted sum of squares of forgetting about its mean, (...); NaN where it does not vary."""
    ones, y, yy = np.moveaxis(counts @ points.moments, -1, 0)
    spread = yy - y**2 / ones
    return np.where(spread > 1e-12, spread, np.nan)


def resamples(runs: int, rng: np.random.Generator, number: int | None = None) -> FloatArray:
    """How often each run is drawn in each bootstrap resample, (number, runs); 10 000 by default."""
    number = number or RESAMPLES
    # As a multinomial would have it, in a quarter of the time.
    drawn = rng.integers(runs, size=(number, runs)) + runs * np.arange(number)[:, None]
    return np.bincount(drawn.ravel(), minlength=number * runs).reshape(number, runs).astype(float)


@dataclass(frozen=True)
class Law:
    """What the points say. r2 and the left-out versions are of the saturating fit; None: undefined, for want of groups or of variation.

    ceiling: R2 that a perfect predictor would have, given that forgetting is measured on finitely many episodes. residuals: mean of observed less
    predicted, per method. turnover: the predictor at which the quadratic has its top, if that lies inside the data. leads: by the name of an R2, the
    headline predictor's less this one's, on the same resamples.
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
    leads: dict[str, Estimate | None]


def law(points: Points, rng: np.random.Generator) -> Law:
    """Fit the law to one predictor, as `laws` does."""
    return laws({"": points}, "", rng)[""]


def laws(points: Mapping[str, Points], headline: str, rng: np.random.Generator, number: int | None = None) -> dict[str, Law]:
    """Fit the law to several predictors of the same runs; intervals are 95% percentile intervals over runs drawn with replacement, the same for all.

    headline: the predictor that `Law.leads` compares the others with. number: of resamples, 10 000 by default.

    Raises ValueError if the predictors are not of the same runs.
    """
    first = points[headline]
    for name, each in points.items():
        if list(each.method) != list(first.method) or list(each.task) != list(first.task):
            raise ValueError(f"{name} and {headline} are not of the same runs")
    one, many = np.ones((1, len(first.method))), resamples(len(first.method), rng, number)
    found, head = {}, None
    for name in sorted(points, key=lambda name: name != headline):
        each = points[name]
        saturating, quadratic = Saturating(each), Quadratic(each)
        own = _scores(each, one, saturating, quadratic), _scores(each, many, Saturating(each, COARSE), quadratic)
        head = own if head is None else head
        leads = {score: _estimate(head[0][score] - own[0][score], head[1][score] - own[1][score]) for score in own[0]}
        found[name] = _law(each, saturating, quadratic, {score: _estimate(own[0][score], own[1][score]) for score in own[0]}, leads)
    return {name: found[name] for name in points}


def _scores(points: Points, counts: FloatArray, saturating: Saturating, quadratic: Quadratic) -> dict[str, FloatArray]:
    """Every R2 with its interval, by its name in `Law`, for resamples counts (B, R), (B,) each."""
    chunks = [counts[at : at + CHUNK] for at in range(0, len(counts), CHUNK)]
    scores = []
    for chunk in chunks:
        spread = _spread(points, chunk)
        inside, family = _errors(saturating, points.family, chunk)
        totals = quadratic.totals(chunk)
        errors = (inside, family, _errors(saturating, points.task, chunk)[1], quadratic.squared_error(totals, quadratic.fit(totals)))
        scores.append([1.0 - error / spread for error in errors])
    names = ("r2", "family_left_out", "task_left_out", "quadratic_r2")
    return {name: np.concatenate(each) for name, each in zip(names, zip(*scores, strict=True), strict=True)}


def _law(points: Points, saturating: Saturating, quadratic: Quadratic, scores: Mapping[str, Estimate | None], leads: dict[str, Estimate | None]) -> Law:
    one = np.ones(len(points.method))
    a, best = saturating.fit(saturating.totals(one))
    weight, n = points.weight, len(points.x)
    residual = points.y - saturating.predict(points.x, (a, best))
    mean = float(np.average(points.y, weights=weight))
    spread = float((weight * (points.y - mean) ** 2).sum())
    varies, inside = spread > 1e-12, scores["r2"]
    isotonic = monotone(points.x, points.y, weight)
    c0, c1, c2 = (float(value) for value in quadratic.coefficients(quadratic.fit(quadratic.totals(one))))
    top = -c1 / (2 * c2) if c2 < 0 else None
    methods = np.array([points.method[k] for k in points.run])
    return Law(
        runs=len(points.method),
        snapshots=n,
        amplitude=float(a),
        rate=float(saturating.rates[best]),
        **scores,
        adjusted_r2=1.0 - (1.0 - inside.value) * (n - 1) / (n - 1 - saturating.slopes) if inside is not None and n > 2 else None,
        quadratic=(c0, c1, c2),
        turnover=top if top is not None and points.x.min() <= top <= points.x.max() else None,
        isotonic_r2=1.0 - float((weight * (points.y - isotonic) ** 2).sum()) / spread if varies else None,
        spearman=float(stats.spearmanr(points.x, points.y).statistic) if varies and np.ptp(points.x) > 0 else None,
        ceiling=max(0.0, 1.0 - float((weight * points.noise).sum()) / spread) if varies else None,
        residuals={name: float(np.average(residual[methods == name], weights=weight[methods == name])) for name in sorted(set(points.method))},
        leads=leads,
    )


def correlation(first: Points, second: Points, rng: np.random.Generator) -> Estimate | None:
    """Pearson's correlation of two predictors over snapshots, every run weighing 1, with its interval over runs; None if one is constant.

    Raises ValueError if the two are not of the same snapshots.
    """
    if not np.array_equal(first.run, second.run):
        raise ValueError("the two predictors are not of the same snapshots")
    x, y = (each.x / (np.abs(each.x).max(initial=0.0) or 1.0) for each in (first, second))
    sums = first.sums(np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1))

    def pearson(counts: FloatArray) -> FloatArray:
        n, sx, sy, sxx, syy, sxy = np.moveaxis(counts @ sums, -1, 0)
        spread = (n * sxx - sx**2) * (n * syy - sy**2)
        flat = spread <= TINY * n**4
        return np.where(flat, np.nan, (n * sxy - sx * sy) / np.sqrt(np.where(flat, 1.0, spread)))

    runs = len(first.method)
    return _estimate(pearson(np.ones((1, runs))), pearson(resamples(runs, rng))) if runs else None


def monotone(x: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the values at x (N,) of the non-decreasing function of x that is nearest to y, (N,); equal x share one value."""
    _, where = np.unique(x, return_inverse=True)
    total = np.bincount(where, weight)
    fitted: FloatArray = isotonic_regression(np.bincount(where, weight * y) / total, weights=total).x[where]
    return fitted


def _estimate(values: FloatArray, resampled: FloatArray) -> Estimate | None:
    """The value (1,) of the data with its percentile interval from resamples (B,); None if it is undefined."""
    value = float(values[0])
    if not np.isfinite(value):
        return None
    return Estimate(value, *percentile(resampled[np.isfinite(resampled)]))
