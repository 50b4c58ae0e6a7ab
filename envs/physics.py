"""The workcell: one model with named readings, an observation and Cartesian control.

Units are meters, kilograms, radians and seconds unless noted. Arrays have one row per environment; all arithmetic is elementwise over rows, so a row does
not depend on the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

import mujoco
import numpy as np

from razorbench.envs.posture import READY, posture
from razorbench.errors import UsageError
from razorbench.task import Start, code_digest
from razorbench.types import BoolArray, FloatArray, IntArray

STEP = 0.08
"""Largest lead of the commanded tool position over the current one, m."""
LOW, HIGH = np.array([0.26, -0.38, 0.012]), np.array([0.72, 0.42, 0.42])
"""Workspace of the commanded tool position, m."""
TABLE = np.array([0.36, 0.0])
"""Center of the table, which extends 0.52 m to front and back and 0.55 m to each side."""
FINGER_TRAVEL = 0.04
SLOTS = (
    *("reach", "push", "lift", "carry", "drawer_open", "drawer_close", "button_press", "lever_pull"),
    *("pick_place", "place_in_drawer", "stack", "peg_insert", "sort_parity"),
    *("push_far", "pick_can", "lift_heavy", "drawer_moved", "button_side", "carry_weak", "pick_wall"),
    *(f"free_{number}" for number in range(1, 13)),
)
"""Instruction slots by skill. Those from `push_far` on are used only under `instruction=own`; the free ones are for future tasks."""
_SHARED = ("experts", "layout", "outcomes", "physics", "posture")
"""Modules in this folder that every task depends on."""
_GEOM = mujoco.mjtGeom
SHAPES: Mapping[str, tuple[Any, tuple[float, ...], float]] = {
    "cube": (_GEOM.mjGEOM_BOX, (0.02, 0.02, 0.02), 0.08),
    "can": (_GEOM.mjGEOM_CYLINDER, (0.033, 0.064), 0.15),
    "tin": (_GEOM.mjGEOM_CYLINDER, (0.028, 0.045), 0.15),
    "peg": (_GEOM.mjGEOM_BOX, (0.012, 0.012, 0.05), 0.06),
}
"""Shapes of the manipulated object: MuJoCo geom type, half sizes, mass."""


@dataclass(frozen=True)
class Variant:
    """A task's changes to the model; None keeps the model's value.

    mass, friction: of the object; a given friction applies to all of its contacts. stiffness, damping: factors on the arm's actuators. cabinet, wall:
    poses (x, y, yaw).
    """

    shape: str = "cube"
    mass: float | None = None
    friction: float | None = None
    stiffness: float = 1.0
    damping: float = 1.0
    cabinet: tuple[float, float, float] | None = None
    wall: tuple[float, float, float] | None = None

    @property
    def rest_height(self) -> float:
        """Height of the object's center when it stands on the table."""
        return SHAPES[self.shape][1][-1]


class Readings:
    """Sensor values by name. Vectors are (N, 3), scalars (N,)."""

    tool: FloatArray
    tool_velocity: FloatArray
    finger_left: FloatArray
    finger_right: FloatArray
    object: FloatArray
    object_up: FloatArray
    object_velocity: FloatArray
    block: FloatArray
    handle: FloatArray
    button: FloatArray
    lever: FloatArray
    side_button: FloatArray
    wall: FloatArray
    drawer_opening: FloatArray
    button_depth: FloatArray
    lever_angle: FloatArray
    side_button_depth: FloatArray
    wall_shift: FloatArray

    def __init__(self, columns: Mapping[str, slice | int], sensors: FloatArray, goal: FloatArray) -> None:
        self._columns, self._sensors = columns, sensors
        self.goal = goal[:, :3]
        self.symbol = goal[:, 3]

    def __getattr__(self, name: str) -> FloatArray:
        try:
            return self._sensors[:, self._columns[name]]
        except KeyError:
            raise AttributeError(f"no reading is called {name}; there are {', '.join(self._columns)}") from None

    @property
    def opening(self) -> FloatArray:
        """Distance between the finger pads."""
        return self.finger_left + self.finger_right


class Workcell:
    """The world of all RazorBench tasks, see `razorbench.task.World`."""

    version = "workcell-2"
    observation_size = 72
    action_size = 4
    instruction = slice(40, 72)
    goal_size = 4
    hold = np.array([0.0, 0.0, 0.0, 1.0])
    start_uniforms = 16
    width = 512
    substeps = 5

    def __init__(self) -> None:
        self._models: dict[Variant, mujoco.MjModel] = {}
        model = self.model(Variant())
        self.nq, self.nv = model.nq, model.nv
        self._columns: dict[str, slice | int] = {}
        for i in range(model.nsensor):
            at, size = model.sensor_adr[i], model.sensor_dim[i]
            self._columns[model.sensor(i).name] = slice(at, at + size) if size > 1 else int(at)
        self._qpos0 = model.qpos0.copy()
        self._qpos = {model.joint(i).name: model.jnt_qposadr[i] for i in range(model.njnt)}
        self._qpos0[:7] = READY
        self._qpos0[7:9] = FINGER_TRAVEL

    def spec(self, variant: Variant, *, visual: bool = False) -> mujoco.MjSpec:
        """Return the editable model of a variant. visual: keep the visual-only geoms."""
        spec = mujoco.MjSpec.from_string(_xml())
        spec.compiler.discardvisual = not visual
        shape, size, mass = SHAPES[variant.shape]
        geom = spec.geom("object")
        geom.type = shape
        geom.size[: len(size)] = size
        geom.mass = mass if variant.mass is None else variant.mass
        if variant.friction is not None:
            geom.friction[0], geom.priority = variant.friction, 1
        for name, pose in (("cabinet", variant.cabinet), ("wall", variant.wall)):
            if pose is not None:
                spec.body(name).pos[:2] = pose[:2]
                spec.body(name).quat = [np.cos(pose[2] / 2), 0, 0, np.sin(pose[2] / 2)]
        for actuator in spec.actuators:
            if not actuator.name.startswith("finger"):
                actuator.gainprm[0] *= variant.stiffness
                actuator.biasprm[1] *= variant.stiffness
                actuator.biasprm[2] *= variant.damping
        return spec

    def model(self, variant: Variant | None) -> mujoco.MjModel:
        """Return the compiled physics model of a variant, built once."""
        variant = variant or Variant()
        if variant not in self._models:
            self._models[variant] = self.spec(variant).compile()
        return self._models[variant]

    def visual_model(self, variant: Variant | None) -> mujoco.MjModel:
        """Return a variant's model with visual-only geoms; it has the same states as the physics model."""
        return self.spec(variant or Variant(), visual=True).compile()

    def digest(self) -> str:
        """Return a digest of the model, of the tasks' shared code, and of the posture table."""
        code = [files("razorbench.envs").joinpath(f"{name}.py").read_text(encoding="utf-8") for name in _SHARED]
        weights = files("razorbench.envs").joinpath("posture.npy").read_bytes()
        return hashlib.sha256("\n".join([_physics_xml(), *map(code_digest, code)]).encode() + weights).hexdigest()

    def readings(self, sensors: FloatArray, goal: FloatArray) -> Readings:
        """Name the sensors. sensors: (N, nsensordata), goal: (N, 4)."""
        return Readings(self._columns, sensors, goal)

    def observe(self, r: Readings, slot: IntArray) -> FloatArray:
        """Return observations (N, 72) float32: fixed affine scalings, clipped to [-5, 5].

        | columns | what | unit of 1.0 |
        |---|---|---|
        | 0-2 | tool position from (0.48, 0, 0.15) | 0.15 m |
        | 3-5 | tool velocity | 0.5 m/s |
        | 6 | finger opening, -1 closed to 1 open | 0.04 m |
        | 7-9 | object from tool | 0.15 m |
        | 10-12 | object velocity | 0.5 m/s |
        | 13-15 | object's own up axis | 1 |
        | 16-18 | block from tool | 0.15 m |
        | 19-21 | goal from tool | 0.15 m |
        | 22 | goal symbol (target parity), 0 if unused | 1 |
        | 23-25 | drawer handle from tool | 0.15 m |
        | 26 | drawer opening | 0.16 m |
        | 27-29 | button from tool | 0.15 m |
        | 30-32 | lever tip from tool | 0.15 m |
        | 33 | lever angle | 0.7 rad |
        | 34-36 | side button from tool | 0.15 m |
        | 37-39 | wall's top from tool | 0.15 m |
        | 40-71 | instruction, one-hot | 1 |
        """
        out = np.zeros((len(slot), self.observation_size), dtype=np.float32)
        out[:, 0:3] = (r.tool - (0.48, 0.0, 0.15)) / 0.15
        out[:, 3:6] = r.tool_velocity / 0.5
        out[:, 6] = r.opening / 0.04 - 1.0
        out[:, 7:10] = (r.object - r.tool) / 0.15
        out[:, 10:13] = r.object_velocity / 0.5
        out[:, 13:16] = r.object_up
        out[:, 16:19] = (r.block - r.tool) / 0.15
        out[:, 19:22] = (r.goal - r.tool) / 0.15
        out[:, 22] = r.symbol
        out[:, 23:26] = (r.handle - r.tool) / 0.15
        out[:, 26] = r.drawer_opening / 0.16
        out[:, 27:30] = (r.button - r.tool) / 0.15
        out[:, 30:33] = (r.lever - r.tool) / 0.15
        out[:, 33] = r.lever_angle / 0.7
        out[:, 34:37] = (r.side_button - r.tool) / 0.15
        out[:, 37:40] = (r.wall - r.tool) / 0.15
        np.clip(out, -5.0, 5.0, out=out)
        out[np.arange(len(slot)), 40 + slot] = 1.0
        return out

    def control(self, r: Readings, actions: FloatArray) -> FloatArray:
        """Turn actions (dx, dy, dz, gripper) into controls (N, 8).

        The commanded position leads the tool by at most 0.08 m per axis inside the workspace; gripper -1 closes, 1 opens. The gripper points down. Signs
        follow the site `frame`, which is rotated by pi about x.
        """
        actions = np.clip(actions, -1.0, 1.0)
        target = np.clip(r.tool + STEP * actions[:, :3], LOW, HIGH)
        out = np.zeros((len(actions), 8))
        out[:, 0] = target[:, 0]
        out[:, 1:3] = -target[:, 1:]
        out[:, 5] = -np.pi / 2
        out[:, 6:] = (FINGER_TRAVEL / 2 * (1.0 + actions[:, 3]))[:, None]
        return out

    def sound(self, r: Readings) -> dict[str, BoolArray]:
        """Return conditions that hold unless the physics broke or a start is misplaced, see `razorbench.task.World`."""
        conditions: dict[str, Any] = {"the tool is in its workspace, to 8 cm": ((r.tool > LOW - 0.08) & (r.tool < HIGH + 0.08)).all(axis=1)}
        for name, place in (("object", r.object), ("block", r.block)):
            conditions[f"the {name} is on the table or above it"] = (place[:, 2] > 0.005) & (np.abs(place[:, :2] - TABLE) < 0.55).all(axis=1)
        conditions["the object is slower than 8 m/s"] = np.linalg.norm(r.object_velocity, axis=1) < 8.0
        return conditions

    def start(
        self,
        tool: FloatArray,
        goal: FloatArray,
        *,
        object: FloatArray | None = None,
        block: FloatArray | None = None,
        yaw: FloatArray | None = None,
        joints: Mapping[str, FloatArray] | None = None,
    ) -> Start:
        """Return initial conditions at rest. tool, object, block: (N, 3); goal: (N, 4); yaw: of the object, (N,); joints: positions by name, (N,) each."""
        n = len(tool)
        qpos = np.tile(self._qpos0, (n, 1))
        qpos[:, :7] = posture(tool)
        for name, place in (("object", object), ("block", block)):
            if place is not None:
                at = self._qpos[name]
                qpos[:, at : at + 3] = place
        if yaw is not None:
            at = self._qpos["object"]
            qpos[:, at + 3], qpos[:, at + 6] = np.cos(yaw / 2), np.sin(yaw / 2)
        for name, value in (joints or {}).items():
            qpos[:, self._qpos[name]] = value
        return Start(np.concatenate([np.zeros((n, 1)), qpos, np.zeros((n, self.nv))], axis=1), goal)


def slot(name: str) -> int:
    """Return the instruction slot of a name. Raises UsageError if there is none."""
    if name not in SLOTS:
        raise UsageError(f"instruction is {name!r}: there is no such slot; a new task takes one of free_1 to free_12")
    return SLOTS.index(name)


def instruction_slot(instruction: str, *, own: str, shared: str) -> int:
    """Return a new task's slot: its `own`, or that of the `shared` original skill. Raises UsageError for another instruction."""
    if instruction not in ("own", "shared"):
        raise UsageError(f"instruction is {instruction!r}: it must be own or shared")
    return slot(own if instruction == "own" else shared)


@cache
def workcell() -> Workcell:
    """Return the shared workcell."""
    return Workcell()


@cache
def _xml() -> str:
    return files("razorbench.envs").joinpath("workcell.xml").read_text(encoding="utf-8")


def _physics_xml() -> str:
    """Return the model file without visual-only elements and comments."""
    root = ElementTree.fromstring(_xml())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("visual", "asset", "light", "camera") or child.get("class") == "eye":
                parent.remove(child)
            for attribute in ("rgba", "material"):
                child.attrib.pop(attribute, None)
    return ElementTree.canonicalize(ElementTree.tostring(root, encoding="unicode"), strip_text=True)
