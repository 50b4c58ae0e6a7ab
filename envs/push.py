"""Push: slide the cube over the table to a goal 6 to 12 cm away.

Success: the cube's centre within 3.5 cm of the goal, on the table (centre below 3 cm), slower than 20 cm/s. Horizon: 40 decisions.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, at, choose, move
from razorbench.envs.outcomes import level
from razorbench.envs.physics import Readings, slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_HEIGHT = 0.02


def _start(u: FloatArray) -> Start:
    placed = layout.table(u)
    goal = layout.nearby(placed["object"], u)
    return workcell().start(goal=layout.goals(goal), **placed)


def pushed(r: Readings) -> BoolArray:
    """Return whether the cube is at the goal and slow, rather than passing."""
    return (level(r.object, r.goal) < 0.035) & (r.object[:, 2] < 0.03) & (np.linalg.norm(r.object_velocity, axis=1) < 0.2)


def slide(r: Readings) -> FloatArray:
    """Go behind the object as seen from the goal, descend, and push along the line to it."""
    line = r.goal[:, :2] - r.object[:, :2]
    direction = line / np.maximum(np.linalg.norm(line, axis=1), 1e-6)[:, None]
    offset = r.tool[:, :2] - r.object[:, :2]
    along = (offset * direction).sum(axis=1)
    across = np.abs(offset[:, 0] * direction[:, 1] - offset[:, 1] * direction[:, 0])
    behind = at(r.object, z=0.10)
    behind[:, :2] -= 0.05 * direction
    ready = level(r.tool, behind) < 0.015
    low = r.tool[:, 2] < 0.035
    action = move(r, behind, CLOSED)
    # To the side of the object, rise before going around it; behind it, stay low.
    action = choose((r.tool[:, 2] < 0.06) & (along > -0.035), move(r, at(r.tool, z=0.12), CLOSED), action)
    action = choose(ready | (low & (along < -0.035)), move(r, at(behind, z=_HEIGHT), CLOSED), action)
    # The tool's place when the object has arrived: the lead shrinks on the way, so the object is not knocked over.
    arrived = at(r.goal, z=_HEIGHT)
    arrived[:, :2] -= 0.03 * direction
    pushing = low & (along < -0.02) & (across < 0.014)
    # Touch it gently, and go on so while it is tilted.
    gently = (along < -0.037) | (r.object_up[:, 2] < 0.97)
    return choose(pushing, choose(gently, move(r, arrived, CLOSED, 0.3), move(r, arrived, CLOSED, 0.45)), action)


def make(id: str) -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=slot("push"),
        horizon=40,
        start=_start,
        success=pushed,
        experts={"direct": slide},
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.1)},
    )
