"""Pareto frontiers of new-task success and retention, both to be maximized."""

from __future__ import annotations

from typing import Literal

import numpy as np

from razorbench.types import BoolArray, FloatArray

TOLERANCE = 0.02
"""The paper keeps models "within 2 accuracy points of the Pareto frontier" (arXiv 2509.04259, B.1) and does not say how that is measured."""
_ROUNDING = 1e-12


def frontier(points: FloatArray) -> BoolArray:
    """Return which points (N, 2) are not dominated, (N,): no other point is as good in both coordinates and better in one."""
    x, y = points.T
    right = _highest(points, x, "right")
    here = _highest(points, x, "left")
    dominated: BoolArray = (right >= y) | (here > y)
    return ~dominated


def stairs(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the corners of the staircase through the frontier of points (N, 2), N > 0, from the first coordinate 0 on, (K,) each."""
    best = points[frontier(points)]
    x, y = best[np.argsort(best[:, 0])].T
    return np.append(0.0, x), np.append(y[0], y)


def near(points: FloatArray, tolerance: float = TOLERANCE) -> BoolArray:
    """Return which points (N, 2) are within the tolerance of the frontier, (N,): no other point is better by more than that in both coordinates."""
    dominated: BoolArray = _highest(points, points[:, 0] + tolerance + _ROUNDING, "right") > points[:, 1] + tolerance + _ROUNDING
    return ~dominated


def area(points: FloatArray) -> float:
    """Return the area under the staircase through the frontier of points (N, 2), from (0, 0); coordinates below 0 count as 0."""
    best = np.maximum(points[frontier(points)], 0.0)
    x, where = np.unique(best[:, 0], return_index=True)
    return float((np.diff(x, prepend=0.0) * best[where, 1]).sum())


def _highest(points: FloatArray, x: FloatArray, side: Literal["left", "right"]) -> FloatArray:
    """Return the largest second coordinate of points (N, 2) whose first is above x (M,), or with side `left` at x or above, (M,); -inf if there is none."""
    order = np.argsort(points[:, 0])
    from_right = np.append(np.maximum.accumulate(points[order[::-1], 1])[::-1], -np.inf)
    highest: FloatArray = from_right[np.searchsorted(points[order, 0], x, side)]
    return highest
