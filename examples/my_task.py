"""My task: hold the closed fingers 5 cm above the block.

Shift: the reference of the goal. The base has reached goals in free air; here the goal moves with an object that the base never had to observe.
Instruction: `free_1`. Goal: the place 5 cm above the block's top.
Start: as in `reach`, except for the goal.
Success: the tool within 2 cm of the goal, slower than 10 cm/s. Horizon: 40 decisions.
Styles: `direct`; `above` rises first and comes down.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, at, choose, move
from razorbench.envs.physics import Readings, slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray


def _start(u: FloatArray) -> Start:
    placed = layout.table(u)
    return workcell().start(goal=layout.goals(placed["block"] + (0.0, 0.0, 0.07)), **placed)


def _success(r: Readings) -> BoolArray:
    still = np.linalg.norm(r.tool_velocity, axis=1) < 0.1
    return still & (np.linalg.norm(r.tool - r.goal, axis=1) < 0.02)


def _direct(r: Readings) -> FloatArray:
    return move(r, r.goal, CLOSED)


def _above(r: Readings) -> FloatArray:
    over = np.linalg.norm(r.tool[:, :2] - r.goal[:, :2], axis=1) < 0.03
    return choose(over, move(r, r.goal, CLOSED), move(r, at(r.goal, z=r.goal[:, 2] + 0.12), CLOSED))


def make(id: str, instruction: str = "free_1", reward: str = "sparse") -> Task:
    """Return the task."""
    return Task(
        id=id,  # name and version; any change of dynamics, starts or success is a new version
        world=workcell(),  # the shared physics
        slot=slot(instruction),  # instruction input of the policy; no task uses free_1 to free_12
        horizon=40,  # decisions of 50 ms
        reward=reward,
        start=_start,  # uniforms (N, 16) to initial conditions; see envs/layout.py
        success=_success,  # readings to (N,) booleans
        experts={"direct": _direct, "above": _above},  # readings to actions (N, 4), without clocks or memory
        terms={"near": lambda r: layout.near(r.tool, r.goal, 0.1)},  # parts of the shaped reward, in [0, 1]
    )
