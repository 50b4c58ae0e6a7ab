"""Place in drawer: put the cube into the open drawer.

Shift: composition of two skills. The base can carry, and it can open and close the drawer; it has never put anything
    in. Household tasks are compositions of this kind.
Instruction: own slot, or `carry`. Goal: the middle of the open part of the drawer's floor, as the cube's centre there.
Start: the drawer open by 12 to 14 cm; block and tool as in the original skills, the cube in the nearer part
    of its region there.
Success: the cube inside the drawer (1.5 cm and more from the front, 1.5 cm and more from the sides, under 1 cm above the
    floor), slower than 5 cm/s, fingers open by 5.5 cm, and the drawer still open by 8 cm.
Horizon: 60 decisions.
Styles: `direct`; `detour` lifts high, comes over the drawer's front from the robot's side, and is slower.
Easy variant: the cube stands beside the drawer.
History: v1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import AHEAD, UP, bring, bring_round, put_down
from razorbench.envs.outcomes import released, resting
from razorbench.envs.physics import Readings, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_FRONT = np.array([0.62, 0.24, 0.0])
"""Center of the closed drawer's front, m; the handle is 5 cm in front of it, 8 cm high."""
_OBJECT = ((0.41, -0.16), (0.47, -0.01))
_RESTS = 0.036
"""Height of the cube's center on the drawer's floor, m."""


def _start(u: FloatArray) -> Start:
    return _placed(u, layout.table(u) | {"object": layout.standing(u[:, 3:5], _OBJECT, 0.02)})


def _easy_start(u: FloatArray) -> Start:
    placed = layout.table(u)
    placed["object"][:, :2] = layout.spread(u[:, 3:5], (0.46, 0.02), (0.54, 0.10))
    placed["block"][:, :2] = layout.spread(u[:, 6:8], (0.42, -0.16), (0.52, -0.12))
    return _placed(u, placed)


def _placed(u: FloatArray, placed: dict[str, Any]) -> Start:
    opening = layout.spread(u[:, 8], (0.12,), (0.14,))
    goal = np.tile(_FRONT + _RESTS * UP, (len(u), 1))
    goal[:, 0] -= opening / 2
    return workcell().start(goal=layout.goals(goal), joints={"drawer": opening}, **placed)


def _spot(r: Readings) -> FloatArray:
    """Return the center of the open part of the drawer's floor, (N, 3)."""
    spot = r.handle + 0.05 * AHEAD
    spot[:, 0] += r.drawer_opening / 2
    spot[:, 2] = _RESTS
    return spot


def _success(r: Readings) -> BoolArray:
    into = r.object[:, 0] - r.handle[:, 0] - 0.05
    inside = (into > 0.015) & (into < 0.135) & (np.abs(r.object[:, 1] - r.handle[:, 1]) < 0.06) & (r.object[:, 2] < _RESTS + 0.01)
    return inside & resting(r) & released(r) & (r.drawer_opening > 0.08)


def _direct(r: Readings) -> FloatArray:
    spot = _spot(r)
    return put_down(r, spot, bring(r, spot, clear=0.13, travel=0.17, arrive=0.13), drop=0.035)


def _detour(r: Readings) -> FloatArray:
    spot = _spot(r)
    return put_down(r, spot, bring_round(r, spot, -0.16 * AHEAD, travel=0.27, arrive=0.16), drop=0.035, speed=0.75)


def make(id: str, instruction: str = "own", easy: bool = False, reward: str = "sparse") -> Task:
    """Return the task, or its easy variant."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="place_in_drawer", shared="carry"),
        horizon=60,
        reward=reward,
        start=_easy_start if easy else _start,
        success=_success,
        experts={"direct": _direct, "detour": _detour},
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.2)},
    )
