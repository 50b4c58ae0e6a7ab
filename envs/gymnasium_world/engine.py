"""Gymnasium environments in worker processes, as an engine."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from razorbench import meter
from razorbench.envs.gymnasium_world.worker import EXTRA
from razorbench.envs.gymnasium_world.workers import Pool, WorkerFailed
from razorbench.errors import NotFinite, UsageError
from razorbench.task import Start, Task
from razorbench.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Readings:
    """Environments as they are now. observation: (M, O); reward: of the last decision, (M,); solved: (M,)."""

    observation: FloatArray
    reward: FloatArray
    solved: BoolArray


class WorkerEngine:
    """Steps environments of several tasks; slot i lives in worker i modulo their number.

    A task's `variant` is the JSON that its environment is made from. An environment that ends by itself, unsolved, stands still until it begins again.
    """

    def __init__(self, tasks: Sequence[Task], size: int, pool: Pool) -> None:
        self.tasks, self.world = tuple(tasks), tasks[0].world
        self._pool = pool
        self._task = np.zeros(size, dtype=np.int64)
        self._rows = np.zeros((size, self.world.observation_size + EXTRA))
        self._numbers = np.zeros(size, dtype=np.int64)
        self._seats: dict[int, tuple[int, str, int]] = {}
        weakref.finalize(self, pool.free, self._seats)

    def begin(self, ids: IntArray, task: IntArray | int, start: Start) -> None:
        """Put environments at their starts. task: (M,) indices into the engine's tasks; start: its states are seeds, (M, 1)."""
        self._task[ids] = task
        for slot in map(int, ids):
            kind, worker = str(self.tasks[self._task[slot]].variant), slot % self._pool.processes
            if slot not in self._seats or self._seats[slot][1] != kind:
                if slot in self._seats:
                    self._pool.free({slot: self._seats.pop(slot)})
                self._seats[slot] = worker, kind, self._pool.seat(worker, kind)
                self._numbers[slot] = self._seats[slot][2]
        kinds = sorted({self._seats[slot][1] for slot in map(int, ids)})
        given = [json.loads(kind) for kind in kinds]
        self._ask(ids, start.state, lambda mine: {"do": "begin", "kinds": [kinds.index(self._seats[slot][1]) for slot in map(int, mine)], "given": given})

    def step(self, ids: IntArray, actions: FloatArray) -> None:
        """Advance environments by one decision. actions: (M, A) in [-1, 1]; raises NotFinite if one is NaN or infinite."""
        if not np.isfinite(actions).all():
            bad = int(np.flatnonzero(~np.isfinite(actions).all(axis=1))[0])
            raise NotFinite(f"action of environment {ids[bad]} is {actions[bad]}: actions must be finite numbers in [-1, 1]; check the policy")
        meter.tell("env_steps", len(ids))
        self._ask(ids, np.asarray(actions, dtype=np.float64), lambda mine: {"do": "step"})

    def readings(self, ids: IntArray) -> Readings:
        """Return observations, rewards and success of environments."""
        rows = self._rows[ids]
        return Readings(rows[:, :-EXTRA], rows[:, -EXTRA], rows[:, 1 - EXTRA] > 0)

    def observe(self, ids: IntArray) -> FloatArray:
        """Return observations (M, O) float32."""
        return self._rows[ids, :-EXTRA].astype(np.float32)

    def success(self, ids: IntArray) -> BoolArray:
        """Return which environments have solved their task, (M,)."""
        return self._rows[ids, 1 - EXTRA] > 0

    def shaped(self, ids: IntArray) -> FloatArray:
        """Return the environments' own rewards of the last decision, (M,)."""
        return self._rows[ids, -EXTRA]

    def expert(self, ids: IntArray, style: str | None = None) -> FloatArray:
        """Refuse: these tasks have no scripted experts."""
        raise UsageError(f"{self.tasks[0].id} has no scripted expert: give demonstrations with demos=FILE")

    def _ask(self, ids: IntArray, numbers: FloatArray, head: Any) -> None:
        """Have every worker answer for its slots. numbers: a row for each slot; head: of the request for some slots, all but their seats."""
        owner, requests, slots = ids % self._pool.processes, dict[int, tuple[Mapping[str, Any], FloatArray]](), list[IntArray]()
        for worker in range(self._pool.processes):
            chosen = owner == worker
            if chosen.any():
                slots.append(mine := ids[chosen])
                requests[worker] = {**head(mine), "seats": self._numbers[mine].tolist()}, np.ascontiguousarray(numbers[chosen])
        for mine, (_, rows) in zip(slots, self._pool.ask(requests), strict=True):
            if rows.shape != (len(mine), self._rows.shape[1]):
                raise WorkerFailed(f"a worker answers {rows.shape} numbers, where {(len(mine), self._rows.shape[1])} are due: it is no worker of this version")
            self._rows[mine] = rows
