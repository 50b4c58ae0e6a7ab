"""SFT with an L2 penalty on the distance to the base's weights, regardless of behavior.

Minimizes E_{(x, a) ~ demonstrations}[-log pi(a | x)] + lambda / 2 |theta - theta_0|^2 over the actor's parameters (L2-SP, arXiv
1802.01483). Compared with `ewc`, it shows the effect of weighting the parameters; compared with `sft_kl`, that of measuring in distributions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.method import Budget, Supervised, TaskHandle, actor_parameters, clone, log_likelihood


@dataclass(frozen=True)
class L2Init(Supervised):
    """Hyper-parameters; see `Supervised`."""

    strength: float = 1.0
    """lambda, nats per squared unit of weight."""

    family: ClassVar[str] = "continual learning"

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the demonstrations; one update is one gradient step."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        policy = clone(base)
        pairs = list(zip(actor_parameters(policy), [p.detach().clone() for p in actor_parameters(policy)], strict=True))

        def loss(i: torch.Tensor) -> torch.Tensor:
            fit = -log_likelihood(policy, demos.observations[i], demos.actions[i]).mean()
            return fit + 0.5 * self.strength * torch.stack([((now - then) ** 2).sum() for now, then in pairs]).sum()

        return self.fit(policy, task, len(demos.actions), loss, rng)
