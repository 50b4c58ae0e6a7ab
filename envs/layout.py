"""Start layout: regions of the workcell, and maps from uniforms to places, m.

Columns of the uniforms, the same in every task: 0-2 tool, 3-4 object, 5 object yaw, 6-7 block, 8-11 fixtures, 12-15 goal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from razorbench.types import FloatArray

TOOL = ((0.40, -0.15, 0.14), (0.56, 0.15, 0.26))
OBJECT = ((0.41, -0.16), (0.52, 0.03))
BLOCK = ((0.42, 0.09), (0.52, 0.13))
ASIDE = ((0.585, -0.13), (0.60, -0.10))
"""Region of the block in tasks that need its usual place."""
BLOCK_HEIGHT = 0.0225
NEARBY = ((0.41, -0.17), (0.56, 0.05))
"""Region of goals on the table."""
PAD = np.array([0.66, -0.03, 0.05])
"""Center of the raised pad's top face."""


def spread(u: FloatArray, low: tuple[float, ...], high: tuple[float, ...]) -> FloatArray:
    """Map uniforms (N, D) to a box."""
    low_, high_ = np.asarray(low), np.asarray(high)
    return low_ + u * (high_ - low_)


def standing(u: FloatArray, region: tuple[tuple[float, ...], tuple[float, ...]], height: float) -> FloatArray:
    """Return places (N, 3) on the table for an object whose center rests at a height. u: (N, 2)."""
    return np.concatenate([spread(u, *region), np.full((len(u), 1), height)], axis=1)


def table(u: FloatArray, *, rest_height: float = 0.02) -> dict[str, Any]:
    """Return places of tool, object and block at rest in their regions. u: (N, 16)."""
    return {
        "tool": spread(u[:, 0:3], *TOOL),
        "object": standing(u[:, 3:5], OBJECT, rest_height),
        "yaw": spread(u[:, 5], (-0.2,), (0.2,)),
        "block": standing(u[:, 6:8], BLOCK, BLOCK_HEIGHT),
    }


def goals(place: FloatArray) -> FloatArray:
    """Return goals (N, 4) at places (N, 3), without a symbol."""
    return np.concatenate([place, np.zeros((len(place), 1))], axis=1)


def nearby(place: FloatArray, u: FloatArray) -> FloatArray:
    """Return goals (N, 3) on the table 6 to 12 cm from places (N, 3). u: (N, 16)."""
    angle, distance = 2 * np.pi * u[:, 12], 0.06 + 0.06 * u[:, 13]
    goal = place.copy()
    step = np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)
    # Mirror a step that would leave the region.
    out = (goal[:, :2] + step < NEARBY[0]) | (goal[:, :2] + step > NEARBY[1])
    goal[:, :2] += np.where(out, -step, step)
    return goal


def near(a: FloatArray, b: FloatArray, margin: float) -> FloatArray:
    """Return a shaped reward term (N,): 1 where points a and b (N, 3) meet, about 0.1 at the margin, m."""
    distance = np.linalg.norm(a - b, axis=1)
    return 1.0 - np.tanh(1.5 * distance / margin)
