"""The package's classes, mended for today's MuJoCo: what its models, constants, resets and scripted policies are taken from, at run time.

A start is what the class's own `reset` makes of a random vector. The class moves its hand to the start in 250 steps of physics, to the same state every
time; here this is done once.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import mujoco
import numpy as np

from razorbench.envs.metaworld.specs import SPECS, Part, Spec
from razorbench.errors import UsageError
from razorbench.types import FloatArray

VERSIONS = ("3.0.0", "3.1.1")
"""Of the package; in these the physics, the resets, the successes and the policies are the same."""
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_PLACES = {"body": mujoco.mjtObj.mjOBJ_XBODY, "site": mujoco.mjtObj.mjOBJ_SITE, "geom": mujoco.mjtObj.mjOBJ_GEOM}
_HAND: tuple[Part, ...] = (("body", "hand"), ("body", "rightclaw"), ("body", "leftclaw"), ("site", "rightEndEffector"), ("site", "leftEndEffector"))
_ARM = 9
"""Joints of the arm and its fingers, the first in a scene that has `stopped`."""
_REMEMBERED = 1024
"""Starts that a scene remembers, more than an engine begins at once."""


@dataclass(frozen=True)
class Placement:
    """A start of one scene. state: MuJoCo's whole state; body_pos: the model's bodies, (nbody, 3), m; goal: (3,), m."""

    state: FloatArray
    body_pos: FloatArray
    goal: FloatArray


class Scene:
    """One task's scene. model: with sensors for what its spec reads; low, high: box of the random vector, (3,) or (6,).

    hand_low, hand_high: workspace of the commanded hand, (3,), m; lead: how far an action of 1 moves it, m; substeps: per decision.
    """

    def __init__(self, name: str) -> None:
        self.spec = SPECS[name]
        self._env = _environment(name)
        self.model: mujoco.MjModel = self._env.model
        box = self._env._random_reset_space
        self.low, self.high = np.array(box.low), np.array(box.high)
        self.hand_low, self.hand_high = self._env.mocap_low, self._env.mocap_high
        self.lead, self.substeps = self._env.action_scale, self._env.frame_skip
        bounds = self._env.sawyer_observation_space
        self.observed_low, self.observed_high = np.array(bounds.low), np.array(bounds.high)
        self.place = lru_cache(_REMEMBERED)(self._place)
        self._pristine = {field: getattr(self.model, field).copy() for field in ("body_pos", "site_pos")}
        self._attributes = dict(vars(self._env))
        self._act = _package("metaworld.policies").ENV_POLICY_MAP[_package_name(name)]().get_action

    def vectors(self, u: FloatArray) -> FloatArray:
        """Turn uniforms (N, 6 k) into random vectors (N, 3 or 6): of k tries the first whose two places are far enough apart, as the class draws them."""
        size = len(self.low)
        tries = self.low + u.reshape(len(u), -1, 6)[:, :, :size] * (self.high - self.low)
        if not self.spec.apart:
            return tries[:, 0]
        away = np.linalg.norm(tries[:, :, :2] - tries[:, :, 3:5], axis=2) > self.spec.apart + 1e-9
        chosen = tries[np.arange(len(u)), away.argmax(axis=1)]
        near, middle = ~away.any(axis=1), (self.low + self.high) / 2
        # Opposite corners of the two boxes; the class would draw for ever.
        chosen[near, 3:] = np.where(chosen[near, :3] > middle[3:], self.low[3:], self.high[3:])
        chosen[near, :3] = np.where(chosen[near, 3:] > middle[:3], self.low[:3], self.high[:3])
        return chosen

    def _place(self, vector: bytes) -> Placement:
        """Return the start that a random vector, as bytes of float64, stands for."""
        env = self._env
        for field, value in self._pristine.items():
            getattr(self.model, field)[:] = value
        vars(env).update(self._attributes)
        env._last_rand_vec = np.frombuffer(vector)[: len(self.low)].copy()
        # `reset` of the class does both: some of what it places, it reads off the scene of the time before.
        for _ in range(2):
            mujoco.mj_resetData(self.model, env.data)
            env.reset_model()
        if self.spec.stopped:
            env.data.qvel[_ARM:] = 0.0
        state = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, env.data, state, _STATE)
        mujoco.mj_forward(self.model, env.data)
        return Placement(state, self.model.body_pos.copy(), np.array(env._target_pos))

    def actions(self, numbers: FloatArray) -> FloatArray:
        """Return what the scripted policy does, (N, 4) in [-1, 1], for the package's observations (N, 39)."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its actions are clipped
            # A copy, since some policies write into what they are given.
            return np.clip([self._act(row) for row in numbers.copy()], -1.0, 1.0).astype(np.float64)

    def read(self, sensors: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Turn sensors (N, nsensordata) into half an observation, without the goal, (N, 18), the tool's place (N, 3), and extra readings (N, E)."""
        spec, n = self.spec, len(sensors)
        half = np.zeros((n, 18))
        half[:, :3] = sensors[:, :3]
        half[:, 3] = np.clip(np.sqrt(((sensors[:, 3:6] - sensors[:, 6:9]) ** 2).sum(axis=1)) / 0.1, 0.0, 1.0)
        tool = (sensors[:, 9:12] + sensors[:, 12:15]) / 2
        half[:, 4:7] = sensors[:, 15:18] + np.array(spec.offset)
        at = 18
        if spec.quaternion or spec.matrix:
            turn = sensors[:, at : at + 4]
            half[:, 7:11] = turn if spec.quaternion else _of_matrix(turn)
            at += 4
        if spec.second:
            half[:, 11:14] = sensors[:, at : at + 3] + np.array(spec.second_offset)
            at += 3
        if spec.second_quaternion:
            half[:, 14:18] = sensors[:, at : at + 4]
            at += 4
        extra = sensors[:, at:]
        if spec.moved:
            half[:, 4:7] = spec.moved(half[:, 4:7], extra)
        return half, tool, extra


@cache
def scene(name: str) -> Scene:
    """Return a task's scene, built once. Raises UsageError without the package."""
    return Scene(name)


@cache
def _package(module: str) -> Any:
    """Import a module of the package. Raises UsageError if the package is not installed, or in a version that was never compared."""
    try:
        found = version("metaworld")
        if found not in VERSIONS:
            raise UsageError(f"metaworld {found} is installed, and Meta-World's tasks are those of {' and '.join(VERSIONS)}: pip install razorbench[metaworld]")
        return import_module(module)
    except PackageNotFoundError:
        raise UsageError("Meta-World's tasks need the package metaworld, which is not installed: pip install razorbench[metaworld]") from None
    except ImportError as error:
        raise UsageError(f"Meta-World's tasks need the package metaworld, which cannot be imported ({error}): pip install razorbench[metaworld]") from error


def _package_name(name: str) -> str:
    return f"{name.replace('_', '-')}-v3"


def _environment(name: str) -> Any:
    """Return an instance of the package's class of a task, which takes its random vector from us."""
    theirs = _package("metaworld.env_dict").ALL_V3_ENVIRONMENTS[_package_name(name)]
    env = type("Mended", (_Mended, theirs), {"reads": SPECS[name]})()
    env._partially_observable, env._freeze_rand_vec, env._set_task_called = False, True, True
    del env.sawyer_observation_space  # it was made for a hidden goal
    return env


class _Mended:
    """What of a class is ours: a model with sensors, welds in the width that this MuJoCo has, and a hand that is at its start at once."""

    _nearly_there: FloatArray | None = None
    """State one decision before the hand is at its start."""

    def _initialize_simulation(self: Any) -> tuple[mujoco.MjModel, mujoco.MjData]:
        spec = mujoco.MjSpec.from_file(self.fullpath)
        for number, (part, rotation) in enumerate(_sensed(self.reads)):
            _add_sensor(spec, f"razorbench_{number}", part, rotation)
        # Four fifths of the memory, and no part of the physics, unless one of them is read.
        spec.compiler.discardvisual = not any(_for_the_eye(spec, part) for part, _ in _sensed(self.reads))
        model = spec.compile()
        # In the MuJoCo that the package pins, both are off by default.
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_MULTICCD | mujoco.mjtDisableBit.mjDSBL_ISLAND
        return model, mujoco.MjData(model)

    def reset_mocap_welds(self: Any) -> None:
        # A weld's data grew from 11 to 12 numbers; the class writes 11.
        self.model.eq_data[self.model.eq_type == mujoco.mjtEq.mjEQ_WELD, :11] = [0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 5]

    def _reset_hand(self: Any, steps: int = 50) -> None:
        if self.reads.settles:
            super()._reset_hand(steps)  # type: ignore[misc]
            return
        if self._nearly_there is None:
            mujoco.mj_resetData(self.model, self.data)
            super()._reset_hand(steps - 1)  # type: ignore[misc]
            self._nearly_there = np.empty(mujoco.mj_stateSize(self.model, _STATE))
            mujoco.mj_getState(self.model, self.data, self._nearly_there, _STATE)
        mujoco.mj_setState(self.model, self.data, self._nearly_there, _STATE)
        super()._reset_hand(1)  # type: ignore[misc]


def _sensed(spec: Spec) -> list[tuple[Part, bool]]:
    """Return what the sensors of a model measure, in order, and whether it is a rotation."""
    parts: list[tuple[Part, bool]] = [*((part, False) for part in _HAND), (spec.object, False)]
    rotations = [(part, True) for part in (spec.quaternion, spec.matrix) if part]
    seconds = [(part, turns) for part, turns in ((spec.second, False), (spec.second_quaternion, True)) if part]
    return [*parts, *rotations, *seconds, *((part, False) for part in spec.extra)]


def _for_the_eye(spec: mujoco.MjSpec, part: Part) -> bool:
    """Return whether a part is a geom that touches nothing."""
    return part[0] == "geom" and not (spec.geom(part[1]).contype or spec.geom(part[1]).conaffinity)


def _add_sensor(spec: mujoco.MjSpec, name: str, part: Part, rotation: bool) -> None:
    kind, what = part[0], part[1]
    if kind == "joint":
        spec.add_sensor(name=name, type=mujoco.mjtSensor.mjSENS_JOINTPOS, objtype=mujoco.mjtObj.mjOBJ_JOINT, objname=what)
    elif kind == "distance":
        geom = mujoco.mjtObj.mjOBJ_GEOM
        spec.add_sensor(name=name, type=mujoco.mjtSensor.mjSENS_GEOMDIST, objtype=geom, objname=what, reftype=geom, refname=part[2], cutoff=0.1)
    else:
        measured = mujoco.mjtSensor.mjSENS_FRAMEQUAT if rotation else mujoco.mjtSensor.mjSENS_FRAMEPOS
        spec.add_sensor(name=name, type=measured, objtype=_PLACES[kind], objname=what)


def _of_matrix(quaternion: FloatArray) -> FloatArray:
    """Turn quaternions w, x, y, z (N, 4) into what SciPy's `Rotation.from_matrix(...).as_quat()` gives: x, y, z, w, the largest of them positive."""
    turned = quaternion[:, [1, 2, 3, 0]]
    largest = turned[np.arange(len(turned)), np.abs(turned).argmax(axis=1)]
    return turned * np.where(largest < 0.0, -1.0, 1.0)[:, None]
