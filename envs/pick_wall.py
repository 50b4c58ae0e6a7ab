"""Pick up the cube from behind a wall, without moving the wall.

Shift: an obstacle between start and object. The wall, 18 cm wide and 12 cm tall, stands between tool and cube and gives
    way when touched; in pretraining it never was in the way, and the straight line that the base knows goes through it.
Instruction: `lift`, or an own slot. Goal: 12 cm above the cube's place.
Start: the tool low on the left of the wall, the cube on its right, the block as in the original skills.
Success: the cube gripped, moving with the tool to 0.15 m/s, its centre 10 cm above its place on the table, and the wall
    within 3 mm of where it stood. Horizon: 50 decisions.
Styles: `over` the wall; `around` its near end.
Easy variant: the tool starts on the cube's side of the wall.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, LEFT, OPEN, UP, at, choose, move, pick
from razorbench.envs.outcomes import held
from razorbench.envs.physics import Readings, Variant, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_WALL = (0.47, -0.02, 0.0)
_TOOL = ((0.42, 0.03, 0.04), (0.52, 0.07, 0.09))
_ACROSS = ((0.42, -0.10, 0.16), (0.52, -0.03, 0.22))
_OBJECT = ((0.42, -0.16), (0.52, -0.10))


def _start(u: FloatArray) -> Start:
    return _behind(u, layout.spread(u[:, 0:3], *_TOOL))


def _easy_start(u: FloatArray) -> Start:
    return _behind(u, layout.spread(u[:, 0:3], *_ACROSS))


def _behind(u: FloatArray, tool: FloatArray) -> Start:
    placed = layout.table(u)
    placed["tool"] = tool
    placed["object"] = layout.standing(u[:, 3:5], _OBJECT, 0.02)
    return workcell().start(goal=layout.goals(placed["object"] + 0.12 * UP), **placed)


def _success(r: Readings) -> BoolArray:
    return held(r) & (r.object[:, 2] > 0.12) & (np.abs(r.wall_shift) < 0.003)


def _lift(r: Readings) -> FloatArray:
    return pick(r, move(r, at(r.tool, z=0.20), CLOSED))


def _over(r: Readings) -> FloatArray:
    before = r.tool[:, 1] > _WALL[1] - 0.06
    across = at(r.object + 0.02 * LEFT, z=0.20)
    action = choose(r.tool[:, 2] > 0.165, move(r, across, OPEN), move(r, at(r.tool, z=0.22), OPEN))
    return choose(before, action, _lift(r))


def _around(r: Readings) -> FloatArray:
    y = r.tool[:, 1]
    # Beyond the wall's end by more than the open fingers reach; the hand above them passes over its top.
    beyond = r.tool[:, 0] < _WALL[0] - 0.155
    end = np.tile([_WALL[0] - 0.175, 0.0, 0.115], (len(y), 1))
    end[:, 1] = np.where(beyond, _WALL[1] - 0.09, np.maximum(y, _WALL[1] + 0.06))
    return choose(y > _WALL[1] - 0.06, move(r, end, OPEN), _lift(r))


def make(id: str, instruction: str = "shared", easy: bool = False, reward: str = "sparse") -> Task:
    """Return the task, or its easy variant."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="pick_wall", shared="lift"),
        horizon=50,
        reward=reward,
        start=_easy_start if easy else _start,
        success=_success,
        experts={"over": _over, "around": _around},
        variant=Variant(wall=_WALL),
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "raise": lambda r: np.clip((r.object[:, 2] - 0.02) / 0.1, 0, 1)},
    )
