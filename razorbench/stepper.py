"""Episodes on top of the engine: rewards, time limits and auto-reset for a batch, without a loop over environments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from razorbench.engine import Engine, Rows
from razorbench.task import Split, Task
from razorbench.types import BoolArray, FloatArray, IntArray

_EPISODES_PER_SEED = 2**24


@dataclass(frozen=True)
class Step:
    """One decision of N environments that reset within the step.

    observation: (N, O) after any reset; final_observation: (N, O) before it; reward: (N,); the flags: (N,).
    """

    observation: FloatArray
    final_observation: FloatArray
    reward: FloatArray
    terminated: BoolArray
    truncated: BoolArray

    @property
    def done(self) -> BoolArray:
        """Which environments ended their episode in this step."""
        return self.terminated | self.truncated


class Stepper:
    """Plays TRAIN episodes of one task in N environments; episode k of an environment depends on its seed and k alone."""

    def __init__(self, task: Task, num_envs: int, *, max_episode_steps: int | None = None, threads: int | None = None) -> None:
        self.task, self.num_envs = task, num_envs
        self._horizon = max_episode_steps or task.horizon
        self._engine = Engine([task], threads)
        self.seeds = np.arange(num_envs)
        self._episode = np.full(num_envs, -1)
        self.length = np.zeros(num_envs, dtype=np.int64)
        self._rows = self._fresh(np.zeros(0, dtype=np.int64))

    def reset(self, seeds: IntArray | None = None, where: BoolArray | None = None) -> FloatArray:
        """Begin an episode in all environments, or where (N,) asks for it; with seeds (N,), begin their streams anew.

        Returns observations (N, O).
        """
        if seeds is not None:
            self.seeds, self._episode = np.asarray(seeds), np.full(self.num_envs, -1)
        if len(self._rows) != self.num_envs or where is None:
            self._rows = self._fresh(np.arange(self.num_envs))
        else:
            index = np.flatnonzero(where)
            self._rows.put(index, self._fresh(index))
        return self._engine.observe(self._rows)

    def step(self, actions: FloatArray, *, autoreset: bool = True) -> Step:
        """Advance one decision. actions: (N, A) in [-1, 1]."""
        self._engine.step(self._rows, actions)
        self.length += 1
        terminated = self._engine.success(self._rows)
        truncated = ~terminated & (self.length >= self._horizon)
        reward = terminated.astype(np.float32)
        if self.task.reward == "shaped":
            reward += self._engine.shaped(self._rows).astype(np.float32)
        final = observation = self._engine.observe(self._rows)
        index = np.flatnonzero(terminated | truncated)
        if autoreset and len(index):
            fresh = self._fresh(index)
            self._rows.put(index, fresh)
            observation = final.copy()
            observation[index] = self._engine.observe(fresh)
        return Step(observation, final, reward, terminated, truncated)

    @property
    def state(self) -> FloatArray:
        """Physics states (N, nstate)."""
        return self._rows.state

    @property
    def readings(self) -> Any:
        """The world's named readings of the environments as they are now."""
        return self._engine.world.readings(self._rows.sensors, self._rows.goal)

    def _fresh(self, index: IntArray) -> Rows:
        self._episode[index] += 1
        self.length[index] = 0
        counter = self.seeds[index].astype(np.uint64) * np.uint64(_EPISODES_PER_SEED) + self._episode[index].astype(np.uint64)
        return self._engine.rows(np.zeros(len(index), dtype=np.int64), self.task.starts(Split.TRAIN, counter))
