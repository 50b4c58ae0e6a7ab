"""The batch engine as a Gymnasium environment, a Gymnasium vector environment and a Stable-Baselines3 VecEnv."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from stable_baselines3.common.vec_env import VecEnv

from razorbench.stepper import Stepper
from razorbench.task import Task, made
from razorbench.types import FloatArray


def spaces(task: Task) -> tuple[Box, Box]:
    """Return observation and action space of one environment."""
    return (
        Box(-5.0, 5.0, (task.world.observation_size,), np.float32),
        Box(-1.0, 1.0, (task.world.action_size,), np.float32),
    )


def _build(target: str, task_id: str, reward: Literal["sparse", "shaped"]) -> Task:
    module, _, name = target.rpartition(".")
    task: Task = made(getattr(importlib.import_module(module), name), {"id": task_id})
    return replace(task, reward=reward)


class TaskEnv(gymnasium.Env[FloatArray, FloatArray]):
    """One environment of a task, for `gymnasium.make`. Truncates at the task's horizon; reward 1 and the end on success."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(
        self, target: str, task_id: str, *, reward: Literal["sparse", "shaped"] = "sparse", max_episode_steps: int | None = None, render_mode: str | None = None
    ) -> None:
        self.task = _build(target, task_id, reward)
        self.observation_space, self.action_space = spaces(self.task)
        self.render_mode = render_mode
        self._stepper = Stepper(self.task, 1, max_episode_steps=max_episode_steps, threads=1)
        self._seeded = False
        self._camera: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode; a seed begins its stream of episodes anew."""
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(2**31))
        self._seeded = True
        observation = self._stepper.reset(None if seed is None else np.array([seed]))
        return observation[0], {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Advance one decision (50 ms)."""
        result = self._stepper.step(np.asarray(action)[None], autoreset=False)
        terminated = bool(result.terminated[0])
        return result.observation[0], float(result.reward[0]), terminated, bool(result.truncated[0]), {"is_success": terminated}

    def render(self) -> Any:
        """Return a picture (H, W, 3) uint8."""
        if self.render_mode != "rgb_array":
            return None
        if self._camera is None:
            from razorbench.video import Camera

            self._camera = Camera(self.task)
        return self._camera.picture(self._stepper.state[0])

    def close(self) -> None:
        """Free the renderer, if one was made."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None


class TaskVectorEnv(gymnasium.vector.VectorEnv[FloatArray, FloatArray, FloatArray]):
    """N environments of a task in lock-step, for `gymnasium.make_vec`; environment i is seeded with seed + i."""

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": [], "render_fps": 20}

    def __init__(
        self,
        target: str,
        task_id: str,
        *,
        num_envs: int = 1,
        reward: Literal["sparse", "shaped"] = "sparse",
        max_episode_steps: int | None = None,
        threads: int | None = None,
    ) -> None:
        self.task = _build(target, task_id, reward)
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = spaces(self.task)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._stepper = Stepper(self.task, num_envs, max_episode_steps=max_episode_steps, threads=threads)
        self._seeded = False

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode everywhere, or where `options["reset_mask"]` says."""
        if seed is None and not self._seeded:
            seed = int(np.random.SeedSequence().generate_state(1)[0] >> 1)
        self._seeded = True
        seeds = None if seed is None else np.asarray([seed + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed)
        return self._stepper.reset(seeds, (options or {}).get("reset_mask")), {}

    def step(self, actions: FloatArray) -> tuple[FloatArray, FloatArray, Any, Any, dict[str, Any]]:
        """Advance one decision; `info["final_obs"]` holds the last observation of the episodes that ended."""
        result = self._stepper.step(np.asarray(actions))
        info: dict[str, Any] = {"is_success": result.terminated, "_is_success": np.ones(self.num_envs, dtype=bool)}
        done = result.done
        if done.any():
            final = np.full(self.num_envs, None, dtype=object)
            for i in np.flatnonzero(done):
                final[i] = result.final_observation[i]
            info |= {"final_obs": final, "_final_obs": done, "final_info": dict(info), "_final_info": done}
        return result.observation, result.reward.astype(np.float64), result.terminated, result.truncated, info


class TaskVecEnv(VecEnv):
    """N environments of a task as Stable-Baselines3 wants them."""

    def __init__(self, task: Task, num_envs: int, *, seed: int = 0, threads: int | None = None) -> None:
        super().__init__(num_envs, *spaces(task))
        self.stepper = Stepper(task, num_envs, threads=threads, remember=True)
        self._first_seed = seed
        self._actions: FloatArray = np.zeros((num_envs, task.world.action_size))

    def reset(self) -> FloatArray:
        """Begin the streams of episodes anew."""
        return self.stepper.reset(self._first_seed + np.arange(self.num_envs))

    def step_async(self, actions: FloatArray) -> None:
        """Keep the actions (N, A) for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[FloatArray, FloatArray, Any, list[dict[str, Any]]]:
        """Advance one decision."""
        result = self.stepper.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        done = result.done
        for i in np.flatnonzero(done):
            infos[i] = {
                "terminal_observation": result.final_observation[i],
                "TimeLimit.truncated": bool(result.truncated[i]),
                "is_success": bool(result.terminated[i]),
            }
        return result.observation, result.reward, done, infos

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed the streams of episodes from the next reset on; environment i takes seed + i."""
        if seed is not None:
            self._first_seed = seed
        return [self._first_seed + i for i in range(self.num_envs)]

    def close(self) -> None:
        """Nothing is held that needs freeing."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute, once per environment."""
        return [getattr(self, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: the environments are rows of one batch."""
        raise AttributeError(f"cannot set {attr_name}: the environments are rows of one batch and share their settings")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refuse: the environments are rows of one batch."""
        raise AttributeError(f"cannot call {method_name} on one environment: the environments are rows of one batch")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return False for every environment."""
        return [False] * len(list(self._get_indices(indices)))
