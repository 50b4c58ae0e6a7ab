"""Supervised fine-tuning: maximum likelihood of demonstrated actions (behaviour cloning).

Minimises E_{(x, a) ~ demonstrations}[-log pi(a | x)] over the whole Gaussian, log-std included, starting from pi_0.
This is the SFT arm of RL's Razor (arXiv 2509.04259, section 3.1) with a scripted expert in the place of RT-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method import Budget, TaskHandle
from razorbench.policy import actor_optimizer, actor_parameters, clone, log_likelihood


@dataclass(frozen=True)
class SFT:
    """Hyper-parameters; the number of epochs follows from the budget's cap on gradient steps."""

    learning_rate: float = 1e-4
    """Adam's step, constant. To be tuned on push_far and lift_heavy, over as many values as every method's."""
    batch_size: int = 256
    """Decisions per gradient step."""
    epochs: int = 30
    """Passes over the demonstrations, fewer if the budget of gradient steps ends before."""
    max_grad_norm: float = 0.5
    """Norm that gradients are clipped to, as in `ppo`."""

    family: ClassVar[str] = "offline supervised"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.batch_size < 1 or self.epochs < 1 or self.max_grad_norm <= 0:
            raise UsageError(f"sft got {self}: learning_rate, batch_size, epochs and max_grad_norm must be positive")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the demonstrations; one update is one gradient step."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        observations, actions = torch.from_numpy(demos.observations), torch.from_numpy(demos.actions)
        batch = min(self.batch_size, len(observations))
        per_epoch = len(observations) // batch
        total = min(self.epochs * per_epoch, budget.gradient_steps)
        policy = clone(base)
        optimizer = actor_optimizer(policy, self.learning_rate)
        parameters = actor_parameters(policy)
        order = np.empty(0, dtype=np.int64)
        for update in range(1, total + 1):
            if len(order) < batch:
                order = rng.permutation(len(observations))
            index, order = torch.from_numpy(order[:batch]), order[batch:]
            loss = -log_likelihood(policy, observations[index], actions[index]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
            optimizer.step()
            task.update(policy, update, total, loss=loss.item())
        return policy
