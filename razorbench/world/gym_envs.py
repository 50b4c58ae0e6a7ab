"""The batch engine as a Gymnasium environment, a Gymnasium vector environment and a Stable-Baselines3 VecEnv."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, NoReturn

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from stable_baselines3.common.vec_env import VecEnv

from razorbench.errors import UsageError
from razorbench.task import Task, made, spaces
from razorbench.types import BoolArray, FloatArray, Info
from razorbench.world import given
from razorbench.world.stepper import Stepper

Seeds = int | Sequence[int | None] | None
_RENDER_MODES = ["rgb_array"]
_OF_EACH = ("task", "observation_space", "action_space", "render_mode", "metadata")
"""What can be read of every environment in a batch."""


def _build(target: str, task_id: str, reward: str, render_mode: str | None) -> Task:
    given.known("render_mode", render_mode, [None, *_RENDER_MODES])
    module, _, name = target.rpartition(".")
    task: Task = made(getattr(importlib.import_module(module), name), {"id": task_id})
    return replace(task, reward=reward)


def _of_each(batch: Any, name: str) -> Any:
    """Return what every environment of a batch has by a name. Raises AttributeError if they have nothing by that name."""
    if name not in _OF_EACH:
        raise AttributeError(f"the environments have no {name}: what can be read of each is {', '.join(_OF_EACH)}")
    return getattr(batch, f"single_{name}" if hasattr(batch, f"single_{name}") else name)


def _any_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


class _Pictures:
    """Draws states of a task. What draws needs OpenGL, so it is made with the first picture."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._camera: Any = None

    def of(self, state: FloatArray) -> Any:
        """Return a picture (H, W, 3) uint8 of a physics state."""
        if self._camera is None:
            from razorbench.world.camera import Camera

            self._camera = Camera(self._task)
        return self._camera.picture(state)

    def close(self) -> None:
        """Free the camera, if one was made."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None


class TaskEnv(gymnasium.Env[FloatArray, FloatArray]):
    """One environment of a task, for `gymnasium.make`. Truncates at the task's horizon; reward 1 and the end on success.

    Raises UsageError for a reward or render mode that there is not, for a seed out of range, and for what is no action.
    """

    metadata: ClassVar[Info] = {"render_modes": _RENDER_MODES, "render_fps": 20}

    def __init__(self, target: str, task_id: str, *, reward: str = "sparse", render_mode: str | None = None) -> None:
        self.task = _build(target, task_id, reward, render_mode)
        self.observation_space, self.action_space = spaces(self.task)
        self.render_mode = render_mode
        self._stepper = Stepper(self.task, 1, threads=1)
        self._ended = False
        self._pictures = _Pictures(self.task)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[FloatArray, Info]:
        """Begin an episode; a seed begins its stream of episodes anew."""
        if seed is None and not self._stepper.begun.all():
            seed = _any_seed()
        super().reset(seed=seed)
        self._ended = False
        return self._stepper.reset(None if seed is None else np.array([seed]))[0], {}

    def step(self, action: FloatArray) -> tuple[FloatArray, float, bool, bool, Info]:
        """Advance one decision (50 ms). Raises ResetNeeded where there is no episode to advance."""
        if self._ended:
            raise ResetNeeded(f"the episode of {self.task.id} has ended: call reset() before the next step()")
        result = self._stepper.step(given.actions(action, self.action_space.shape)[None], autoreset=False)
        self._ended, terminated = bool(result.done[0]), bool(result.terminated[0])
        return result.observation[0], float(result.reward[0]), terminated, bool(result.truncated[0]), {"is_success": terminated}

    def render(self) -> Any:
        """Return a picture (H, W, 3) uint8, or None if no render mode was asked for."""
        return None if self.render_mode is None else self._pictures.of(self._stepper.state[0])

    def close(self) -> None:
        """Free the renderer, if one was made."""
        self._pictures.close()


class TaskVectorEnv(gymnasium.vector.VectorEnv[FloatArray, FloatArray, FloatArray]):
    """N environments of a task in lock-step, for `gymnasium.make_vec`; environment i is seeded with seed + i.

    The same as `vectorization_mode="sync"` in all that it returns, for all autoreset modes: `SameStep` begins the next episode within
    the step that ended one, `NextStep` within the step after it, `Disabled` leaves it to `reset(options={"reset_mask": ended})`.
    Raises UsageError for settings that there are not, for seeds and masks that do not fit, and for what is no action.
    """

    def __init__(
        self,
        target: str,
        task_id: str,
        *,
        num_envs: int = 1,
        reward: str = "sparse",
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        threads: int | None = None,
    ) -> None:
        self.task = _build(target, task_id, reward, render_mode)
        mode = getattr(autoreset_mode, "value", autoreset_mode)
        given.known("autoreset_mode", mode, [each.value for each in AutoresetMode])
        given.positive("num_envs", num_envs)
        limit = None if max_episode_steps == -1 else max_episode_steps  # as for gymnasium.make
        for name, value in (("max_episode_steps", limit), ("threads", threads)):
            if value is not None:
                given.positive(name, value)
        self.num_envs, self.render_mode, self._mode = num_envs, render_mode, AutoresetMode(mode)
        self.metadata = TaskEnv.metadata | {"autoreset_mode": self._mode}
        self.single_observation_space, self.single_action_space = spaces(self.task)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._stepper = Stepper(self.task, num_envs, max_episode_steps=limit, threads=threads)
        self._ended = np.zeros(num_envs, dtype=bool)
        self._pictures = _Pictures(self.task)

    @property
    def np_random_seed(self) -> tuple[int, ...]:
        """Seeds of the environments' streams of episodes; -1 before the first reset."""
        return tuple(np.where(self._stepper.begun, self._stepper.seeds, -1).tolist())

    def reset(self, *, seed: Seeds = None, options: Info | None = None) -> tuple[FloatArray, Info]:
        """Begin an episode everywhere, or where `options["reset_mask"]` says; seeds begin their streams of episodes anew.

        seed: one number, from which environment i takes seed + i, or a number or None for each.
        """
        where, seeds = self._where(options), self._seeds(seed)
        asked = np.array([each is not None for each in seeds])
        anew = where & (asked | ~self._stepper.begun)
        if anew.any():
            first = _any_seed()
            self._stepper.seed(np.array([first + i if each is None else each for i, each in enumerate(seeds)]), anew)
        observation = self._stepper.reset(where=where)
        self._ended = self._ended & ~where
        return observation, {}

    def step(self, actions: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, Info]:
        """Advance one decision. With `SameStep`, `info["final_obs"]` and `info["final_info"]` are what the episodes that ended gave last.

        Raises ResetNeeded where there is no episode to advance.
        """
        numbers, begins = given.actions(actions, self.action_space.shape), self._ended
        if self._mode is AutoresetMode.DISABLED and begins.any():
            raise ResetNeeded(f"the episodes of environments {np.flatnonzero(begins).tolist()} have ended: call reset(options={{'reset_mask': ended}}) first")
        same_step = self._mode is AutoresetMode.SAME_STEP
        result = self._stepper.step(numbers, autoreset=same_step, where=~begins)
        observation = self._stepper.reset(where=begins) if begins.any() else result.observation
        done = result.done
        if same_step:
            info = _success(result.terminated, ~done)
            if done.any():
                final = np.full(self.num_envs, None, dtype=object)
                for i in np.flatnonzero(done):
                    final[i] = result.final_observation[i]
                info |= {"final_obs": final, "_final_obs": done.copy(), "final_info": _success(result.terminated, done), "_final_info": done.copy()}
        else:
            info = _success(result.terminated, ~begins)
            self._ended = done
        return observation, result.reward.astype(np.float64), result.terminated, result.truncated, info

    def render(self) -> tuple[Any, ...]:
        """Return a picture (H, W, 3) uint8 of each environment, or None for each if no render mode was asked for."""
        return tuple(None if self.render_mode is None else self._pictures.of(state) for state in self._stepper.state)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return the pictures for `render`, else what every environment has by a name, once for each. Raises AttributeError for any other name."""
        return self.render() if name == "render" else (_of_each(self, name),) * self.num_envs

    get_attr = call

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderer, if one was made."""
        self._pictures.close()

    def _where(self, options: Info | None) -> BoolArray:
        """Return which environments a reset is about, (N,)."""
        if not options or "reset_mask" not in options:
            return np.ones(self.num_envs, dtype=bool)
        mask = options["reset_mask"]
        if not isinstance(mask, np.ndarray) or mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise UsageError(f"reset_mask={mask!r}: give a NumPy array of {self.num_envs} booleans, one for each environment, of which one or more is True")
        return mask.copy()

    def _seeds(self, seed: Seeds) -> Sequence[int | None]:
        """Return each environment's seed, None where its stream goes on."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + i for i in range(self.num_envs)]
        if np.asarray(seed, dtype=object).shape != (self.num_envs,) or not all(each is None or isinstance(each, int | np.integer) for each in seed):
            raise UsageError(f"seed={seed!r}: give a whole number, or {self.num_envs} of them, one for each environment, with None where its episodes go on")
        return seed


def _success(solved: BoolArray, told: BoolArray) -> Info:
    """Return Gymnasium's info of a batch in which the environments `told` (N,) said whether their task is solved."""
    return {"is_success": solved & told, "_is_success": told.copy()} if told.any() else {}


class TaskVecEnv(VecEnv):
    """N environments of a task as Stable-Baselines3 wants them; environment i is seeded with seed + i.

    A reset goes on with new episodes, unless `seed` was called before it.
    """

    render_mode: str | None = None

    def __init__(self, task: Task, num_envs: int, *, seed: int = 0, threads: int | None = None) -> None:
        self.task = task
        super().__init__(num_envs, *spaces(task))
        self.stepper = Stepper(task, num_envs, threads=threads, remember=True)
        self._actions: FloatArray = np.zeros((num_envs, task.world.action_size))
        self.seed(seed)

    def reset(self) -> FloatArray:
        """Begin an episode everywhere."""
        if self._seeds[0] is not None:
            self.stepper.seed(np.array(self._seeds))
        self._reset_seeds()
        return self.stepper.reset()

    def step_async(self, actions: FloatArray) -> None:
        """Keep the actions (N, A) for `step_wait`. Raises UsageError if they are not numbers of this shape."""
        self._actions = given.actions(actions, self._actions.shape)

    def step_wait(self) -> tuple[FloatArray, FloatArray, BoolArray, list[Info]]:
        """Advance one decision. Raises ResetNeeded before the first reset."""
        result = self.stepper.step(self._actions)
        infos: list[Info] = [{} for _ in range(self.num_envs)]
        done = result.done
        for i in np.flatnonzero(done):
            infos[i] = {
                "terminal_observation": result.final_observation[i],
                "TimeLimit.truncated": bool(result.truncated[i]),
                "is_success": bool(result.terminated[i]),
            }
        return result.observation, result.reward, done, infos

    def close(self) -> None:
        """Nothing is held that needs freeing."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return what every environment has by a name, once for each. Raises AttributeError if they have nothing by that name."""
        return [_of_each(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> NoReturn:
        """Refuse: the environments are rows of one batch."""
        raise AttributeError(f"cannot set {attr_name}: the environments are rows of one batch and share their settings")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> NoReturn:
        """Refuse: the environments are rows of one batch."""
        raise AttributeError(f"cannot call {method_name} on one environment: the environments are rows of one batch")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return False for every environment."""
        return [False for _ in self._get_indices(indices)]
