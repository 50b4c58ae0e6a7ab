"""Reach: bring the tool to a goal in the air.

Success: tool within 2 cm of the goal, slower than 10 cm/s. Horizon: 40 decisions.
Starts: tool, object and block anywhere in their regions, the goal at least 6 cm from the tool.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, move
from razorbench.envs.physics import Readings, slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_GOAL = ((0.36, -0.22, 0.06), (0.60, 0.22, 0.30))


def _start(u: FloatArray) -> Start:
    placed, goal = layout.table(u), layout.spread(u[:, 12:15], *_GOAL)
    # Move a goal that is too near to the tool along y, to the side with more room.
    near = np.linalg.norm(goal - placed["tool"], axis=1) < 0.06
    goal[near, 1] -= np.where(placed["tool"][near, 1] > 0, 0.12, -0.12)
    return workcell().start(goal=layout.goals(goal), **placed)


def _success(r: Readings) -> BoolArray:
    return (np.linalg.norm(r.tool - r.goal, axis=1) < 0.02) & (np.linalg.norm(r.tool_velocity, axis=1) < 0.1)


def _expert(r: Readings) -> FloatArray:
    return move(r, r.goal, CLOSED)


def make(id: str) -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=slot("reach"),
        horizon=40,
        start=_start,
        success=_success,
        experts={"direct": _expert},
        terms={"near": lambda r: layout.near(r.tool, r.goal, 0.1)},
    )
