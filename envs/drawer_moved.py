"""Open the drawer of a cabinet that stands somewhere else.

Shift: fixture pose. The cabinet is 14 cm nearer and turned by half a radian; in pretraining it never moved, so its place is
    learned by heart. Furniture gets moved.
Instruction: `drawer_open`, or an own slot. Goal: where the handle should go.
Start: the drawer within 2 cm of shut; cube and tool as in the original skills; the block out of the way.
Success: opened by more than 10 cm. Horizon: 40 decisions.
Styles: `direct` grips the handle from above; `side` comes down beside the handle and slides the open fingers along it.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.drawer import draw_out, pull
from razorbench.envs.experts import CLOSED, UP, choose, move, sideways
from razorbench.envs.physics import Readings, Variant, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import FloatArray

_POSE = (0.56, 0.24, 0.50)
_OUT = -np.array([np.cos(_POSE[2]), np.sin(_POSE[2]), 0.0])
"""Opening direction of the drawer."""
_ALONG = np.array([-_OUT[1], _OUT[0], 0.0])
"""Along the handle, to the robot's right."""
_AJAR = 0.0
"""Half-open gripper, the room between handle and drawer."""
_SHUT = np.array([_POSE[0], _POSE[1], 0.08]) + 0.13 * _OUT


def _start(u: FloatArray) -> Start:
    goal = np.tile(_SHUT + 0.12 * _OUT, (len(u), 1))
    placed = layout.table(u)
    placed["block"] = layout.standing(u[:, 6:8], layout.ASIDE, layout.BLOCK_HEIGHT)
    return workcell().start(goal=layout.goals(goal), joints={"drawer": layout.spread(u[:, 8], (0.0,), (0.02,))}, **placed)


def _side(r: Readings) -> FloatArray:
    inside = r.handle - 0.002 * UP
    action = sideways(r, inside, _ALONG, _AJAR)
    action = choose(np.linalg.norm(r.tool - inside, axis=1) < 0.02, move(r, inside, CLOSED), action)
    return draw_out(r, _OUT, action, opening=0.03, speed=0.6)


def make(id: str, instruction: str = "shared", reward: str = "sparse") -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="drawer_moved", shared="drawer_open"),
        horizon=40,
        reward=reward,
        start=_start,
        success=lambda r: r.drawer_opening > 0.10,
        experts={"direct": lambda r: pull(r, _OUT), "side": _side},
        variant=Variant(cabinet=_POSE),
        entailed_by=("drawer_open",),
        terms={"touch": lambda r: layout.near(r.tool, r.handle, 0.1), "pull": lambda r: np.clip(r.drawer_opening / 0.1, 0, 1)},
    )
