"""Lever pull: draw the lever towards the robot.

Success: past 0.3 rad towards the robot. Horizon: 40 decisions. Starts: 0.2 to 0.5 rad away from the robot.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import AHEAD, CLOSED, UP, at, choose, move
from razorbench.envs.physics import Readings, slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_PULLED = np.array([0.42, -0.27, 0.125])


def _start(u: FloatArray) -> Start:
    angle = layout.spread(u[:, 8], (0.2,), (0.5,))
    goal = layout.goals(np.tile(_PULLED, (len(u), 1)))
    return workcell().start(goal=goal, joints={"lever": angle}, **layout.table(u))


def _success(r: Readings) -> BoolArray:
    return r.lever_angle < -0.3


def _expert(r: Readings) -> FloatArray:
    beyond = r.lever + 0.05 * AHEAD
    hooked = (r.tool[:, 0] > r.lever[:, 0] + 0.010) & (np.abs(r.tool[:, 1] - r.lever[:, 1]) < 0.015)
    low = r.tool[:, 2] < r.lever[:, 2] + 0.012
    over = np.hypot(r.tool[:, 0] - beyond[:, 0], r.tool[:, 1] - beyond[:, 1]) < 0.02
    action = move(r, at(beyond, z=r.lever[:, 2] + 0.07), CLOSED)
    action = choose(over, move(r, beyond, CLOSED), action)
    return choose(hooked & low, move(r, r.lever - 0.06 * AHEAD - 0.01 * UP, CLOSED), action)


def make(id: str) -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=slot("lever_pull"),
        horizon=40,
        start=_start,
        success=_success,
        experts={"direct": _expert},
        terms={"touch": lambda r: layout.near(r.tool, r.lever, 0.1), "pull": lambda r: np.clip(0.5 - r.lever_angle, 0, 1)},
    )
