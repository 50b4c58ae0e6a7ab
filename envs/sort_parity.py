"""Sort by parity: put the cube down on any pad of the goal's parity.

Shift: redundancy. Three of the six numbered pads are right each time, and the base prefers some of them: there are many
    ways to be right, some near to what the base does and some far. The robot twin of the paper's ParityMNIST.
Instruction: own slot, or `carry`. Goal: the middle of the row of pads, always; its symbol: 1 for even, -1 for odd.
Start: block and tool as in the original skills, the cube 18 to 24 cm before the pads; even and odd by halves.
Success: the cube's centre on a right pad (3.5 cm to each side of its middle), on the table to 6 mm, slower than 5 cm/s,
    fingers open by 5.5 cm. Horizon: 50 decisions.
Styles: `middle` takes the right one of pads 2 and 3, as the base does in 99% of its successes; `two` follows the paper's
    first labelling (even to pad 0, odd to pad 1); `four` its second (even to 0 or 4, odd to 1 or 5, by the cube's side).
Easy variant: the cube stands beside the row's middle pads and goes to the nearest right one.
History: v1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from razorbench.envs import layout
from razorbench.envs.experts import bring, put_down
from razorbench.envs.outcomes import released, resting
from razorbench.envs.physics import Readings, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_PADS = np.stack([np.full(6, 0.32), -0.25 + 0.10 * np.arange(6), np.full(6, 0.02)], axis=1)
_MIDDLE = np.array([0.32, 0.0, 0.02])
_OBJECT = ((0.50, -0.16), (0.56, 0.03))
_EVEN = np.arange(6) % 2 == 0


def _start(u: FloatArray) -> Start:
    return _placed(u, layout.table(u) | {"object": layout.standing(u[:, 3:5], _OBJECT, 0.02)})


def _easy_start(u: FloatArray) -> Start:
    placed = layout.table(u)
    placed["object"][:, :2] = layout.spread(u[:, 3:5], (0.365, -0.08), (0.39, 0.05))
    return _placed(u, placed)


def _placed(u: FloatArray, placed: dict[str, Any]) -> Start:
    symbol = np.where(u[:, 12] < 0.5, 1.0, -1.0)
    return workcell().start(goal=np.concatenate([np.tile(_MIDDLE, (len(u), 1)), symbol[:, None]], axis=1), **placed)


def pad_under(r: Readings) -> FloatArray:
    """Return the number of the pad under the cube's center, -1 for none, (N,)."""
    off = np.abs(r.object[:, None, :2] - _PADS[None, :, :2]).max(axis=2)
    return np.where(off.min(axis=1) < 0.035, off.argmin(axis=1), -1)


def _success(r: Readings) -> BoolArray:
    pad = pad_under(r)
    right = (pad >= 0) & ((pad % 2 == 0) == (r.symbol > 0))
    return right & (np.abs(r.object[:, 2] - 0.02) < 0.006) & resting(r) & released(r)


def _take(r: Readings, allowed: BoolArray) -> FloatArray:
    """Carry the cube to the nearest correct pad. allowed: mask of pads, (N, 6) or (6,)."""
    right = allowed & (_EVEN[None, :] == (r.symbol > 0)[:, None])
    away = np.where(right, np.abs(r.object[:, 1:2] - _PADS[None, :, 1]), np.inf)
    spot = _PADS[away.argmin(axis=1)]
    return put_down(r, spot, bring(r, spot, clear=0.06, travel=0.10, arrive=0.07))


def _nearest(r: Readings) -> FloatArray:
    return _take(r, np.ones(6, dtype=bool))


def _middle(r: Readings) -> FloatArray:
    return _take(r, np.isin(np.arange(6), (2, 3)))


def _two(r: Readings) -> FloatArray:
    return _take(r, np.isin(np.arange(6), (0, 1)))


def _four(r: Readings) -> FloatArray:
    # On its way the cube stays on the side that it started from.
    left = r.object[:, 1] > (_OBJECT[0][1] + _OBJECT[1][1]) / 2
    return _take(r, np.where(left[:, None], np.isin(np.arange(6), (4, 5)), np.isin(np.arange(6), (0, 1))))


def make(id: str, instruction: str = "own", easy: bool = False, reward: str = "sparse") -> Task:
    """Return the task, or its easy variant."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="sort_parity", shared="carry"),
        horizon=50,
        reward=reward,
        start=_easy_start if easy else _start,
        success=_success,
        experts={"nearest": _nearest} if easy else {"middle": _middle, "two": _two, "four": _four},
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.3)},
    )
