"""The batch engine: environments of mixed tasks in lock-step on MuJoCo's thread pool, one slot each.

For a given start and action sequence an episode is bit-equal for any thread count, batch size, slot and neighbors: physics is per slot, and everything
between physics and action is elementwise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

import mujoco
import numpy as np
from mujoco.batch import Batch

from razorbench import meter
from razorbench.errors import NotFinite, UsageError
from razorbench.task import Engine, MujocoWorld, Start, Task
from razorbench.types import BoolArray, FloatArray, IntArray
from razorbench.world import cores

_POSITIONS_AND_VELOCITIES = mujoco.mjtStage.mjSTAGE_VEL.value
_NOTHING = mujoco.mjtStage.mjSTAGE_NONE.value
_UNPHYSICAL = 1e4
"""Bound on positions, angles and velocities (m, rad, per second), far above those of a sound simulation."""

_log = logging.getLogger(__name__)


def engine_for(tasks: Sequence[Task], size: int, threads: int | None = None) -> Engine:
    """Return an engine for tasks of one world: the world's own, or the batch engine for one that is MuJoCo models.

    Raises UsageError for tasks of several worlds.
    """
    worlds = list(dict.fromkeys(task.world.version for task in tasks))
    if len(worlds) > 1:
        raise UsageError(f"tasks of {' and '.join(worlds)} cannot share an engine: choose tasks and a base of one world")
    own: Callable[[Sequence[Task], int, int | None], Engine] | None = getattr(tasks[0].world, "engine", None)
    return MujocoEngine(tasks, size, threads) if own is None else own(tasks, size, threads)


def is_mujoco(task: Task) -> bool:
    """Return whether a task's world is MuJoCo models."""
    return not hasattr(task.world, "engine")


def mujoco_world(task: Task) -> MujocoWorld:
    """Return a task's world if it is MuJoCo models; raises UsageError if it brings an engine of its own."""
    if not is_mujoco(task):
        raise UsageError(f"{task.id} lives in {task.world.version}, which brings an engine of its own: this needs a world of MuJoCo models, as workcell-2 is")
    return cast(MujocoWorld, task.world)


class MujocoEngine:
    """Steps environments of several tasks that share one world.

    An environment is a slot; `ids`, (M,) and ascending, selects slots. Observations, success and experts read the sensors at the end of a decision.
    Bodies at rest sleep, so a physics state does not determine a slot: only its start and its actions reproduce an episode.
    If the simulation diverges, for example because an object was flung off in a fast spin, the environment is lost: it keeps its last sound readings,
    unsolved, until it begins again.
    task: (N,) index into the engine's tasks; goal: (N, G); state: (N, nstate) full physics states, a live view; lost: (N,).
    """

    def __init__(self, tasks: Sequence[Task], size: int, threads: int | None = None) -> None:
        self.tasks = tuple(tasks)
        self.world = mujoco_world(self.tasks[0])
        self._models = [self.world.model(task.variant) for task in self.tasks]
        self._instructions = np.array([task.slot for task in self.tasks])
        self._delayed = np.array([task.delayed for task in self.tasks])
        self._batch = Batch(self._models[0], size, cores.threads() if threads is None else threads, persistent=True)
        self.task = np.zeros(size, dtype=np.int64)
        self.goal = np.zeros((size, self.world.goal_size))
        self.state = self._batch.state[:, : mujoco.mj_stateSize(self._models[0], mujoco.mjtState.mjSTATE_FULLPHYSICS)]
        self.lost = np.zeros(size, dtype=bool)
        self._control, self._measured = self._batch.bind("ctrl"), self._batch.bind("sensordata")
        self._sensors = np.zeros_like(self._measured)  # the last sound ones
        self._waiting = np.zeros_like(self._control)  # the last command of a delayed task
        self._read: tuple[IntArray, Any] | None = None  # cached readings, until something moves

    def begin(self, ids: IntArray, task: IntArray | int, start: Start) -> None:
        """Put environments at their starts. task: (M,) indices into the engine's tasks."""
        self.task[ids], self.goal[ids] = task, start.goal
        if any(model is not self._models[0] for model in self._models):
            self._batch.set_models([self._models[k] for k in self.task])
        self._batch.reset(ids, stage=_NOTHING)
        self.state[ids] = start.state
        self._batch.forward(ids, stage=_POSITIONS_AND_VELOCITIES)
        self._sensors[ids], self.lost[ids] = self._measured[ids], False
        self._read = None
        if self._delayed.any():
            self._waiting[ids] = self.world.control(self.readings(ids), np.tile(self.world.hold, (len(ids), 1)))

    def step(self, ids: IntArray, actions: FloatArray) -> None:
        """Advance environments by one decision, except lost ones. actions: (M, A) in [-1, 1].

        Raises NotFinite if an action is NaN or infinite.
        """
        if not np.isfinite(actions).all():
            bad = int(np.flatnonzero(~np.isfinite(actions).all(axis=1))[0])
            raise NotFinite(f"action of environment {ids[bad]} is {actions[bad]}: actions must be finite numbers in [-1, 1]; check the policy")
        meter.tell("env_steps", len(ids))
        command = self.world.control(self.readings(ids), np.asarray(actions, dtype=np.float64))
        late = self._delayed[self.task[ids]]
        if late.any():
            command, self._waiting[ids] = np.where(late[:, None], self._waiting[ids], command), command
        self._control[ids] = command
        moving = ids[~self.lost[ids]] if self.lost.any() else ids
        self._batch.step(moving, nstep=self.world.substeps, stage=_POSITIONS_AND_VELOCITIES)
        measured = self._measured[moving]
        sound = (np.abs(self.state[moving]) < _UNPHYSICAL).all(axis=1) & np.isfinite(measured).all(axis=1)
        if not sound.all():
            for bad in moving[~sound]:
                self.lost[bad] = True
                _log.warning("the simulation of environment %d (%s) diverged: its episode counts as failed", bad, self.tasks[self.task[bad]].id)
            moving, measured = moving[sound], measured[sound]
        self._sensors[moving] = measured
        self._read = ids, self.world.readings(self._sensors[ids], self.goal[ids])

    def readings(self, ids: IntArray) -> Any:
        """Return the current named readings of environments."""
        if self._read is None or self._read[0] is not ids:
            self._read = ids, self.world.readings(self._sensors[ids], self.goal[ids])
        return self._read[1]

    def readings_towards(self, ids: IntArray, goal: FloatArray) -> Any:
        """Return the readings with goals (M, G) instead of the environments' own."""
        return self.world.readings(self._sensors[ids], goal)

    def observe(self, ids: IntArray) -> FloatArray:
        """Return observations (M, O) float32."""
        return self.world.observe(self.readings(ids), self._instructions[self.task[ids]])

    def success(self, ids: IntArray) -> BoolArray:
        """Return which environments have solved their task, (M,)."""
        solved = np.zeros(len(ids), dtype=bool)
        for task, index, readings in self._by_task(ids):
            solved[index] = task.success(readings)
        return solved

    def shaped(self, ids: IntArray) -> FloatArray:
        """Return the mean of each environment's shaped reward terms, (M,) in [0, 1]; 0 for a task without terms."""
        reward = np.zeros(len(ids))
        for task, index, readings in self._by_task(ids):
            reward[index] = sum(term(readings) for term in task.terms.values()) / max(len(task.terms), 1)
        return reward

    def expert(self, ids: IntArray, style: str | None = None) -> FloatArray:
        """Return the scripted experts' actions (M, A). style: None for each task's first."""
        meter.tell("expert_queries", len(ids))
        actions = np.zeros((len(ids), self.world.action_size))
        with meter.silence():
            for task, index, readings in self._by_task(ids):
                actions[index] = task.experts[style or next(iter(task.experts))](readings)
        return np.clip(actions, -1.0, 1.0)

    def _by_task(self, ids: IntArray) -> list[tuple[Task, IntArray, Any]]:
        if len(self.tasks) == 1:
            return [(self.tasks[0], np.arange(len(ids)), self.readings(ids))]
        which = self.task[ids]
        groups: list[tuple[Task, IntArray, Any]] = []
        for k in np.unique(which):
            index = np.flatnonzero(which == k)
            groups.append((self.tasks[k], index, self.readings(ids[index])))
        return groups
