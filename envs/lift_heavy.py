"""Lift a heavy, slippery cube by 10 cm.

Shift: mass and friction. The cube weighs 600 g, seven times that of pretraining, and is slippery (friction 0.32 for 2):
    lifted as fast as the light one, or gripped off its centre, it slides out of the fingers. It looks the same. A tuning
    task: hyper-parameters are chosen here, so it is never part of `core`.
Instruction: `lift`, or an own slot. Goal: 12 cm above the cube's place.
Start: cube, block and tool as in the original skills.
Success: the cube gripped, moving with the tool to 0.15 m/s, and its centre 10 cm above its place on the table.
Horizon: 60 decisions.
Styles: `direct` from above; `scoop` comes down beside the cube and slides the open fingers round it.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, UP, at, move, pick, scoop
from razorbench.envs.lift import CARRYING
from razorbench.envs.outcomes import held
from razorbench.envs.physics import Readings, Variant, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_HEAVY = Variant(mass=0.6, friction=0.32)


def _start(u: FloatArray) -> Start:
    placed = layout.table(u)
    return workcell().start(goal=layout.goals(placed["object"] + 0.12 * UP), **placed)


def _success(r: Readings) -> BoolArray:
    return held(r) & (r.object[:, 2] > 0.12)


def _raise(r: Readings) -> FloatArray:
    return move(r, at(r.tool, z=0.20), CLOSED, 0.4)


def make(id: str, instruction: str = "shared", reward: str = "sparse") -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="lift_heavy", shared="lift"),
        horizon=60,
        reward=reward,
        start=_start,
        success=_success,
        experts={"direct": lambda r: pick(r, _raise(r)), "scoop": lambda r: scoop(r, _raise(r))},
        variant=_HEAVY,
        entailed_by=(*CARRYING, "lift", "pick_wall"),
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "raise": lambda r: np.clip((r.object[:, 2] - 0.02) / 0.1, 0, 1)},
    )
