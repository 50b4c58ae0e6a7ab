"""The batch engine: N environments of mixed tasks in lock-step over MuJoCo's threaded rollout.

For a given start and action sequence a row is bit-equal whatever the thread count, batch size or neighbours: physics
is per row, and everything between physics and action is elementwise.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from mujoco.rollout import Rollout

from razorbench.errors import NotFinite
from razorbench.task import Start, Task, World
from razorbench.types import BoolArray, FloatArray, IntArray

_CONTROL = int(mujoco.mjtState.mjSTATE_CTRL)


def default_threads() -> int:
    """Physics threads: the cores that this process may use, or RAZORBENCH_THREADS."""
    asked = int(os.environ.get("RAZORBENCH_THREADS", "0"))
    return asked or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@dataclass
class Rows:
    """Live environments. task: (N,) index into the engine's tasks; state: (N, nstate); sensors: (N, nsensordata); goal: (N, G)."""

    task: IntArray
    state: FloatArray
    sensors: FloatArray
    goal: FloatArray

    def __len__(self) -> int:
        return len(self.task)

    def take(self, index: IntArray | BoolArray) -> Rows:
        """Return copies of the rows asked for."""
        return Rows(self.task[index], self.state[index], self.sensors[index], self.goal[index])

    def join(self, other: Rows) -> Rows:
        """Return these rows followed by others."""
        return Rows(
            np.concatenate([self.task, other.task]),
            np.concatenate([self.state, other.state]),
            np.concatenate([self.sensors, other.sensors]),
            np.concatenate([self.goal, other.goal]),
        )

    def put(self, index: IntArray, rows: Rows) -> None:
        """Overwrite the rows at index (M,) with M others."""
        self.task[index], self.state[index] = rows.task, rows.state
        self.sensors[index], self.goal[index] = rows.sensors, rows.goal


class Engine:
    """Steps environments of several tasks that share one world.

    Sensor values belong to the start of a decision's last physics step, 5 ms before its end; observations, success
    and experts all read these same values.
    """

    def __init__(self, tasks: tuple[Task, ...] | list[Task], threads: int | None = None) -> None:
        self.tasks = tuple(tasks)
        self.world: World = self.tasks[0].world
        self._models = [self.world.model(task.variant) for task in self.tasks]
        self._slots = np.array([task.slot for task in self.tasks])
        model = self._models[0]
        self._sizes = (mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS), model.nsensordata, model.nu)
        threads = default_threads() if threads is None else threads
        self._data = [mujoco.MjData(model) for _ in range(max(threads, 1))]
        self._rollout = Rollout(nthread=threads)
        self._buffers: dict[int, tuple[FloatArray, FloatArray]] = {}

    def rows(self, task: IntArray, start: Start) -> Rows:
        """Return rows at their starts. task: (N,) indices into the engine's tasks."""
        readings = self.world.readings(np.zeros((len(task), self._sizes[1])), start.goal)
        control = np.zeros_like(self.world.control(readings, np.zeros((len(task), self.world.action_size))))
        # Position sensors of a one-step rollout are those of the state that it began in; nothing moves at a start.
        _, sensors = self._advance(task, start.state, control, 1)
        return Rows(np.asarray(task), start.state.copy(), sensors.copy(), start.goal.copy())

    def step(self, rows: Rows, actions: FloatArray) -> None:
        """Advance every row by one decision, in place. actions: (N, A) in [-1, 1].

        Raises NotFinite if an action or a resulting sensor is NaN or infinite.
        """
        if not np.isfinite(actions).all():
            bad = int(np.flatnonzero(~np.isfinite(actions).all(axis=1))[0])
            raise NotFinite(f"action of environment {bad} is {actions[bad]}: actions must be finite numbers in [-1, 1]; check the policy")
        readings = self.world.readings(rows.sensors, rows.goal)
        control = self.world.control(readings, np.asarray(actions, dtype=np.float64))
        state, sensors = self._advance(rows.task, rows.state, control, self.world.substeps)
        rows.state[:], rows.sensors[:] = state, sensors
        if not np.isfinite(sensors).all():
            bad = int(np.flatnonzero(~np.isfinite(sensors).all(axis=1))[0])
            raise NotFinite(
                f"observation of environment {bad} ({self.tasks[rows.task[bad]].id}) is not finite after a physics step: "
                "the simulation diverged; report the task"
            )

    def observe(self, rows: Rows) -> FloatArray:
        """Return observations (N, O) float32."""
        return self.world.observe(self.world.readings(rows.sensors, rows.goal), self._slots[rows.task])

    def success(self, rows: Rows) -> BoolArray:
        """Return which rows have solved their task, (N,)."""
        solved = np.zeros(len(rows), dtype=bool)
        for k, index, readings in self._by_task(rows):
            solved[index] = self.tasks[k].success(readings)
        return solved

    def shaped(self, rows: Rows) -> FloatArray:
        """Return the mean of each row's shaped reward terms, (N,) in [0, 1]; 0 for a task without terms."""
        reward = np.zeros(len(rows))
        for k, index, readings in self._by_task(rows):
            terms = self.tasks[k].terms
            reward[index] = sum(term(readings) for term in terms.values()) / max(len(terms), 1)
        return reward

    def expert(self, rows: Rows, style: str | None = None) -> FloatArray:
        """Return the scripted experts' actions (N, A); `style` None takes each task's first."""
        actions = np.zeros((len(rows), self.world.action_size))
        for k, index, readings in self._by_task(rows):
            experts = self.tasks[k].experts
            actions[index] = experts[style or next(iter(experts))](readings)
        return np.clip(actions, -1.0, 1.0)

    def _by_task(self, rows: Rows) -> list[tuple[int, IntArray, Any]]:
        groups: list[tuple[int, IntArray, Any]] = []
        for k in np.unique(rows.task):
            index = np.flatnonzero(rows.task == k)
            groups.append((int(k), index, self.world.readings(rows.sensors[index], rows.goal[index])))
        return groups

    def _advance(self, task: IntArray, state: FloatArray, control: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
        """Run physics with controls (N, nu) held; returns views of the last step's state and sensors."""
        n = len(task)
        nstate, nsensor, nu = self._sizes
        if steps not in self._buffers or len(self._buffers[steps][0]) < n:
            self._buffers[steps] = (np.empty((n, steps, nstate)), np.empty((n, steps, nsensor)))
        states, sensors = (buffer[:n] for buffer in self._buffers[steps])
        held = np.ascontiguousarray(np.broadcast_to(control[:, None, :], (n, steps, nu)))
        if n:
            self._rollout.rollout(
                [self._models[k] for k in task],
                self._data,
                state,
                held,
                control_spec=_CONTROL,
                skip_checks=True,
                nstep=steps,
                state=states,
                sensordata=sensors,
            )
        return states[:, -1], sensors[:, -1]
