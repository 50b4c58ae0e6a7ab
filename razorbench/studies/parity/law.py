"""Statistics of the parity study: fits of forgetting to a predictor, and retention at the same new-task accuracy.

Arrays of a sweep have the axes seeds S, methods M, runs R and checkpoints T. The checkpoints of a run are dependent, so the bootstrap resamples whole
runs; each seed has its own base, so comparisons of methods average within seeds first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from razorbench.measures.success import percentile
from razorbench.statistics.verdicts import student
from razorbench.store.estimate import Estimate
from razorbench.types import FloatArray, IntArray

RESAMPLES = 1000


@dataclass(frozen=True)
class Sweep:
    """Results of a sweep. values: measures of all checkpoints, (S, M, R, T); base: those of the bases, (S,).

    rates, schedules, epochs: settings of the runs, (R,); updates: (R, T).
    """

    values: Mapping[str, FloatArray]
    base: Mapping[str, FloatArray]
    seeds: Sequence[int]
    methods: Sequence[str]
    rates: FloatArray
    schedules: Sequence[str]
    epochs: IntArray
    updates: IntArray


@dataclass(frozen=True)
class Fit:
    """Forgetting explained by one predictor x, over all checkpoints.

    r2: of a parabola a + b x + c x^2, pooled over seeds, with an interval over runs; draws: R2 of each resample; coefficients: (a, b, c); residuals:
    mean of forgetting minus parabola per method, (M,). Per seed, (S,): R2 of a parabola and of a rising step function (isotonic regression), in-sample
    and leave-one-method-out; the step function is constant beyond the range of the other methods.
    """

    r2: Estimate
    draws: FloatArray
    coefficients: FloatArray
    residuals: FloatArray
    parabola: FloatArray
    parabola_unseen: FloatArray
    monotone: FloatArray
    monotone_unseen: FloatArray

    def turning_point(self) -> float | None:
        """Return the x above which the parabola falls, None if it never falls."""
        _, b, c = self.coefficients
        return float(-b / (2 * c)) if c < 0 else None


def fit(x: FloatArray, forgetting: FloatArray, counts: FloatArray) -> Fit | None:
    """Fit forgetting to x, (S, M, R, T) each; None if x is constant or not finite, or if forgetting is constant in a base. counts: from `resamples`."""
    x, forgetting = x.astype(np.float64), forgetting.astype(np.float64)
    if not np.isfinite(x).all() or np.ptp(x) == 0 or np.ptp(forgetting, axis=(1, 2, 3)).min() == 0:
        return None
    scale = np.abs(x).max()
    runs = moments(x / scale, forgetting)
    total, methods, seeds = runs.sum(axis=(0, 1, 2)), runs.sum(axis=(0, 2)), runs.sum(axis=2)
    solved, draws = solve(total), r2(np.tensordot(counts, runs, axes=3))
    whole, pairs = seeds.sum(axis=1), list(zip(x, forgetting, strict=True))
    return Fit(
        r2=between(float(r2(total)), draws),
        draws=draws,
        coefficients=solved / scale ** np.arange(3),
        residuals=(methods[:, 0, 3] - methods[:, 0, :3] @ solved) / methods[:, 0, 0],
        parabola=r2(whole),
        parabola_unseen=1 - squared_error(seeds, solve(whole[:, None] - seeds)).sum(axis=1) / spread(whole),
        monotone=np.array([_explained(own_y, rising(own_x, own_y, own_x)) for own_x, own_y in pairs]),
        monotone_unseen=np.array([_explained(own_y, _from_others(own_x, own_y)) for own_x, own_y in pairs]),
    )


def resamples(seeds: int, methods: int, runs: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each resample draws each run, within its seed and method, (RESAMPLES, S, M, R)."""
    return rng.multinomial(runs, np.full(runs, 1 / runs), size=(RESAMPLES, seeds, methods)).astype(float)


def moments(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the sums over the last axis of the outer products of (1, x, x^2, y), (..., 4, 4), which determine a parabola and its R2."""
    columns = np.stack([np.ones_like(x), x, x**2, y], axis=-2)
    return columns @ np.swapaxes(columns, -1, -2)


def solve(total: FloatArray) -> FloatArray:
    """Return the least-squares parabola of moments (..., 4, 4), (..., 3)."""
    coefficients: FloatArray = (np.linalg.pinv(total[..., :3, :3], hermitian=True) @ total[..., :3, 3:])[..., 0]
    return coefficients


def squared_error(total: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Return the sum of squared residuals of parabolas, (...)."""
    residual = np.concatenate([-coefficients, np.ones_like(coefficients[..., :1])], axis=-1)
    error: FloatArray = np.einsum("...i,...ij,...j", residual, total, residual)
    return error


def spread(total: FloatArray) -> FloatArray:
    """Return the sum of squares of y about its mean, (...)."""
    spread: FloatArray = total[..., 3, 3] - total[..., 0, 3] ** 2 / total[..., 0, 0]
    return spread


def r2(total: FloatArray) -> FloatArray:
    """Return 1 - (sum of squared residuals) / (sum of squares about the mean) of the least-squares parabola, (...), NaN where y does not vary."""
    about = spread(total)
    value: FloatArray = 1 - squared_error(total, solve(total)) / np.where(about > 0, about, np.nan)
    return value


def between(value: float, draws: FloatArray) -> Estimate:
    """Return a value with the 95% percentile interval of its resamples (B,), without NaN, the resamples in which nothing varies."""
    return Estimate(value, *percentile(draws[~np.isnan(draws)]))


def rising(x: FloatArray, y: FloatArray, at: FloatArray) -> FloatArray:
    """Return the isotonic regression of y on x (pool adjacent violators) at points of any shape, interpolated, and constant outside."""
    places, index, count = np.unique(x, return_inverse=True, return_counts=True)
    level = isotonic_regression(np.bincount(index.ravel(), y.ravel()) / count, weights=count).x
    return np.interp(at, places, level)


def _from_others(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return each method's prediction by the step function of the others, (M, R, T)."""
    others = [np.arange(len(x)) != method for method in range(len(x))]
    return np.stack([rising(x[rest], y[rest], x[method]) for method, rest in enumerate(others)])


def _explained(y: FloatArray, predicted: FloatArray) -> float:
    return float(1 - np.square(y - predicted).sum() / np.square(y - y.mean()).sum())


def matched(sweep: Sweep, target: float) -> dict[str, FloatArray]:
    """Return every measure at the best checkpoint of each seed and method, (S, M): the one that retains most among those that reach the target.

    SELECT images decide both, so the choice does not bias the measures on TEST images. NaN (undefined) if no checkpoint reaches the target or the base is
    already above it.
    """
    flat = {name: value.reshape(*value.shape[:2], -1) for name, value in sweep.values.items()}
    reached = flat["select_parity"] >= target
    defined = reached.any(axis=2) & (sweep.base["select_parity"] < target)[:, None]
    best = np.where(reached, flat["select_old"], -1.0).argmax(axis=2)[..., None]
    return {name: np.where(defined, np.take_along_axis(value, best, axis=2)[..., 0], np.nan) for name, value in flat.items()}


def over_bases(values: FloatArray) -> Estimate | None:
    """Return the mean of the values (S,) that are defined, not NaN, with its 95% Student interval; None with fewer than two of them."""
    return student(values[~np.isnan(values)])
