"""Carry: pick the cube up and bring it to a nearby goal in the air.

Success: the cube within 3 cm of the goal, gripped, cube and tool slower than 10 cm/s. Horizon: 40 decisions.
Starts: the goal 10 to 20 cm above the cube's place and 4 to 9 cm aside, so that lifting alone is not enough.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, move, pick
from razorbench.envs.outcomes import held
from razorbench.envs.physics import Readings, slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray


def carry_start(u: FloatArray) -> Start:
    """Return starts with the cube on the table and the goal 10 to 20 cm above it and 4 to 9 cm aside. u: (N, 16)."""
    placed = layout.table(u)
    angle, aside = 2 * np.pi * u[:, 12], 0.04 + 0.05 * u[:, 13]
    goal = placed["object"] + np.stack([aside * np.cos(angle), aside * np.sin(angle), 0.10 + 0.10 * u[:, 14]], axis=1)
    return workcell().start(goal=layout.goals(goal), **placed)


def carried(r: Readings) -> BoolArray:
    """Return whether the cube is held at the goal, at rest."""
    slow = (np.linalg.norm(r.object_velocity, axis=1) < 0.10) & (np.linalg.norm(r.tool_velocity, axis=1) < 0.10)
    return held(r) & (np.linalg.norm(r.object - r.goal, axis=1) < 0.03) & slow


def _expert(r: Readings) -> FloatArray:
    return pick(r, move(r, r.goal + (r.tool - r.object), CLOSED))


def make(id: str) -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=slot("carry"),
        horizon=40,
        start=carry_start,
        success=carried,
        experts={"direct": _expert},
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.2)},
    )
