"""My world: points on a plane that move to a target. It has its own engine, no instructions and no goals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from razorbench.errors import NotFinite
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray, IntArray


class Plane:
    """Sizes and starts of the world."""

    version = "plane-1"  # name and version; any change of dynamics or observation is a new version
    observation_size, action_size, goal_size = 4, 2, 0
    instruction = None  # or the columns of the observation that hold the one-hot instruction
    start_uniforms = 4  # uniform numbers per start
    width = 512  # parallel episodes in an evaluation

    def engine(self, tasks: Sequence[Task], size: int, threads: int | None) -> Points:
        """Return an engine for some of the world's tasks."""
        return Points(tasks, size)

    def digest(self) -> str:
        """Return no digest: only the lock of shipped worlds has one."""
        return ""


class Points:
    """`size` points at once. state: (size, 4), position and target of each; ids: the points of a call."""

    def __init__(self, tasks: Sequence[Task], size: int) -> None:
        self.tasks, self.world = tasks, PLANE
        self.task, self.state = np.zeros(size, dtype=int), np.zeros((size, 4))

    def begin(self, ids: IntArray, task: IntArray | int, start: Start) -> None:
        """Put points at their starts. task: index of each point's task in the engine."""
        self.task[ids], self.state[ids] = task, start.state

    def step(self, ids: IntArray, actions: FloatArray) -> None:
        """Move points by up to 5 cm. actions: (M, 2) in [-1, 1]."""
        if not np.isfinite(actions).all():
            raise NotFinite(f"an action is {actions}: actions must be finite numbers in [-1, 1]; check the policy")
        self.state[ids, :2] += 0.05 * actions

    def readings(self, ids: IntArray) -> FloatArray:
        """Return the state that success and experts read."""
        return self.state[ids]

    def observe(self, ids: IntArray) -> FloatArray:
        """Return observations (M, 4)."""
        return self.state[ids].astype(np.float32)

    def success(self, ids: IntArray) -> BoolArray:
        """Return which points have arrived, (M,)."""
        return self._by_task(ids, lambda task: task.success).astype(bool)

    def shaped(self, ids: IntArray) -> FloatArray:
        """Return shaped rewards (M,): these tasks have none."""
        return np.zeros(len(ids))

    def expert(self, ids: IntArray, style: str | None = None) -> FloatArray:
        """Return the experts' actions (M, 2)."""
        return self._by_task(ids, lambda task: task.experts[style or task.style])

    def _by_task(self, ids: IntArray, function: Callable[[Task], Callable[[Any], Any]]) -> Any:
        which = self.task[ids]
        parts = {k: function(self.tasks[k])(self.state[ids[which == k]]) for k in np.unique(which)}
        values = np.empty((len(ids), *next(iter(parts.values())).shape[1:]))
        for k, part in parts.items():
            values[which == k] = part
        return values


PLANE = Plane()


def _start(u: FloatArray, *, side: float) -> Start:
    radius, angle = 0.5 + 0.5 * u[:, 2], np.pi * (u[:, 3] - 0.5)
    place = np.stack([side * radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return Start(np.concatenate([0.4 * u[:, :2] - 0.2, place], axis=1), np.zeros((len(u), 0)))


def _arrived(state: FloatArray) -> BoolArray:
    return np.linalg.norm(state[:, :2] - state[:, 2:], axis=1) < 0.12


def _straight(state: FloatArray) -> FloatArray:
    return np.clip(10 * (state[:, 2:] - state[:, :2]), -1.0, 1.0)


def make(id: str, side: float, scripted: bool = True) -> Task:
    """Return the task to move to a target on one side of the plane, -1 left or 1 right. scripted: whether it has an expert."""
    experts = {"straight": _straight} if scripted else {}
    return Task(id=id, world=PLANE, slot=0, horizon=30, start=partial(_start, side=side), success=_arrived, experts=experts)
