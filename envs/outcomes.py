"""Building blocks of success predicates: functions of the readings to (N,) bool."""

from __future__ import annotations

import numpy as np

from razorbench.envs.physics import Readings
from razorbench.types import BoolArray, FloatArray


def level(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the horizontal distance between points (N, 3), (N,), m."""
    return np.hypot(a[:, 0] - b[:, 0], a[:, 1] - b[:, 1])


def gripped(r: Readings, width: float = 0.04, grip: float = 0.0) -> BoolArray:
    """Return whether the fingers are closed on an object of a width (m, along x), about `grip` above its center."""
    near = (level(r.object, r.tool) < 0.02) & (np.abs(r.tool[:, 2] - r.object[:, 2] - grip) < 0.025)
    return near & (np.abs(r.opening - width) < 0.007)


def held(r: Readings, width: float = 0.04, grip: float = 0.0) -> BoolArray:
    """Return whether the object is gripped and moves with the tool, to within 0.15 m/s."""
    return gripped(r, width, grip) & (np.linalg.norm(r.object_velocity - r.tool_velocity, axis=1) < 0.15)


def released(r: Readings, width: float = 0.04) -> BoolArray:
    """Return whether the fingers are open by more than the object's width plus 1.5 cm."""
    return r.opening > width + 0.015


def resting(r: Readings) -> BoolArray:
    """Return whether the object is slower than 5 cm/s."""
    return np.linalg.norm(r.object_velocity, axis=1) < 0.05


def set_down(r: Readings, spot: FloatArray, within: float) -> BoolArray:
    """Return whether the object rests, released, with its center within 6 mm of the height of a spot (N, 3). within: horizontal tolerance, m."""
    return (level(r.object, spot) < within) & (np.abs(r.object[:, 2] - spot[:, 2]) < 0.006) & resting(r) & released(r)
