"""Pick up a can: lift a cylinder, 12.8 cm tall and 6.6 cm wide, by 10 cm. The paper's robot task.

Shift: the object's shape. The can is taller, wider and heavier (150 g) than the cube of pretraining: the fingers must
    stop higher, open wider and close on a round side. Whoever runs a robot meets new objects first of all.
Instruction: `lift`, or an own slot. Goal: 12 cm above the can's place.
Start: can, block and tool as in the original skills.
Success: the can gripped, moving with the tool to 0.15 m/s, and its centre 10 cm above where it stood.
Horizon: 40 decisions.
Styles: `direct` from above; `scoop` comes down beside the can and slides the open fingers round it.
Easy variant: a tin, 9 cm tall and 5.6 cm wide.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, UP, at, move, pick, scoop
from razorbench.envs.outcomes import held
from razorbench.envs.physics import Readings, Variant, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_CAN, _TIN = Variant(shape="can"), Variant(shape="tin")


def _start(u: FloatArray, can: Variant) -> Start:
    placed = layout.table(u, rest_height=can.rest_height)
    return workcell().start(goal=layout.goals(placed["object"] + 0.12 * UP), **placed)


def make(id: str, instruction: str = "shared", easy: bool = False, reward: str = "sparse") -> Task:
    """Return the task, or its easy variant."""
    can, width, grip = (_TIN, 0.056, 0.03) if easy else (_CAN, 0.066, 0.038)

    def success(r: Readings) -> BoolArray:
        return held(r, width, grip) & (r.object[:, 2] > can.rest_height + 0.10)

    def up(r: Readings) -> FloatArray:
        return move(r, at(r.tool, z=can.rest_height + 0.18), CLOSED)

    # A high grip: lower, the palm would press on the can.
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="pick_can", shared="lift"),
        horizon=40,
        reward=reward,
        start=lambda u: _start(u, can),
        success=success,
        experts={"direct": lambda r: pick(r, up(r), width=width, grip=grip), "scoop": lambda r: scoop(r, up(r), width=width, grip=grip)},
        variant=can,
        terms={
            "touch": lambda r: layout.near(r.tool, r.object, 0.1),
            "raise": lambda r: np.clip((r.object[:, 2] - can.rest_height) / 0.1, 0, 1),
        },
    )
