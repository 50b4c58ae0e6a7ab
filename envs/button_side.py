"""Press the orange button, which sits on the side of a post and faces left.

Shift: approach direction. The base has pressed a button on the table from above; this one has to be pressed sideways,
    at a height of 9 cm, by the same instruction.
Instruction: `button_press`, or an own slot. Goal: the orange button, pressed.
Start: cube, block and tool as in the original skills.
Success: pressed by more than 12 mm. Horizon: 40 decisions.
Styles: `direct` presses with closed fingers; `finger` opens the hand and presses with the far finger.
Easy variant: the tool starts within 9 cm of the button, in front of it.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import AHEAD, CLOSED, LEFT, OPEN, choose, move
from razorbench.envs.physics import Readings, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import FloatArray

_PRESSED = np.array([0.34, -0.376, 0.09])
_FINGER = 0.0475
"""Distance of a finger of the open hand from the hand's center, m."""


def _start(u: FloatArray) -> Start:
    return workcell().start(goal=layout.goals(np.tile(_PRESSED, (len(u), 1))), **layout.table(u))


def _easy_start(u: FloatArray) -> Start:
    placed = layout.table(u)
    placed["tool"] = layout.spread(u[:, 0:3], (0.32, -0.32, 0.07), (0.36, -0.27, 0.11))
    return workcell().start(goal=layout.goals(np.tile(_PRESSED, (len(u), 1))), **placed)


def _press(r: Readings, gripper: float, offset: float) -> FloatArray:
    """Move to 6 cm in front of the button and press straight in. offset: of the tool from the button along x, m."""
    point = r.side_button + offset * AHEAD
    off = np.hypot(r.tool[:, 0] - point[:, 0], r.tool[:, 2] - point[:, 2])
    action = move(r, point + 0.06 * LEFT, gripper)
    return choose(off < 0.015, move(r, point - 0.06 * LEFT, gripper), action)


def make(id: str, instruction: str = "shared", easy: bool = False, reward: str = "sparse") -> Task:
    """Return the task, or its easy variant."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="button_side", shared="button_press"),
        horizon=40,
        reward=reward,
        start=_easy_start if easy else _start,
        success=lambda r: r.side_button_depth > 0.012,
        experts={"direct": lambda r: _press(r, CLOSED, 0.0), "finger": lambda r: _press(r, OPEN, -_FINGER)},
        terms={"touch": lambda r: layout.near(r.tool, r.side_button, 0.2), "press": lambda r: np.clip(r.side_button_depth / 0.012, 0, 1)},
    )
