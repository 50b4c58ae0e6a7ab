"""Carry with a worn arm: bring the cube to a nearby goal in the air, half as stiff, hardly damped, one decision late.

Shift: dynamics. The arm's actuators keep half of their stiffness and a tenth of their damping, and a command takes effect
    50 ms late: moved as boldly as usual, the tool swings past its targets and drops what it holds. Nothing in a single
    observation shows it. Wear, load and other controllers change robots like this.
Instruction: `carry`, or an own slot. Goal: the cube's centre in the air.
Start: as in `carry`.
Success: as in `carry`. Horizon: 60 decisions.
Styles: `direct`; `high` raises the cube straight up before it goes to the goal. Both are gentler than elsewhere.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.carry import carried, carry_start
from razorbench.envs.experts import CLOSED, at, choose, move, pick
from razorbench.envs.physics import Readings, Variant, instruction_slot, workcell
from razorbench.task import Task
from razorbench.types import FloatArray

_WEAK = Variant(stiffness=0.5, damping=0.1)
_GENTLY = np.array([0.6, 0.6, 0.6, 1.0])


def _direct(r: Readings) -> FloatArray:
    return _GENTLY * pick(r, move(r, r.goal + (r.tool - r.object), CLOSED))


def _high(r: Readings) -> FloatArray:
    high = np.abs(r.object[:, 2] - r.goal[:, 2]) < 0.025
    up = move(r, at(r.tool, z=r.goal[:, 2] + (r.tool - r.object)[:, 2]), CLOSED)
    return _GENTLY * pick(r, choose(high, move(r, r.goal + (r.tool - r.object), CLOSED), up))


def make(id: str, instruction: str = "shared", reward: str = "sparse") -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="carry_weak", shared="carry"),
        horizon=60,
        reward=reward,
        start=carry_start,
        success=carried,
        experts={"direct": _direct, "high": _high},
        variant=_WEAK,
        delayed=True,
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.2)},
    )
