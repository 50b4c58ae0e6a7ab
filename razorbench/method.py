"""What a method is, what it may use, and the handle through which the harness feeds and counts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from threading import Lock
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from razorbench import cores
from razorbench.errors import BudgetExceeded, NotFinite, UsageError
from razorbench.evaluate import Cell, play_expert
from razorbench.faces import TaskVecEnv
from razorbench.task import Split, Task
from razorbench.types import FloatArray, IntArray

_MOST_TORCH_THREADS = 4
ACTION_NOISE = 0.15
"""Standard deviation of the Gaussian noise on demonstrated actions, in pretraining and in adaptation alike."""


@dataclass(frozen=True)
class Budget:
    """Caps on what one adaptation may cost; the same for every method."""

    name: str
    env_steps: int
    demo_episodes: int
    expert_queries: int
    gradient_steps: int

    def __post_init__(self) -> None:
        for cap in fields(self)[1:]:
            value = getattr(self, cap.name)
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise UsageError(f"budget.{cap.name} is {value!r}: it must be a positive whole number, as in budget.{cap.name}=10000")


class Method(Protocol):
    """One way to adapt a base policy to a new task. Implementations are frozen dataclasses of hyper-parameters."""

    family: ClassVar[str]
    version: ClassVar[int]
    old_task_data: ClassVar[bool]

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Return the tuned policy; `base` itself stays as it is."""


@dataclass(frozen=True)
class Demonstrations:
    """Decisions of successful expert episodes. observations: (M, O) float32; actions: (M, A) float32; episode: (M,)."""

    observations: FloatArray
    actions: FloatArray
    episode: IntArray


@dataclass
class Used:
    """What has been spent so far, in the budget's units."""

    env_steps: int = 0
    demo_episodes: int = 0
    expert_queries: int = 0
    gradient_steps: int = 0


@dataclass
class TaskHandle:
    """A new task as a method sees it: environments, demonstrations and a place to report updates; all of it counted.

    on_update(policy, update, total, metrics) is called by the harness's side after each update of the method.
    """

    task: Task
    budget: Budget
    style: str
    threads: int | None = None
    on_update: Callable[[ActorCriticPolicy, int, int, dict[str, float]], None] | None = None
    used: Used = field(default_factory=Used)
    _counting: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def torch_threads(self) -> int:
        """Threads that large minibatches may use while no environment is stepped; on the processors tried, gradients are the same for any number."""
        return min(cores.threads() if self.threads is None else self.threads, _MOST_TORCH_THREADS)

    def envs(self, num_envs: int, rng: np.random.Generator) -> TaskVecEnv:
        """Return TRAIN environments whose steps are counted."""
        return _CountedVecEnv(self, num_envs, int(rng.integers(2**31)))

    def demonstrations(self, episodes: int, rng: np.random.Generator) -> Demonstrations:
        """Return the successes among that many noisy expert episodes on TRAIN starts."""
        self.charge("demo_episodes", episodes)
        index = int(rng.integers(2**31)) * 2**20 + np.arange(episodes)
        played = play_expert([Cell(self.task, Split.TRAIN, index)], self.style, noise=ACTION_NOISE, keep=True, threads=self.threads)
        if not played.success.any():
            raise UsageError(f"demos={self.style}: none of {episodes} demonstrations of {self.task.id} succeeded; choose another style")
        return Demonstrations(*played.pairs(played.success))

    def update(self, policy: ActorCriticPolicy, update: int, total: int, **metrics: float) -> None:
        """Report that update number `update` of `total` is done (1 is the first), with metrics worth watching.

        Raises NotFinite if a metric or a parameter is NaN or infinite.
        """
        for name, value in metrics.items():
            if not np.isfinite(value):
                raise NotFinite(f"{name} is {value} at update {update}: training diverged; lower the learning rate")
        if not all_finite(list(policy.parameters())):
            raise NotFinite(f"a parameter of the policy is not finite at update {update}: training diverged; lower the learning rate")
        if self.on_update is not None:
            self.on_update(policy, update, total, metrics)

    def charge(self, what: str, amount: int) -> None:
        """Count a cost, also from a method's own threads; raises BudgetExceeded beyond the cap."""
        with self._counting:
            spent, cap = getattr(self.used, what) + amount, getattr(self.budget, what)
            if spent > cap:
                raise BudgetExceeded(
                    f"{what} would reach {spent}, the budget `{self.budget.name}` allows {cap}: lower the method's use or set budget.{what}={spent}"
                )
            setattr(self.used, what, spent)

    @contextmanager
    def counting_gradients(self) -> Iterator[None]:
        """Count every optimiser step in the block, and refuse to take one with a gradient that is not finite."""

        def check(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            if not all_finite(gradients):
                raise NotFinite(
                    f"gradient of the loss is not finite at gradient step {self.used.gradient_steps + 1}: training diverged; lower the learning rate"
                )

        def count(*_: Any) -> None:
            self.charge("gradient_steps", 1)

        hooks = [register_optimizer_step_pre_hook(check), register_optimizer_step_post_hook(count)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def all_finite(tensors: list[torch.Tensor]) -> bool:
    """Whether no element is NaN or infinite, by the largest element of each."""
    return not tensors or bool(torch.isfinite(torch.stack(torch._foreach_norm([tensor.detach() for tensor in tensors], ord=float("inf")))).all())


@contextmanager
def saying_where(place: str) -> Iterator[None]:
    """Put the place in front of the message of a NotFinite that is raised in the block."""
    try:
        yield
    except NotFinite as error:
        raise NotFinite(f"{place}: {error}") from error


class _CountedVecEnv(TaskVecEnv):
    def __init__(self, handle: TaskHandle, num_envs: int, seed: int) -> None:
        super().__init__(handle.task, num_envs, seed=seed, threads=handle.threads)
        self._handle = handle

    def step_async(self, actions: FloatArray) -> None:
        self._handle.charge("env_steps", self.num_envs)
        super().step_async(actions)

    def step_wait(self) -> tuple[FloatArray, FloatArray, Any, list[dict[str, Any]]]:
        with saying_where(f"env step {self._handle.used.env_steps}"):
            return super().step_wait()
