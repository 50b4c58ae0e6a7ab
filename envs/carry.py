"""Carry: pick the cube up and bring it to a nearby goal in the air.

Success: the cube within 3 cm of the goal, held between the fingers. Horizon: 40 decisions.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, gripped, move, pick
from razorbench.envs.physics import SLOTS, Readings, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray


def _start(u: FloatArray) -> Start:
    placed = layout.table(u)
    goal = placed["object"] + layout.spread(u[:, 12:15], (-0.07, -0.07, 0.10), (0.07, 0.07, 0.20))
    return workcell().start(goal=layout.goals(goal), **placed)


def _success(r: Readings) -> BoolArray:
    return gripped(r, 0.04) & (np.linalg.norm(r.object - r.goal, axis=1) < 0.03)


def _expert(r: Readings) -> FloatArray:
    return pick(r, move(r, r.goal + (r.tool - r.object), CLOSED))


def make(id: str) -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=SLOTS.index("carry"),
        horizon=40,
        start=_start,
        success=_success,
        experts={"direct": _expert},
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.2)},
    )
