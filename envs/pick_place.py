"""Pick and place: put the cube down on the raised pad, at the goal spot.

Shift: goal region and height. The base has picked and carried to places in the air; it has not set down and let go up
    there. Robots meet this whenever a known motion has to end somewhere new.
Instruction: own slot, or `carry`. Goal: the spot, as the cube's centre when it rests there.
Start: block and tool as in the original skills, the cube in the middle of its region there; the spot within 2.5 cm (x) and 3.5 cm (y) of the pad's centre.
Success: the cube's centre within 3 cm of the spot, level with it to 6 mm, slower than 5 cm/s, fingers open by 5.5 cm.
Horizon: 50 decisions.
Styles: `direct`; `detour` lifts high, comes to the pad from the left, and is slower.
Easy variant: from table to table, 6 to 12 cm, or from one half of the pad to the other; never from the table up to it.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import LEFT, bring, bring_round, put_down
from razorbench.envs.outcomes import set_down
from razorbench.envs.physics import Readings, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import FloatArray

_HALF = 0.02
_OBJECT = ((0.41, -0.10), (0.49, 0.03))
_SPOT = ((-0.025, -0.035), (0.025, 0.035))


def _start(u: FloatArray) -> Start:
    spot = layout.standing(u[:, 12:14], _SPOT, layout.PAD[2] + _HALF)
    spot[:, :2] += layout.PAD[:2]
    return workcell().start(goal=layout.goals(spot), **(layout.table(u) | {"object": layout.standing(u[:, 3:5], _OBJECT, _HALF)}))


def _easy_start(u: FloatArray) -> Start:
    placed = layout.table(u)
    goal = layout.nearby(placed["object"], u)
    # In every other start, cube and spot are on different halves of the pad.
    on_pad = u[:, 15] < 0.5
    side = np.where(u[:, 14] < 0.5, -1.0, 1.0)
    for place, direction, column in ((placed["object"], side, 3), (goal, -side, 12)):
        spot = np.stack([0.025 * (2 * u[:, column] - 1), direction * (0.02 + 0.015 * u[:, column + 1])], axis=1)
        place[on_pad, :2] = (layout.PAD[:2] + spot)[on_pad]
        place[on_pad, 2] = layout.PAD[2] + _HALF
    return workcell().start(goal=layout.goals(goal), **placed)


def _direct(r: Readings) -> FloatArray:
    return put_down(r, r.goal, bring(r, r.goal, clear=0.095, travel=0.16, arrive=0.12))


def _detour(r: Readings) -> FloatArray:
    return put_down(r, r.goal, bring_round(r, r.goal, 0.15 * LEFT, travel=0.28, arrive=0.13), speed=0.75)


def make(id: str, instruction: str = "own", easy: bool = False, reward: str = "sparse") -> Task:
    """Return the task, or its easy variant."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="pick_place", shared="carry"),
        horizon=50,
        reward=reward,
        start=_easy_start if easy else _start,
        success=lambda r: set_down(r, r.goal, 0.03),
        experts={"direct": _direct, "detour": _detour},
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.2)},
    )
