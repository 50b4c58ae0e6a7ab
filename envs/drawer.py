"""Drawer open, drawer close: pull the cabinet's drawer out by its handle, or push it shut.

Success: opened by more than 10 cm; or closed to within 1 cm. Horizon: 40 decisions.
Starts: open from within 2 cm of shut; close from 8 to 15 cm out. The goal reading marks where the handle should go.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import AHEAD, CLOSED, OPEN, UP, choose, move
from razorbench.envs.outcomes import level
from razorbench.envs.physics import Readings, slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_SHUT = np.array([0.57, 0.24, 0.08])
"""Place of the handle when the drawer is shut, m."""


def _start(u: FloatArray, low: float, high: float, goal: float) -> Start:
    opening = layout.spread(u[:, 8], (low,), (high,))
    handle = np.tile(_SHUT - goal * AHEAD, (len(u), 1))
    return workcell().start(goal=layout.goals(handle), joints={"drawer": opening}, **layout.table(u))


def _opened(r: Readings) -> BoolArray:
    return r.drawer_opening > 0.10


def _closed(r: Readings) -> BoolArray:
    return r.drawer_opening < 0.01


def pull(r: Readings, out: FloatArray = -AHEAD) -> FloatArray:
    """Grip the handle from above and pull it out. out: (3,), the drawer's opening direction."""
    away = level(r.handle, r.tool)
    height = r.tool[:, 2] - r.handle[:, 2]
    inside = r.handle - 0.006 * UP
    action = move(r, r.handle + 0.06 * UP, OPEN)
    action = choose(away < 0.016, move(r, inside, OPEN), action)
    action = choose((away < 0.02) & (height < 0.012), move(r, inside, CLOSED), action)
    return draw_out(r, out, action)


def draw_out(r: Readings, out: FloatArray, otherwise: FloatArray, opening: float = 0.05, speed: float = 1.0) -> FloatArray:
    """Pull the handle once a finger is hooked behind its bar and the fingers are open by less than `opening` (m): the grip need not be firm."""
    hooked = (level(r.handle, r.tool) < 0.035) & (r.tool[:, 2] - r.handle[:, 2] < 0.018) & (r.opening < opening)
    return choose(hooked, move(r, r.handle + 0.10 * out, CLOSED, speed), otherwise)


def shove(r: Readings) -> FloatArray:
    """Descend in front of the handle with closed fingers and push it away from the robot."""
    front = r.handle - 0.045 * AHEAD
    in_front = (r.tool[:, 0] < r.handle[:, 0] - 0.010) & (np.abs(r.tool[:, 1] - r.handle[:, 1]) < 0.03)
    action = move(r, front + 0.08 * UP, CLOSED)
    action = choose(level(front, r.tool) < 0.018, move(r, front, CLOSED), action)
    low = np.abs(r.tool[:, 2] - r.handle[:, 2]) < 0.014
    return choose(in_front & low, move(r, r.handle + 0.03 * AHEAD, CLOSED), action)


def make_open(id: str) -> Task:
    """Return `drawer_open`."""
    return Task(
        id=id,
        world=workcell(),
        slot=slot("drawer_open"),
        horizon=40,
        start=lambda u: _start(u, 0.0, 0.02, 0.12),
        success=_opened,
        experts={"direct": pull},
        entailed_by=("drawer_moved",),
        terms={"touch": lambda r: layout.near(r.tool, r.handle, 0.1), "pull": lambda r: np.clip(r.drawer_opening / 0.1, 0, 1)},
    )


def make_close(id: str) -> Task:
    """Return `drawer_close`."""
    return Task(
        id=id,
        world=workcell(),
        slot=slot("drawer_close"),
        horizon=40,
        start=lambda u: _start(u, 0.08, 0.15, 0.0),
        success=_closed,
        experts={"direct": shove},
        terms={"touch": lambda r: layout.near(r.tool, r.handle, 0.1), "push": lambda r: np.clip(1 - r.drawer_opening / 0.15, 0, 1)},
    )
