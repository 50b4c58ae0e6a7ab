"""Button press: push the red button down.

Success: pressed by more than 15 mm. Horizon: 40 decisions.
History: v1.
"""

from __future__ import annotations

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import CLOSED, UP, choose, move
from razorbench.envs.outcomes import level
from razorbench.envs.physics import Readings, slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_PRESSED = np.array([0.62, -0.22, 0.048])


def _start(u: FloatArray) -> Start:
    return workcell().start(goal=layout.goals(np.tile(_PRESSED, (len(u), 1))), **layout.table(u))


def _success(r: Readings) -> BoolArray:
    return r.button_depth > 0.015


def _expert(r: Readings) -> FloatArray:
    action = move(r, r.button + 0.05 * UP, CLOSED)
    return choose(level(r.button, r.tool) < 0.015, move(r, r.button - 0.06 * UP, CLOSED), action)


def make(id: str) -> Task:
    """Return the task."""
    return Task(
        id=id,
        world=workcell(),
        slot=slot("button_press"),
        horizon=40,
        start=_start,
        success=_success,
        experts={"direct": _expert},
        terms={"touch": lambda r: layout.near(r.tool, r.button, 0.1), "press": lambda r: np.clip(r.button_depth / 0.015, 0, 1)},
    )
