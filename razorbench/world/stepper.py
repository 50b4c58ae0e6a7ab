"""Episodes on top of the engine: rewards, time limits and auto-reset for a batch, without a loop over environments."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from gymnasium.error import ResetNeeded

from razorbench.errors import UsageError
from razorbench.task import Split, Task
from razorbench.types import BoolArray, FloatArray, IntArray, State
from razorbench.world.engine import MujocoEngine, engine_for, mujoco_world

_EPISODES_PER_SEED = 2**24
_SEEDS = 2**64 // _EPISODES_PER_SEED


@dataclass(frozen=True)
class Step:
    """One decision of N environments that reset within the step.

    observation: (N, O) after any reset; final_observation: (N, O) before it; reward, terminated, truncated: (N,).
    """

    observation: FloatArray
    final_observation: FloatArray
    reward: FloatArray
    terminated: BoolArray
    truncated: BoolArray

    @property
    def done(self) -> BoolArray:
        """Whether each environment ended its episode in this step, (N,)."""
        return self.terminated | self.truncated


class Stepper:
    """Plays TRAIN episodes of one task in N environments; episode k of an environment depends only on its seed and k.

    An episode ends on success and truncates at the task's horizon. After max_episode_steps it truncates even on success, as in Gymnasium's TimeLimit.
    remember: store the actions of the current episodes, which `state_dict` needs.
    """

    def __init__(self, task: Task, num_envs: int, *, max_episode_steps: int | None = None, threads: int | None = None, remember: bool = False) -> None:
        self.task, self.num_envs = task, num_envs
        self._limit = max_episode_steps or task.horizon + 1
        self._engine = engine_for([task], num_envs, threads)
        self._all = np.arange(num_envs)
        self.seeds = self._all
        self._episode = np.full(num_envs, -1)
        self.length = np.zeros(num_envs, dtype=np.int64)
        self._taken: deque[FloatArray] = deque(maxlen=task.horizon if remember else 0)

    @property
    def begun(self) -> BoolArray:
        """Whether each environment has an episode, (N,)."""
        return self._episode >= 0

    def seed(self, seeds: IntArray, where: BoolArray | None = None) -> None:
        """Restart streams of episodes at the next reset. seeds: (N,); where: mask (N,), by default all. Raises UsageError for a seed out of range."""
        index = self._all if where is None else np.flatnonzero(where)
        bad = [seed for seed in seeds[index] if not 0 <= seed < _SEEDS]
        if bad:
            raise UsageError(f"seed {bad[0]}: seeds are whole numbers from 0 to {_SEEDS - 1}")
        self.seeds = self.seeds.copy()
        self.seeds[index], self._episode[index] = seeds[index], -1

    def reset(self, seeds: IntArray | None = None, where: BoolArray | None = None) -> FloatArray:
        """Begin an episode and return observations (N, O). seeds: (N,), restart all streams; where: mask (N,), by default all.

        Raises ResetNeeded if an environment still has no episode.
        """
        if seeds is not None:
            self.seed(seeds)
        self._begin(self._all if where is None else np.flatnonzero(where))
        self._check_begun()
        return self.observation

    def step(self, actions: FloatArray, *, autoreset: bool = True, where: BoolArray | None = None) -> Step:
        """Advance one decision. actions: (N, A) in [-1, 1]; where: mask (N,), by default all; the others neither end nor give a reward.

        Raises ResetNeeded before the first reset.
        """
        self._check_begun()
        moves = np.ones(self.num_envs, dtype=bool) if where is None else where
        ids = self._all if moves.all() else np.flatnonzero(moves)
        self._engine.step(ids, actions[ids])
        self._taken.append(np.array(actions))
        self.length[ids] += 1
        terminated = moves & self._engine.success(self._all)
        truncated = moves & (~terminated & (self.length >= self.task.horizon) | (self.length >= self._limit))
        reward = terminated.astype(np.float32)
        if self.task.reward == "shaped":
            reward += np.where(moves, self._engine.shaped(self._all), 0.0).astype(np.float32)
        final = observation = self._engine.observe(self._all)
        index = np.flatnonzero(terminated | truncated)
        if autoreset and len(index):
            self._begin(index)
            observation = final.copy()
            observation[index] = self._engine.observe(index)
        return Step(observation, final, reward, terminated, truncated)

    @property
    def state(self) -> FloatArray:
        """Physics states (N, nstate), a live view. Raises UsageError for a world that is not MuJoCo models."""
        mujoco_world(self.task)
        return cast(MujocoEngine, self._engine).state

    @property
    def readings(self) -> Any:
        """Current named readings of the environments."""
        return self._engine.readings(self._all)

    @property
    def observation(self) -> FloatArray:
        """Current observations, (N, O)."""
        return self._engine.observe(self._all)

    def state_dict(self) -> State:
        """Return the current episodes and their actions: the physics state is not enough, because bodies at rest sleep."""
        decisions = int(self.length.max())
        taken = list(self._taken)[len(self._taken) - decisions :]
        return {"seeds": self.seeds, "episode": self._episode, "length": self.length, "actions": np.array(taken)}

    def load_state_dict(self, state: State) -> None:
        """Restore `state`: begin its episodes and replay their actions."""
        self.seeds, self._episode = state["seeds"], state["episode"] - 1
        self._begin(self._all)
        decisions = len(state["actions"])
        for decision, actions in enumerate(state["actions"]):
            ids = np.flatnonzero(state["length"] >= decisions - decision)
            self._engine.step(ids, actions[ids])
            self._taken.append(actions)
        self.length = state["length"].copy()

    def _check_begun(self) -> None:
        if not self.begun.all():
            raise ResetNeeded(f"environment {np.argmin(self.begun)} of {self.task.id} has no episode yet: call reset() before step(), the first time for all")

    def _begin(self, index: IntArray) -> None:
        self._episode[index] += 1
        self.length[index] = 0
        counter = self.seeds[index].astype(np.uint64) * np.uint64(_EPISODES_PER_SEED) + self._episode[index].astype(np.uint64)
        self._engine.begin(index, 0, self.task.starts(Split.TRAIN, counter))
