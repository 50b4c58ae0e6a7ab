"""Building blocks of the scripted experts: functions of the readings alone, without clocks or memory.

An expert is a chain of phases whose conditions overlap, so that noise throws it back at most one phase. All take and
return arrays with one row per environment; actions are (N, 4).
"""

from __future__ import annotations

import numpy as np

from razorbench.envs.physics import STEP, Readings
from razorbench.types import BoolArray, FloatArray

OPEN, CLOSED = 1.0, -1.0
AHEAD, LEFT, UP = np.eye(3)


def move(r: Readings, target: FloatArray, gripper: float, speed: float = 1.0) -> FloatArray:
    """Head for a tool position (N, 3) with the gripper held open or closed; speed scales the largest lead."""
    action = np.empty((len(target), 4))
    lead = (target - r.tool) * (1.3 / STEP)
    # One factor for all axes keeps the path straight.
    lead *= (speed / np.maximum(np.abs(lead).max(axis=1), speed))[:, None]
    action[:, :3] = lead
    action[:, 3] = gripper
    return action


def choose(condition: BoolArray, action: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Take `action` in the rows where the condition holds."""
    return np.where(condition[:, None], action, otherwise)


def level(a: FloatArray, b: FloatArray) -> FloatArray:
    """Horizontal distance between points, (N,)."""
    return np.hypot(a[:, 0] - b[:, 0], a[:, 1] - b[:, 1])


def at(point: FloatArray, *, z: float | FloatArray) -> FloatArray:
    """Return the points (N, 3) at another height."""
    out = point.copy()
    out[:, 2] = z
    return out


def gripped(r: Readings, width: float) -> BoolArray:
    """Whether the closed fingers hold an object of that width along x."""
    near = (level(r.object, r.tool) < 0.02) & (np.abs(r.object[:, 2] - r.tool[:, 2]) < 0.025)
    return near & (np.abs(r.opening - width) < 0.007)


def pick(r: Readings, then: FloatArray, *, width: float = 0.04, clearance: float = 0.06, speed: float = 1.0) -> FloatArray:
    """Take the object from above, and act `then` once it is gripped."""
    away = level(r.object, r.tool)
    low = np.abs(r.tool[:, 2] - r.object[:, 2]) < 0.01
    action = move(r, r.object + clearance * UP, OPEN, speed)
    action = choose(away < 0.012, move(r, r.object, OPEN, speed), action)
    action = choose((away < 0.015) & low, move(r, r.object, CLOSED), action)
    return choose(gripped(r, width), then, action)
