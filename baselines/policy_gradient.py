"""The shared loop of `grpo` and `reinforce`: play whole episodes, compute an advantage for each, ascend the policy gradient.

Per iteration, with theta_old the policy that played and A_i the advantage of episode i, the loss is

    -mean over decisions of min(r A_i, clip(r, 1 - eps, 1 + eps) A_i),  r = pi(a | x) / pi_theta_old(a | x),

the clipped surrogate of PPO (arXiv 1707.06347, equation 7); its first gradient step is the plain policy gradient. Every decision has the same weight,
because dividing by the episode's length favors long failures (Dr. GRPO, arXiv 2503.20783).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.baselines.on_policy import affordable
from razorbench.errors import UsageError
from razorbench.method import Budget, Minibatches, TaskHandle, clone, descend, log_likelihood
from razorbench.types import BoolArray, FloatArray


@dataclass(frozen=True)
class PolicyGradient(ABC):
    """Hyper-parameters, where possible those of `ppo`."""

    learning_rate: float = 1e-4
    """Adam's learning rate, constant."""
    iterations: int = 30
    """Iterations of rollouts and updates; the environment steps are spread evenly over them."""
    batch_size: int = 1024
    """Decisions per gradient step."""
    n_epochs: int = 4
    """Passes over each iteration's decisions."""
    clip_range: float = 0.2
    """eps, as in `ppo`."""
    max_grad_norm: float = 0.5
    """Gradient clipping norm, as in `ppo`."""

    family: ClassVar[str] = "on-policy reward"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if min(self.learning_rate, self.iterations, self.batch_size, self.n_epochs, self.clip_range, self.max_grad_norm, self.group_size()) <= 0:
            raise UsageError(f"the method got {self}: all of its settings must be positive")

    @abstractmethod
    def advantages(self, success: BoolArray) -> FloatArray:
        """Return the advantage of each episode. success: (G, K), K episodes from each of G starts; returns (G, K)."""

    def group_size(self) -> int:
        """Return the number of episodes from the same start."""
        return 1

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Train on TRAIN episodes; one update is one iteration."""
        policy = clone(base)
        optimizer = task.optimizer(policy, self.learning_rate)
        memory: dict[str, float | None] = {"length": None}
        for iteration in task.updates(self.iterations, policy=policy, optimizer=optimizer, memory=memory):
            group = self.group_size()
            episodes = affordable(task, self.iterations - iteration + 1, memory["length"], "env_steps", group=group)
            starts = np.repeat(task.fresh_starts(episodes // group, rng), group)
            played = task.rollouts(policy, starts, rng)
            memory["length"] = len(played.actions) / len(starts)
            per_episode = self.advantages(played.success.reshape(-1, group)).ravel()
            advantage = torch.from_numpy(per_episode[played.episode].astype(np.float32))
            self._ascend(policy, optimizer, played.observations, played.actions, advantage, rng)
            task.update(policy, iteration, self.iterations, success=float(played.success.mean()))
        return policy

    def _ascend(
        self,
        policy: ActorCriticPolicy,
        optimizer: torch.optim.Optimizer,
        observations: torch.Tensor,
        actions: torch.Tensor,
        advantage: torch.Tensor,
        rng: np.random.Generator,
    ) -> None:
        with torch.no_grad():
            old = log_likelihood(policy, observations, actions)
        batches = Minibatches(len(actions), self.batch_size, rng)
        for _ in range(self.n_epochs * max(1, len(actions) // self.batch_size)):
            index = next(batches)
            # Decisions without advantage have no gradient; a minibatch of only these would still move the weights by Adam's momentum.
            index_ = index[advantage[index] != 0]
            if len(index_):
                ratio = torch.exp(log_likelihood(policy, observations[index_], actions[index_]) - old[index_])
                surrogate = torch.minimum(ratio * advantage[index_], ratio.clamp(1 - self.clip_range, 1 + self.clip_range) * advantage[index_])
                descend(optimizer, -surrogate.sum() / len(index), self.max_grad_norm)
