"""Stack: put the cube down on the blue block.

Shift: composition and precision. Picking is known; setting down on something hardly wider than the cube is not, and a
    cube let go 2 cm off falls. Assembly and packing are made of this.
Instruction: own slot, or `carry`. Goal: the cube's place on the block.
Start: cube and tool as in the original skills, the block 4 cm further left.
Success: the cube's centre within 1.2 cm of the block's, level with its place on top to 6 mm, slower than 5 cm/s, fingers
    open by 5.5 cm, and the block within 3 cm of where it was.
Horizon: 60 decisions.
Styles: `direct`; `detour` lifts high, comes to the block from the left, and is slower.
Easy variant: the cube starts within 8 cm of the block, and 2 cm off its centre is near enough.
History: v1.
"""

from __future__ import annotations

from razorbench.envs import layout
from razorbench.envs.experts import LEFT, UP, bring, bring_round, put_down
from razorbench.envs.outcomes import level, set_down
from razorbench.envs.physics import Readings, instruction_slot, workcell
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray

_BLOCK = ((0.40, 0.13), (0.48, 0.17))
_ON_TOP = (layout.BLOCK_HEIGHT + 0.02) * UP


def _start(u: FloatArray) -> Start:
    placed = layout.table(u) | {"block": layout.standing(u[:, 6:8], _BLOCK, layout.BLOCK_HEIGHT)}
    return workcell().start(goal=layout.goals(placed["block"] + _ON_TOP), **placed)


def _easy_start(u: FloatArray) -> Start:
    placed = layout.table(u)
    # On the block's right there is room for the fingers, which open along x.
    placed["object"][:, :2] = placed["block"][:, :2] - layout.spread(u[:, 3:5], (-0.03, 0.055), (0.03, 0.075))
    return workcell().start(goal=layout.goals(placed["block"] + _ON_TOP), **placed)


def _success(r: Readings, within: float = 0.012) -> BoolArray:
    return set_down(r, r.block + _ON_TOP, within) & (level(r.block, r.goal) < 0.03)


def _direct(r: Readings) -> FloatArray:
    spot = r.block + _ON_TOP
    return put_down(r, spot, bring(r, spot, clear=0.09, travel=0.14, arrive=0.10), near=0.012)


def _detour(r: Readings) -> FloatArray:
    spot = r.block + _ON_TOP
    return put_down(r, spot, bring_round(r, spot, 0.12 * LEFT, travel=0.26, arrive=0.12), near=0.012, speed=0.75)


def make(id: str, instruction: str = "own", easy: bool = False, reward: str = "sparse") -> Task:
    """Return the task, or its easy variant."""
    return Task(
        id=id,
        world=workcell(),
        slot=instruction_slot(instruction, own="stack", shared="carry"),
        horizon=60,
        reward=reward,
        start=_easy_start if easy else _start,
        success=(lambda r: _success(r, 0.02)) if easy else _success,
        experts={"direct": _direct, "detour": _detour},
        terms={"touch": lambda r: layout.near(r.tool, r.object, 0.1), "place": lambda r: layout.near(r.object, r.goal, 0.2)},
    )
