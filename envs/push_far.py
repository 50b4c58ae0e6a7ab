"""Push far: slide the cube over the table to a goal 20 to 30 cm away.

Shift: distance. The base has pushed 6 to 12 cm; over three times that, small errors of direction add up and have to be
    corrected on the way. A tuning task: hyper-parameters are chosen here, so it is never part of `core`.
Instruction: `push`, or an own slot. Goal: the cube's centre on the table.
Start: the cube near the right edge, the goal to its left; the block out of the way.
Success: the cube's centre within 3.5 cm of the goal, on the table (centre below 3 cm), slower than 20 cm/s.
Horizon: 60 decisions.
Styles: `direct` pushes with closed fingers from behind; `drag` takes the cube between the fingers and draws it along.
Easy variant: a goal 16 to 20 cm away.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, at, move, pick
from razorbench.envs.physics import Readings, instruction_slot, workcell
from razorbench.envs.push import pushed, slide
from razorbench.task import Start, Task
from razorbench.types import FloatArray

_OBJECT = ((0.41, -0.16), (0.50, -0.10))
_GOAL = ((0.34,), (0.50,))


def _start(u: FloatArray) -> Start:
    return _apart(u, 0.20, 0.30)


def _easy_start(u: FloatArray) -> Start:
    return _apart(u, 0.16, 0.20)


def _apart(u: FloatArray, least: float, most: float) -> Start:
    placed = layout.table(u)
    placed["object"] = layout.standing(u[:, 3:5], _OBJECT, 0.02)
    placed["block"] = layout.standing(u[:, 6:8], layout.ASIDE, layout.BLOCK_HEIGHT)
    goal = placed["object"].copy()
    goal[:, 0] = layout.spread(u[:, 12], *_GOAL)
    distance = layout.spread(u[:, 13], (least,), (most,))
    goal[:, 1] += np.sqrt(distance**2 - (goal[:, 0] - placed["object"][:, 0]) ** 2)
    return workcell().start(goal=layout.goals(goal), **placed)


def _drag(r: Readings) -> FloatArray:
    return pick(r, move(r, at(r.goal + (r.tool - r.object), z=0.022), CLOSED, 0.7))


def make(id: str, instruction: str = "shared", easy: bool = False, reward: str = "sparse") -> Task:
    """Return the task, or its easy variant."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="push_far", shared="push"),
        horizon=60,
        reward=reward,
        start=_easy_start if easy else _start,
        success=pushed,
        experts={"direct": slide, "drag": _drag},
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.3)},
    )
