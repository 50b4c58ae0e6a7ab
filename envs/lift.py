"""Lift: pick the cube up.

Success: the cube gripped, moving with the tool to 0.15 m/s, and its centre 10 cm above its place on the table. Horizon: 40 decisions.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, UP, at, move, pick
from razorbench.envs.outcomes import held
from razorbench.envs.physics import Readings, slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray


def _start(u: FloatArray) -> Start:
    placed = layout.table(u)
    return workcell().start(goal=layout.goals(placed["object"] + 0.12 * UP), **placed)


def _success(r: Readings) -> BoolArray:
    return held(r) & (r.object[:, 2] > 0.12)


def _expert(r: Readings) -> FloatArray:
    return pick(r, move(r, at(r.tool, z=0.20), CLOSED))


CARRYING = ("carry", "carry_weak", "pick_place", "place_in_drawer", "stack", "peg_insert")
"""Tasks that include a lift."""


def make(id: str) -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=slot("lift"),
        horizon=40,
        start=_start,
        success=_success,
        experts={"direct": _expert},
        entailed_by=(*CARRYING, "lift_heavy", "pick_wall"),
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "raise": lambda r: np.clip((r.object[:, 2] - 0.02) / 0.1, 0, 1)},
    )
