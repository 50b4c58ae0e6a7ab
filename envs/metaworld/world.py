"""Meta-World: what its tasks share, and how one is made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from razorbench.envs.metaworld.engine import MetaWorldEngine
from razorbench.envs.metaworld.scene import scene
from razorbench.envs.metaworld.specs import SPECS, Readings
from razorbench.errors import UsageError, among
from razorbench.task import Engine, Start, Task, code_digest
from razorbench.types import FloatArray, IntArray

HORIZON = 200
"""Decisions in an episode."""
SLOW = 0.6
"""Speed of the second demonstration style, as a share of the scripted policy's."""
SLOTS = 64
"""Instructions: one for each task, and free ones."""
_FEATURES = 31
_REACH, _STRIDE = 0.2, 0.01
"""Units of places and of their change in one decision, m."""
_CENTER = np.array([0.0, 0.6, 0.2])
"""Where the hand usually begins, m."""


class MetaWorld:
    """The world of Meta-World's tasks, see `razorbench.task.World`. The package is needed only where an episode begins."""

    version = "metaworld-1"
    observation_size = _FEATURES + SLOTS
    action_size = 4
    goal_size = 3
    instruction = slice(_FEATURES, _FEATURES + SLOTS)
    start_uniforms = 48
    width = 256

    def engine(self, tasks: Sequence[Task], size: int, threads: int | None) -> Engine:
        """Return an engine for some of the world's tasks."""
        return MetaWorldEngine(self, tasks, size, threads)

    def digest(self) -> str:
        """Return a digest of this folder's code; the models are those of the package."""
        code = [files("razorbench.envs.metaworld").joinpath(f"{name}.py").read_text(encoding="utf-8") for name in ("engine", "scene", "specs", "world")]
        return hashlib.sha256("\n".join(map(code_digest, code)).encode()).hexdigest()

    def observe(self, numbers: FloatArray, slot: IntArray) -> FloatArray:
        """Return observations (N, 95) float32 for the package's 39 numbers (N, 39) and instruction slots (N,): an affine map, clipped to [-5, 5].

        The rotation of a second object is left out: it is the same throughout every task.

        | columns | what | unit of 1.0 |
        |---|---|---|
        | 0-2 | hand from (0, 0.6, 0.2) | 0.2 m |
        | 3 | fingers, -1 closed to 1 open | 0.05 m |
        | 4-6 | first object from hand | 0.2 m |
        | 7-10 | first object's rotation, a quaternion | 1 |
        | 11-13 | second object from hand | 0.2 m |
        | 14-16 | goal from hand | 0.2 m |
        | 17-19 | hand's change since the last decision | 0.01 m |
        | 20 | fingers' change | 0.01 m |
        | 21-23 | first object's change | 0.01 m |
        | 24-27 | its rotation's change | 0.1 |
        | 28-30 | second object's change | 0.01 m |
        | 31-94 | instruction, one-hot | 1 |
        """
        now, before, goal = numbers[:, :14], numbers[:, 18:32], numbers[:, 36:]
        hand, change = now[:, :3], now - before
        observation = np.zeros((len(numbers), self.observation_size), dtype=np.float32)
        observation[:, 0:3] = (hand - _CENTER) / _REACH
        observation[:, 3] = 2.0 * now[:, 3] - 1.0
        observation[:, 4:7] = (now[:, 4:7] - hand) / _REACH
        observation[:, 7:11] = now[:, 7:11]
        observation[:, 11:14] = (now[:, 11:14] - hand) / _REACH
        observation[:, 14:17] = (goal - hand) / _REACH
        observation[:, 17:20] = change[:, :3] / _STRIDE
        observation[:, 20] = change[:, 3] / 0.1
        observation[:, 21:24] = change[:, 4:7] / _STRIDE
        observation[:, 24:28] = change[:, 7:11] / 0.1
        observation[:, 28:31] = change[:, 11:14] / _STRIDE
        observation[np.arange(len(slot)), _FEATURES + slot] = 1.0
        return np.clip(observation, -5.0, 5.0)


@cache
def metaworld() -> MetaWorld:
    """Return the shared world."""
    return MetaWorld()


def make(id: str) -> Task:
    """Return one of Meta-World's tasks. id: `mw_push_wall-v1`, the package's name with underscores and our version. Raises UsageError if there is none."""
    name = id.removeprefix("mw_").rpartition("-v")[0]
    if name not in SPECS or not id.startswith("mw_"):
        raise UsageError(f"id is {id!r}: Meta-World has no such task{among(id, [f'mw_{known}-v1' for known in SPECS])}")

    def start(u: FloatArray) -> Start:
        vectors = scene(name).vectors(u)
        state = np.zeros((len(u), 6))
        state[:, : vectors.shape[1]] = vectors
        return Start(state, np.array([scene(name).place(row.tobytes()).goal for row in state]).reshape(-1, 3))

    def scripted(r: Readings) -> FloatArray:
        return scene(name).actions(r.numbers)

    def slow(r: Readings) -> FloatArray:
        return scene(name).actions(r.numbers) * np.array([SLOW, SLOW, SLOW, 1.0])

    return Task(
        id=id,
        world=metaworld(),
        slot=list(SPECS).index(name),
        horizon=HORIZON,
        start=start,
        success=SPECS[name].solved,
        experts={"scripted": scripted, "slow": slow},
        variant=name,
    )
