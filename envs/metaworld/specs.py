"""What each of Meta-World's 50 tasks needs besides the package's own model and reset: where its objects are read, and when it is solved.

The formulas of success are those of the classes in `metaworld.envs` (version 3.0.0, MIT license), written for many environments at once;
`tests/world/test_metaworld_parity.py` compares them with the classes themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from razorbench.types import BoolArray, FloatArray

Part = tuple[str, ...]
"""What a sensor measures: (`body`, `site` or `geom`, its name), (`joint`, its name) or (`distance`, two geoms)."""


@dataclass(frozen=True)
class Readings:
    """What success and the scripted policies read of N environments.

    numbers: (N, 39), the package's own observation, clipped as its `step` clips it. goal: (N, 3), m; tool: between the fingertips, (N, 3), m; extra: (N, E).
    """

    numbers: FloatArray
    goal: FloatArray
    tool: FloatArray
    extra: FloatArray

    @property
    def opening(self) -> FloatArray:
        """Distance between the fingers, (N,), 1 if 0.1 m or more."""
        return self.numbers[:, 3]

    @property
    def object(self) -> FloatArray:
        """Place of the first object, (N, 3), m."""
        return self.numbers[:, 4:7]

    @property
    def second(self) -> FloatArray:
        """Place of the second object, (N, 3), m."""
        return self.numbers[:, 11:14]


@dataclass(frozen=True)
class Spec:
    """Where a task's numbers are read.

    object, second: places of its objects. offset, second_offset: added to them, m. quaternion, second_quaternion: a rotation as MuJoCo gives it (w, x, y, z);
    matrix: a rotation as SciPy makes it of a matrix (x, y, z, w, the largest positive). Without either, a rotation is four zeros. extra: what success
    reads besides. settles: whether what settles while the hand moves to its start depends on the random vector, so that this has to be played for each
    start. stopped: whether all but the arm begins at rest, since the hand may push it on its way. apart: least horizontal distance between the two
    places that a start is made of, m. moved: turns the object's place and the extra readings into the object's place.
    """

    object: Part
    solved: Callable[[Readings], BoolArray]
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quaternion: Part | None = None
    matrix: Part | None = None
    second: Part | None = None
    second_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    second_quaternion: Part | None = None
    extra: tuple[Part, ...] = ()
    settles: bool = False
    stopped: bool = False
    apart: float = 0.0
    moved: Callable[[FloatArray, FloatArray], FloatArray] | None = None


def _length(vectors: FloatArray) -> FloatArray:
    return np.sqrt((vectors * vectors).sum(axis=1))


def _within(radius: float) -> Callable[[Readings], BoolArray]:
    """Return whether the object is within a radius of the goal, m."""
    return lambda r: _length(r.object - r.goal) <= radius


def _along(axis: int, radius: float) -> Callable[[Readings], BoolArray]:
    """Return whether the object is within a distance of the goal along one axis, m."""
    return lambda r: np.abs(r.object[:, axis] - r.goal[:, axis]) <= radius


def _reached(r: Readings) -> BoolArray:
    return _length(r.tool - r.goal) <= 0.05


def _assembled(r: Readings) -> BoolArray:
    error = r.goal - r.extra[:, :3]
    return (np.sqrt(error[:, 0] ** 2 + error[:, 1] ** 2) < 0.02) & (error[:, 2] > 0.0)


def _in_basket(r: Readings) -> BoolArray:
    """Return whether the ball is near a place above the hoop, at a height of 0.3 m."""
    hoop = r.goal.copy()
    hoop[:, 2] = 0.3
    return _length((r.object - hoop) * np.array([1.0, 1.0, 2.0])) <= 0.08


def _closed_box(r: Readings) -> BoolArray:
    return _length(r.object - r.goal) < 0.08


def _disassembled(r: Readings) -> BoolArray:
    return r.object[:, 2] > r.goal[:, 2]


def _faucet_open(r: Readings) -> BoolArray:
    return _length(r.object + np.array([-0.04, 0.0, 0.03]) - r.goal) <= 0.07


def _hammered(r: Readings) -> BoolArray:
    return r.extra[:, 0] > 0.09


def _lever_up(r: Readings) -> BoolArray:
    return np.abs(-r.extra[:, 0] - np.pi / 2) <= np.pi / 24


def _peg_inserted(r: Readings) -> BoolArray:
    return _length((r.extra[:, :3] - r.goal) * np.array([1.0, 2.0, 2.0])) <= 0.07


def _swept_into(r: Readings) -> BoolArray:
    return _length((r.object - r.goal)[:, :2]) <= 0.05


def _stick_pulled(r: Readings) -> BoolArray:
    end, handle = r.extra[:, :3], r.second
    inserted = (end[:, 0] >= handle[:, 0]) & (np.abs(end[:, 1] - handle[:, 1]) <= 0.04) & (np.abs(end[:, 2] - handle[:, 2]) <= 0.06)
    return (_length(handle - r.goal) <= 0.12) & inserted


def _stick_pushed(r: Readings) -> BoolArray:
    """Return whether the container is at the goal while both pads touch the lifted stick, which rests at a height of 2 cm."""
    held = (r.extra[:, :2] < 0.0).all(axis=1) & (r.opening > 0) & (r.object[:, 2] - 0.01 > 0.02)
    return held & (_length(r.second - r.goal) <= 0.12)


def _dial_tip(center: FloatArray, angle: FloatArray) -> FloatArray:
    """Return the place of the dial's tip, 5 cm from its center, by its angle (N, 1), rad."""
    return center + 0.05 * np.stack([np.sin(angle[:, 0]), -np.cos(angle[:, 0]), np.zeros(len(angle))], axis=1)


_OBJ, _GEOM = ("body", "obj"), ("geom", "objGeom")
_BUTTON = Spec(("body", "button"), _along(1, 0.02), offset=(0.0, -0.193, 0.0), quaternion=("body", "button"))
_BUTTON_BELOW = replace(_BUTTON, offset=(0.0, 0.0, 0.193), solved=_along(2, 0.024))
_MUG = Spec(_OBJ, _within(0.07), matrix=("geom", "mug"), apart=0.15)
_PUCK = Spec(_OBJ, _within(0.07), matrix=_GEOM, apart=0.15)
_PUCK_BY_GEOM = replace(_PUCK, object=_GEOM)
_PLATE = Spec(("geom", "puck"), _within(0.07), matrix=("geom", "puck"))
_DOOR = Spec(("geom", "handle"), _within(0.08), matrix=("geom", "handle"))
_NUT = Spec(("site", "RoundNut-8"), _disassembled, quaternion=("body", "RoundNut"), apart=0.1)
_FAUCET = Spec(("site", "handleStartClose"), _within(0.07), offset=(0.0, 0.0, -0.01), quaternion=("body", "faucetBase"))
_STICK = Spec(("body", "stick"), _stick_pulled, matrix=("body", "stick"), second=("site", "insertion"), stopped=True, apart=0.1)
_HANDLE = Spec(("site", "handleStart"), _along(2, 0.02))

SPECS: dict[str, Spec] = {
    "assembly": replace(_NUT, extra=(("site", "RoundNut"),), solved=_assembled),
    "basketball": Spec(("body", "bsktball"), _in_basket, quaternion=("body", "bsktball"), apart=0.15),
    "bin_picking": Spec(_OBJ, _within(0.05), quaternion=_OBJ),
    "box_close": Spec(("body", "top_link"), _closed_box, quaternion=("body", "top_link"), settles=True, apart=0.25),
    "button_press_topdown": _BUTTON_BELOW,
    "button_press_topdown_wall": _BUTTON_BELOW,
    "button_press": _BUTTON,
    "button_press_wall": replace(_BUTTON, solved=_along(1, 0.03)),
    "coffee_button": Spec(("site", "buttonStart"), _along(1, 0.02), quaternion=("body", "world")),
    "coffee_pull": _MUG,
    "coffee_push": _MUG,
    "dial_turn": Spec(("body", "dial"), _within(0.07), quaternion=("body", "dial"), extra=(("joint", "knob_Joint_1"),), moved=_dial_tip),
    "disassemble": replace(_NUT, settles=True),
    "door_close": _DOOR,
    "door_lock": Spec(("site", "lockStartLock"), _along(2, 0.02), quaternion=("body", "door_link"), settles=True),
    "door_open": replace(_DOOR, solved=_along(0, 0.08)),
    "door_unlock": Spec(("site", "lockStartUnlock"), _along(0, 0.02), quaternion=("body", "door_link"), settles=True),
    "drawer_close": Spec(("body", "drawer_link"), _within(0.065), offset=(0.0, -0.16, 0.05)),
    "drawer_open": Spec(("body", "drawer_link"), _within(0.03), offset=(0.0, -0.16, 0.0), quaternion=("body", "drawer_link")),
    "faucet_close": _FAUCET,
    "faucet_open": replace(_FAUCET, object=("site", "handleStartOpen"), solved=_faucet_open),
    "hammer": Spec(
        ("body", "hammer"),
        _hammered,
        quaternion=("body", "hammer"),
        second=("body", "nail_link"),
        second_quaternion=("body", "nail_link"),
        extra=(("joint", "NailSlideJoint"),),
    ),
    "hand_insert": Spec(_OBJ, _within(0.05), quaternion=_OBJ, apart=0.15),
    "handle_press_side": replace(_HANDLE, settles=True),
    "handle_press": replace(_HANDLE, settles=True),
    "handle_pull_side": Spec(("site", "handleCenter"), _within(0.08), settles=True),
    "handle_pull": Spec(("site", "handleRight"), _along(2, 0.05), settles=True),
    "lever_pull": Spec(("site", "leverStart"), _lever_up, matrix=_GEOM, extra=(("joint", "LeverAxis"),)),
    "peg_insert_side": Spec(("site", "pegGrasp"), _peg_inserted, matrix=("site", "pegGrasp"), extra=(("site", "pegHead"),), apart=0.1),
    "peg_unplug_side": Spec(("site", "pegEnd"), _within(0.07), quaternion=("body", "plug1"), settles=True),
    "pick_out_of_hole": Spec(_OBJ, _within(0.07), quaternion=_OBJ, apart=0.15),
    "pick_place": _PUCK,
    "pick_place_wall": _PUCK_BY_GEOM,
    "plate_slide_back_side": _PLATE,
    "plate_slide_back": _PLATE,
    "plate_slide_side": _PLATE,
    "plate_slide": _PLATE,
    "push_back": _PUCK_BY_GEOM,
    "push": replace(_PUCK, solved=_within(0.05)),
    "push_wall": _PUCK_BY_GEOM,
    "reach": replace(_PUCK, solved=_reached),
    "reach_wall": replace(_PUCK, solved=_reached),
    "shelf_place": Spec(_OBJ, _within(0.07), matrix=_GEOM, apart=0.1),
    "soccer": Spec(("body", "soccer_ball"), _within(0.07), matrix=("body", "soccer_ball"), apart=0.15),
    "stick_pull": replace(_STICK, extra=(("site", "stick_end"),)),
    "stick_push": replace(
        _STICK,
        second_offset=(0.0, 0.09, 0.0),
        extra=(("distance", "leftpad_geom", "objGeom"), ("distance", "rightpad_geom", "objGeom")),
        solved=_stick_pushed,
    ),
    # Its class measures the distance to a place 1 mm beside the one in the random vector.
    "sweep_into": Spec(_OBJ, _swept_into, matrix=_GEOM, apart=0.152),
    "sweep": Spec(_OBJ, _within(0.05), quaternion=_OBJ),
    "window_close": Spec(("site", "handleCloseStart"), _along(0, 0.05)),
    "window_open": Spec(("site", "handleOpenStart"), _along(0, 0.05)),
}
"""Tasks by name; the place in this order is the instruction's slot."""
