"""Meta-World's tasks in lock-step, one batch of MuJoCo for each task.

For a given start and action sequence an episode is bit-equal for any thread count, batch size, slot and neighbors: a slot has a simulation of its own in
the batch of its task, and everything between physics and action is elementwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch

from razorbench import meter
from razorbench.envs.metaworld.scene import Scene, scene
from razorbench.envs.metaworld.specs import Readings
from razorbench.errors import NotFinite
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray, IntArray
from razorbench.world import cores

_POSITIONS_AND_VELOCITIES = mujoco.mjtStage.mjSTAGE_VEL.value
_NOTHING = mujoco.mjtStage.mjSTAGE_NONE.value


class Simulations:
    """The simulations of one task, one for each slot of an engine; those of slots with another task rest."""

    def __init__(self, name: str, size: int, threads: int) -> None:
        self.scene: Scene = scene(name)
        self._batch = Batch(self.scene.model, size, threads, persistent=True)
        self._bodies = self._batch.expand("body_pos")
        self._hand, self._fingers = self._batch.bind("mocap_pos"), self._batch.bind("ctrl")
        self.sensors = self._batch.bind("sensordata")

    def begin(self, slots: IntArray, vectors: FloatArray) -> None:
        """Put slots at the starts that random vectors (M, 6) stand for."""
        self._batch.reset(slots, stage=_NOTHING)
        for slot, vector in zip(slots, vectors, strict=True):
            placement = self.scene.place(vector.tobytes())
            self._batch.state[slot], self._bodies[slot] = placement.state, placement.body_pos
        self._batch.forward(slots, stage=_POSITIONS_AND_VELOCITIES)

    def step(self, slots: IntArray, actions: FloatArray) -> None:
        """Advance slots by one decision. actions: (M, 4) in [-1, 1]: how far the hand moves, and how firmly the fingers close."""
        moved = self._hand[slots, 0] + self.scene.lead * actions[:, :3]
        self._hand[slots, 0] = np.clip(moved, self.scene.hand_low, self.scene.hand_high)
        self._fingers[slots] = np.stack([actions[:, 3], -actions[:, 3]], axis=1)
        self._batch.step(slots, nstep=self.scene.substeps, stage=_POSITIONS_AND_VELOCITIES)


class MetaWorldEngine:
    """Steps environments of several of Meta-World's tasks, see `razorbench.task.Engine`.

    A simulation that diverges is set back by MuJoCo itself, as in the package; until then its last finite readings stand.
    """

    def __init__(self, world: Any, tasks: Sequence[Task], size: int, threads: int | None) -> None:
        self.world, self.tasks = world, tuple(tasks)
        self._threads, self._size = cores.threads() if threads is None else threads, size
        self._simulations: dict[str, Simulations] = {}
        self._slot = np.array([task.slot for task in tasks])
        self.task, self.goal = np.zeros(size, dtype=np.int64), np.zeros((size, 3))
        self._now, self._before = np.zeros((size, 18)), np.zeros((size, 18))
        self._tool, self._extra = np.zeros((size, 3)), np.zeros((size, 3))
        self._known: tuple[IntArray, Readings] | None = None  # cached readings, until something moves

    def begin(self, ids: IntArray, task: IntArray | int, start: Start) -> None:
        """Put environments at their starts. task: (M,) indices into the engine's tasks."""
        self.task[ids], self.goal[ids] = task, start.goal
        for k, at in self._by_task(ids):
            self._of(k).begin(ids[at], start.state[at])
            self._read(k, ids[at])
        self._before[ids], self._known = self._now[ids], None

    def step(self, ids: IntArray, actions: FloatArray) -> None:
        """Advance environments by one decision. actions: (M, 4) in [-1, 1]; raises NotFinite if one is NaN or infinite."""
        if not np.isfinite(actions).all():
            bad = int(np.flatnonzero(~np.isfinite(actions).all(axis=1))[0])
            raise NotFinite(f"action of environment {ids[bad]} is {actions[bad]}: actions must be finite numbers in [-1, 1]; check the policy")
        meter.tell("env_steps", len(ids))
        self._before[ids], self._known = self._now[ids], None
        for k, at in self._by_task(ids):
            self._of(k).step(ids[at], np.clip(actions[at], -1.0, 1.0))
            self._read(k, ids[at])

    def readings(self, ids: IntArray) -> Readings:
        """Return what success and experts read of environments."""
        if self._known is None or self._known[0] is not ids:
            self._known = ids, self.readings_towards(ids, self.goal[ids])
        return self._known[1]

    def readings_towards(self, ids: IntArray, goal: FloatArray) -> Readings:
        """Return the readings with goals (M, 3) instead of the environments' own."""
        numbers = np.concatenate([self._now[ids], self._before[ids], goal], axis=1)
        for k, at in self._by_task(ids):
            of = self._of(k).scene
            numbers[at] = np.clip(numbers[at], of.observed_low, of.observed_high)
        return Readings(numbers, goal, self._tool[ids], self._extra[ids])

    def observe(self, ids: IntArray) -> FloatArray:
        """Return observations (M, O) float32."""
        return self.world.observe(self.readings(ids).numbers, self._slot[self.task[ids]])

    def success(self, ids: IntArray) -> BoolArray:
        """Return which environments have solved their task, (M,)."""
        solved = np.zeros(len(ids), dtype=bool)
        for k, at in self._by_task(ids):
            solved[at] = self.tasks[k].success(self._part(ids, at))
        return solved

    def shaped(self, ids: IntArray) -> FloatArray:
        """Return zeros (M,): these tasks have no shaped reward."""
        return np.zeros(len(ids))

    def expert(self, ids: IntArray, style: str | None = None) -> FloatArray:
        """Return the scripted experts' actions (M, 4). style: None for each task's first."""
        meter.tell("expert_queries", len(ids))
        actions = np.zeros((len(ids), 4))
        with meter.silence():
            for k, at in self._by_task(ids):
                task = self.tasks[k]
                actions[at] = task.experts[style or task.style](self._part(ids, at))
        return np.clip(actions, -1.0, 1.0)

    def _part(self, ids: IntArray, at: IntArray) -> Readings:
        """Return the readings of some of `ids`, at their positions (P,)."""
        whole = self.readings(ids)
        return whole if len(at) == len(ids) else Readings(whole.numbers[at], whole.goal[at], whole.tool[at], whole.extra[at])

    def _of(self, k: int) -> Simulations:
        """Return the simulations of a task, made when its first episode begins."""
        name = str(self.tasks[k].variant)
        if name not in self._simulations:
            self._simulations[name] = Simulations(name, self._size, self._threads)
        return self._simulations[name]

    def _read(self, k: int, slots: IntArray) -> None:
        simulations = self._of(k)
        sensors = simulations.sensors[slots]
        sound = np.isfinite(sensors).all(axis=1)
        half, tool, extra = simulations.scene.read(sensors[sound])
        self._now[slots[sound]], self._tool[slots[sound]] = half, tool
        self._extra[slots[sound], : extra.shape[1]] = extra

    def _by_task(self, ids: IntArray) -> Iterator[tuple[int, IntArray]]:
        """Yield each task that environments have, as its index, with the positions of those in `ids`."""
        which = self.task[ids]
        for k in np.unique(which):
            yield int(k), np.flatnonzero(which == k)
