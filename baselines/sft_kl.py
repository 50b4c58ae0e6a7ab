"""SFT with a KL penalty to the base on the new task's states, the simplest protection.

Minimizes E_{(x, a) ~ demonstrations}[-log pi(a | x) + beta KL(pi_0(.|x) || pi(.|x))] in closed form. If forward KL on the new task causes forgetting, as
RL's Razor (arXiv 2509.04259, section 4) claims, then this penalty prevents it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.method import Budget, Supervised, TaskHandle, clone, kl, log_likelihood


@dataclass(frozen=True)
class SFTKL(Supervised):
    """Hyper-parameters; see `Supervised`."""

    kl_coef: float = 0.1
    """beta, the weight of the KL."""

    family: ClassVar[str] = "offline supervised"

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the demonstrations; one update is one gradient step."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        policy, reference = clone(base), clone(base).requires_grad_(False)

        def loss(i: torch.Tensor) -> torch.Tensor:
            observations = demos.observations[i]
            return (self.kl_coef * kl(reference, policy, observations) - log_likelihood(policy, observations, demos.actions[i])).mean()

        return self.fit(policy, task, len(demos.actions), loss, rng)
