"""Peg insert: put the peg, 24 mm square and 10 cm tall, into the green socket's hole, 32 mm square and 5 cm deep.

Shift: precision and contact. 4 mm of room on each side, at the end of a way of up to half a metre; the base has never
    touched the socket nor the peg. Assembly is this, over and over.
Instruction: own slot, or `carry`. Goal: the peg's centre when it stands at the bottom of the hole.
Start: the peg upright where the cube stands in the original skills; block and tool as there.
Success: the peg's centre within 5 mm of the hole's and less than 5 mm above its place at the bottom, slower than 5 cm/s.
Horizon: 60 decisions.
Styles: `direct`; `detour` lifts high, comes to the hole from the robot's side, and is slower.
Easy variant: the peg stands between its usual place and the socket.
History: v1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import AHEAD, CLOSED, at, bring, bring_round, choose, move, pick
from razorbench.envs.outcomes import level, resting
from razorbench.envs.physics import Readings, Variant, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_PEG = Variant(shape="peg")
_WIDTH, _GRIP = 0.024, 0.022
_BOTTOM = np.array([0.36, 0.36, 0.05])


def _start(u: FloatArray) -> Start:
    return _placed(layout.table(u, rest_height=_PEG.rest_height))


def _easy_start(u: FloatArray) -> Start:
    placed = layout.table(u, rest_height=_PEG.rest_height)
    placed["object"][:, :2] = layout.spread(u[:, 3:5], (0.36, 0.04), (0.46, 0.28))
    placed["block"][:, :2] = layout.spread(u[:, 6:8], (0.52, -0.05), (0.56, 0.08))
    return _placed(placed)


def _placed(placed: dict[str, Any]) -> Start:
    return workcell().start(goal=layout.goals(np.tile(_BOTTOM, (len(placed["tool"]), 1))), **placed)


def _success(r: Readings) -> BoolArray:
    return (level(r.object, r.goal) < 0.005) & (r.object[:, 2] < _BOTTOM[2] + 0.005) & resting(r)


def _insert(r: Readings, carried: FloatArray, speed: float) -> FloatArray:
    """Hover over the hole, then lower the peg while it is within 3 mm of the hole's axis; inside, the walls guide it."""
    above = r.object[:, 2] - _BOTTOM[2]
    off = level(r.object, r.goal)
    inside = (above < 0.045) & (off < 0.013)
    height = np.where(inside | (off < 0.003), r.object[:, 2] - 0.03, _BOTTOM[2] + 0.054)
    carried = choose(inside | ((off < 0.02) & (above < 0.08)), move(r, at(r.goal, z=height) + (r.tool - r.object), CLOSED), carried)
    return pick(r, carried, width=_WIDTH, grip=_GRIP, speed=speed)


def _direct(r: Readings) -> FloatArray:
    return _insert(r, bring(r, r.goal, clear=0.11, travel=0.14, arrive=0.11), 1.0)


def _detour(r: Readings) -> FloatArray:
    return _insert(r, bring_round(r, r.goal, -0.08 * AHEAD, travel=0.22, arrive=0.11, speed=1.0), 1.0)


def make(id: str, instruction: str = "own", easy: bool = False, reward: str = "sparse") -> Task:
    """Return the task, or its easy variant."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="peg_insert", shared="carry"),
        horizon=60,
        reward=reward,
        start=_easy_start if easy else _start,
        success=_success,
        experts={"direct": _direct, "detour": _detour},
        variant=_PEG,
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.3)},
    )
