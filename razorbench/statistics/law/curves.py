"""The curve of the law, A (1 - exp(-(B K)^C)): least-squares fits to many weightings of the same snapshots at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from razorbench.statistics.law.points import Points
from razorbench.types import FloatArray, IntArray

LEVELS = 512
"""Predictors are binned to this many values, each the mean of equally many snapshots; a curve is computed once per value. It moves R2 by under 0.001."""
FINE, COARSE = (100, 17), (30, 9)
"""Numbers of rates B and exponents C in the grid. The fine grid loses up to 0.003 of R2 against a continuous search; the coarse one (resamples) 0.006."""
EXPONENTS = 0.5, 8.0
"""Range of C, from a root that is steep at 0 to nearly a step. 44 of 46 predictors of the reference runs have their optimum inside."""
TINY = 1e-9
MOST = 1.0
"""Upper bound of A, since forgetting cannot exceed 1: without it, a fit to small changes predicts thousands for large ones."""


@dataclass(frozen=True)
class Curve:
    """A (1 - exp(-(B K)^C)): forgetting at a change K. For C above 1 it starts flat; for B K far below 1 it is the power law A (B K)^C."""

    amplitude: float
    rate: float
    exponent: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return forgetting at changes x (M,)."""
        return self.amplitude * _shape(x, np.array([self.rate]), np.array([self.exponent]))[:, 0]


class Fit(NamedTuple):
    """Least-squares fits, (...): amplitudes A, and the index of the pair B, C."""

    amplitude: FloatArray
    candidate: IntArray


class Saturating:
    """Fits of the curve with 0 <= A <= 1: a grid search over B and C, with A by linear least squares.

    It stores the weighted sums of each unit of runs that a fit and its error need, so a fit to any weighting of the units costs one matrix product.
    """

    def __init__(self, points: Points, unit: IntArray | None = None, fine: bool = False) -> None:
        """unit: the index of each run's unit (R,), 0 to U - 1; by default every run is a unit."""
        member = np.arange(len(points.arm)) if unit is None else unit
        level, value = _levels(np.maximum(points.x, 0.0))
        self.rate, self.exponent = _candidates(points.x, *(FINE if fine else COARSE))
        curve = _shape(value, self.rate, self.exponent)
        units, cell = int(member.max()) + 1, member[points.run] * len(value) + level
        mass, moment, square = (
            np.bincount(cell, points.weight * power, units * len(value)).reshape(units, -1) for power in (np.ones_like(points.y), points.y, points.y**2)
        )
        self._sums = np.concatenate([square.sum(axis=1, keepdims=True), moment @ curve, mass @ curve**2], axis=1)

    def best(self, counts: FloatArray) -> Fit:
        """Return the fits to units with weights counts (..., U)."""
        return self._fit(counts @ self._sums)

    def each_left_out(self) -> float:
        """Return the leave-one-unit-out sum of squared errors; NaN with fewer than two units."""
        fit = self._fit(self._sums.sum(axis=0) - self._sums)
        return float(self._error(self._sums, fit).sum()) if len(self._sums) > 1 else np.nan

    def left_out(self, counts: FloatArray, group: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Return the sums of squared errors in-sample and leave-one-group-out, (B,) each.

        counts (B, U): weights; group (U,): label of each unit. The second is NaN where fewer than two groups have weight.
        """
        names, member = np.unique(np.asarray(group), return_inverse=True)
        parts = [counts[:, member == k] @ self._sums[member == k] for k in range(len(names))]
        whole = np.sum(parts, axis=0)
        present = np.sum([counts[:, member == k].any(axis=1) for k in range(len(names))], axis=0)
        left_out = np.sum([self._error(part, self._fit(whole - part)) for part in parts], axis=0)
        return self._error(whole, self._fit(whole)), np.where(present > 1, left_out, np.nan)

    def curve(self, fit: Fit) -> Curve:
        """Return the curve of one fit."""
        k = int(fit.candidate)
        return Curve(float(fit.amplitude), float(self.rate[k]), float(self.exponent[k]))

    def at(self, x: FloatArray, fit: Fit) -> FloatArray:
        """Return the curves of fits (B,) at changes x (M,), (B, M)."""
        return fit.amplitude[:, None] * _shape(x, self.rate, self.exponent)[:, fit.candidate].T

    def _fit(self, totals: FloatArray) -> Fit:
        fy, ff = totals[..., 1 : 1 + len(self.rate)], totals[..., 1 + len(self.rate) :]
        amplitude = np.clip(np.divide(fy, ff, out=np.zeros_like(fy), where=ff > TINY), 0.0, MOST)
        candidate = np.argmax(amplitude * (2 * fy - amplitude * ff), axis=-1)
        return Fit(np.take_along_axis(amplitude, candidate[..., None], axis=-1)[..., 0], candidate)

    def _error(self, totals: FloatArray, fit: Fit) -> FloatArray:
        fy, ff = (np.take_along_axis(totals, fit.candidate[..., None] + first, axis=-1)[..., 0] for first in (1, 1 + len(self.rate)))
        error: FloatArray = totals[..., 0] - 2 * fit.amplitude * fy + fit.amplitude**2 * ff
        return error


def _shape(x: FloatArray, rate: FloatArray, exponent: FloatArray) -> FloatArray:
    """Return 1 - exp(-(B K)^C) at x (M,) for pairs (G,), (M, G)."""
    with np.errstate(divide="ignore"):
        power = np.exp(np.minimum(exponent * (np.log(np.maximum(x, 0.0))[:, None] + np.log(rate)), 50.0))
    return -np.expm1(-power)


def _levels(x: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the level of every snapshot, (N,), and the value of every level, (L,)."""
    count = min(len(x), LEVELS)
    level = np.empty(len(x), dtype=np.int64)
    level[np.argsort(x, kind="stable")] = np.arange(len(x)) * count // max(len(x), 1)
    return level, np.bincount(level, x, count) / np.maximum(np.bincount(level, minlength=count), 1)


def _candidates(x: FloatArray, rates: int, exponents: int) -> tuple[FloatArray, FloatArray]:
    """Return the grid of B and C, (G,) each: from a power law over the whole range to a curve that saturates (95%) below 90% of the predictors."""
    positive = x[x > 1e-100]
    high = float(positive.max()) if len(positive) else 1.0
    low = max(float(np.quantile(positive, 0.1)), high * 1e-4) if len(positive) else 1.0
    exponent = np.geomspace(*EXPONENTS, exponents)
    rate = np.exp(np.linspace(np.log(0.01) / exponent - np.log(high), np.log(3.0) / exponent - np.log(low), rates))
    return rate.ravel(), np.broadcast_to(exponent, rate.shape).ravel()
