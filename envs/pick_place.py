"""Pick and place: put the cube down on the raised pad, at the spot asked for.

What shifts: goals on the pad, and their height, are never asked for in pretraining; the base has picked and carried,
but has not set down and let go there.
Success: the cube's centre within 3 cm of the spot, resting on the pad (0.9 to 1.3 times its resting height above it),
slower than 5 cm/s, and released (finger opening above 5.5 cm). Horizon: 50 decisions.
Styles: `direct`; `detour` lifts high, comes to the pad from the left, and is slower.
Easy variant (a stated share of pretraining): from table to table, 6 to 12 cm, or from one half of the pad to
the other; never from the table up to the pad.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, LEFT, OPEN, UP, at, choose, level, move, pick
from razorbench.envs.physics import SLOTS, Readings, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_HALF = 0.02
_SPOT = ((-0.025, -0.035), (0.025, 0.035))


def _spots(u: FloatArray) -> FloatArray:
    top = layout.PAD + _HALF * UP
    return np.concatenate([top[:2] + layout.spread(u[:, 12:14], *_SPOT), np.full((len(u), 1), top[2])], axis=1)


def _start(u: FloatArray) -> Start:
    return workcell().start(goal=layout.goals(_spots(u)), **layout.table(u))


def _easy_start(u: FloatArray) -> Start:
    placed = layout.table(u)
    goal = layout.nearby(placed["object"], u)
    # Every other start is on the pad, cube and spot on different halves of it.
    on_pad = u[:, 15] < 0.5
    side = np.where(u[:, 14] < 0.5, -1.0, 1.0)
    for place, direction, column in ((placed["object"], side, 3), (goal, -side, 12)):
        spot = np.stack([0.025 * (2 * u[:, column] - 1), direction * (0.02 + 0.015 * u[:, column + 1])], axis=1)
        place[on_pad, :2] = (layout.PAD[:2] + spot)[on_pad]
        place[on_pad, 2] = layout.PAD[2] + _HALF
    return workcell().start(goal=layout.goals(goal), **placed)


def _success(r: Readings) -> BoolArray:
    on_pad = np.abs(r.object[:, 2] - r.goal[:, 2]) < 0.006
    at_rest = np.linalg.norm(r.object_velocity, axis=1) < 0.05
    return (level(r.object, r.goal) < 0.03) & on_pad & at_rest & (r.opening > 0.055)


def _set_down(r: Readings, carried: FloatArray, speed: float) -> FloatArray:
    """Lower the cube onto the spot and let go; `carried` is the action while it is not yet above it."""
    over = level(r.object, r.goal) < 0.015
    down = np.abs(r.object[:, 2] - r.goal[:, 2]) < 0.008
    placed = over & down
    held = choose(over, move(r, r.goal + (r.tool - r.object), CLOSED, speed), carried)
    action = pick(r, held, speed=speed)
    return choose(placed, move(r, at(r.tool, z=r.tool[:, 2] + 0.01), OPEN), action)


def _direct(r: Readings) -> FloatArray:
    high = np.where(level(r.object, r.goal) < 0.06, 0.12, 0.16)
    over_goal = at(r.goal, z=high) + (r.tool - r.object)
    rise = move(r, at(r.tool, z=0.16), CLOSED)
    carried = choose(r.object[:, 2] > 0.095, move(r, over_goal, CLOSED), rise)
    return _set_down(r, carried, 1.0)


def _detour(r: Readings) -> FloatArray:
    speed = 0.75
    side = r.goal + 0.15 * LEFT
    high = r.object[:, 2] > 0.22
    abreast = np.abs(r.object[:, 0] - r.goal[:, 0]) < 0.03
    rise = move(r, at(r.tool, z=0.30), CLOSED, speed)
    carried = choose(high, move(r, at(side, z=0.28), CLOSED, speed), rise)
    carried = choose(abreast & (r.object[:, 2] > 0.09), move(r, at(r.goal, z=0.13), CLOSED, speed), carried)
    return _set_down(r, carried, speed)


def make(id: str, easy: bool = False) -> Task:
    """Return the task, or its easy variant."""
    return Task(
        id=id,
        world=workcell(),
        slot=SLOTS.index("pick_place"),
        horizon=50,
        start=_easy_start if easy else _start,
        success=_success,
        experts={"direct": _direct, "detour": _detour},
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.2)},
    )
