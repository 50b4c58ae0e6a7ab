"""Building blocks of the scripted experts: functions of the current readings, without clocks or memory.

An expert is a chain of phases with overlapping conditions, so that noise sets it back by at most one phase. All functions take and return arrays with one
row per environment; actions are (N, 4). width: of the object along x, between the fingers, m; grip: height of the grasp above the object's center, m;
speed: factor on the largest lead.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs.outcomes import gripped, level
from razorbench.envs.physics import STEP, Readings
from razorbench.types import BoolArray, FloatArray

OPEN, CLOSED = 1.0, -1.0
AHEAD, LEFT, UP = np.eye(3)


def move(r: Readings, target: FloatArray, gripper: float, speed: float = 1.0) -> FloatArray:
    """Return actions towards a tool position (N, 3), m, with the gripper open or closed."""
    action = np.empty((len(target), 4))
    lead = (target - r.tool) * (1.3 / STEP)
    # One factor for all axes keeps the path straight.
    lead *= (speed / np.maximum(np.abs(lead).max(axis=1), speed))[:, None]
    action[:, :3] = lead
    action[:, 3] = gripper
    return action


def choose(condition: BoolArray, action: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Return `action` in the rows where the condition (N,) holds, else `otherwise`."""
    return np.where(condition[:, None], action, otherwise)


def at(point: FloatArray, *, z: float | FloatArray) -> FloatArray:
    """Return the points (N, 3) at height z, m."""
    out = point.copy()
    out[:, 2] = z
    return out


def pick(r: Readings, then: FloatArray, *, width: float = 0.04, grip: float = 0.0, speed: float = 1.0) -> FloatArray:
    """Pick the object from above; return `then` once it is gripped."""
    point = r.object + grip * UP
    away = level(r.object, r.tool)
    low = np.abs(r.tool[:, 2] - point[:, 2]) < 0.01
    action = move(r, point + 0.06 * UP, OPEN, speed)
    action = choose(away < 0.012, move(r, point, OPEN, speed), action)
    action = choose((away < 0.015) & low, move(r, point, CLOSED), action)
    return choose(gripped(r, width, grip), then, action)


def scoop(r: Readings, then: FloatArray, *, width: float = 0.04, grip: float = 0.0, speed: float = 1.0) -> FloatArray:
    """Descend on the object's right and slide the open fingers around it; return `then` once it is gripped."""
    point = r.object + grip * UP
    action = sideways(r, point, -LEFT, OPEN, speed)
    low = np.abs(r.tool[:, 2] - point[:, 2]) < 0.015
    action = choose(low & (level(point, r.tool) < 0.012), move(r, point, CLOSED), action)
    return choose(gripped(r, width, grip), then, action)


def sideways(r: Readings, point: FloatArray, side: FloatArray, gripper: float, speed: float = 1.0) -> FloatArray:
    """Descend 7 cm to the side of a point (N, 3), then slide to it horizontally in a straight line. side: (3,), horizontal unit vector."""
    offset = r.tool - point
    out = (offset * side).sum(axis=1)
    astray = np.abs(offset[:, 0] * side[1] - offset[:, 1] * side[0])
    aside = point + 0.07 * side
    action = move(r, aside + 0.07 * UP, gripper, speed)
    action = choose((out > 0.05) & (out < 0.12) & (astray < 0.02), move(r, aside, gripper, speed), action)
    # A target close ahead leaves room in the action for lateral corrections.
    ahead = point + np.maximum(out - 0.03, 0.0)[:, None] * side
    in_line = (astray < 0.01) & (np.abs(offset[:, 2]) < 0.015) & (out > -0.02) & (out < 0.12)
    return choose(in_line, move(r, ahead, gripper, speed), action)


def bring(r: Readings, spot: FloatArray, *, clear: float, travel: float, arrive: float, speed: float = 1.0) -> FloatArray:
    """Carry the object in a straight line to above a spot (N, 3): rise, travel once its center is above `clear`, arrive at a height. Heights: m."""
    height = np.where(level(r.object, spot) < 0.06, arrive, travel)
    action = move(r, at(r.tool, z=travel + 0.02), CLOSED, speed)
    return choose(r.object[:, 2] > clear, move(r, at(spot, z=height) + (r.tool - r.object), CLOSED, speed), action)


def bring_round(r: Readings, spot: FloatArray, offset: FloatArray, *, travel: float, arrive: float, speed: float = 0.75) -> FloatArray:
    """Carry the object high to an offset from the spot (N, 3), then across to above the spot. offset: (3,), horizontal, m."""
    across = (r.object[:, 0] - spot[:, 0]) * offset[1] - (r.object[:, 1] - spot[:, 1]) * offset[0]
    abreast = np.abs(across) < 0.03 * np.linalg.norm(offset)
    held_out = r.tool - r.object
    action = move(r, at(r.tool, z=travel + 0.04), CLOSED, speed)
    action = choose(r.object[:, 2] > travel - 0.04, move(r, at(spot + offset, z=travel) + held_out, CLOSED, speed), action)
    return choose(abreast & (r.object[:, 2] > arrive - 0.04), move(r, at(spot, z=arrive) + held_out, CLOSED, speed), action)


def put_down(r: Readings, spot: FloatArray, carried: FloatArray, *, drop: float = 0.008, near: float = 0.015, speed: float = 1.0) -> FloatArray:
    """Put the object's center at a spot (N, 3): release within `drop` (m) above it. carried: action until the object is above the spot."""
    over = level(r.object, spot) < near
    action = pick(r, choose(over, move(r, spot + (r.tool - r.object), CLOSED, speed), carried), speed=speed)
    arrived = over & (r.object[:, 2] - spot[:, 2] < drop)
    return choose(arrived, move(r, at(r.tool, z=r.tool[:, 2] + 0.01), OPEN), action)
