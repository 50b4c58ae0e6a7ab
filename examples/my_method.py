"""Behavior cloning with a pull toward the base: minimizes E[-log pi(a | x)] + pull * E[KL(pi_0 || pi)] on the demonstrated states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.method import Budget, Minibatches, TaskHandle, clone, descend, kl, log_likelihood


@dataclass(frozen=True)
class MyMethod:
    """Hyper-parameters."""

    learning_rate: float = 1e-4
    """Adam's step."""
    pull: float = 0.1
    """Weight of the KL."""
    passes: int = 3
    """Passes over the demonstrations."""

    family: ClassVar[str] = "offline supervised"
    version: ClassVar[int] = 1  # raise it with every change that could change a result
    old_task_data: ClassVar[bool] = False  # whether it uses data of the original skills

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Return the tuned policy; one update is one gradient step."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        policy = clone(base)
        optimizer = task.optimizer(policy, self.learning_rate)
        batches = Minibatches(len(demos.actions), 256, rng)
        total = max(1, min(self.passes * len(demos.actions) // 256, budget.gradient_steps))
        for update in task.updates(total, policy=policy, optimizer=optimizer, batches=batches):
            chosen = next(batches)
            states, actions = demos.observations[chosen], demos.actions[chosen]
            fit = -log_likelihood(policy, states, actions).mean()
            pulled = self.pull * kl(base, policy, states).mean()
            loss = descend(optimizer, fit + pulled, max_grad_norm=0.5)
            task.update(policy, update, total, loss=loss)  # the harness measures when it is due
        return policy
