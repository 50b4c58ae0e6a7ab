"""Learning without Forgetting: SFT plus a KL to the base on the new task's states under old instructions.

Minimizes E_{(x, a) ~ demonstrations}[-log pi(a | x) + lambda KL(pi_0(.|x') || pi(.|x'))], where x' is x with the instruction of a random original skill.
Li and Hoiem (arXiv 1606.09282) record the old heads' outputs on the new task's images; here the instruction replaces the head. It needs no old-task data
and no environment steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.method import Budget, Need, Supervised, TaskHandle, clone, kl, log_likelihood

Elsewhere = Callable[[torch.Tensor], torch.Tensor]
"""Maps demonstrated observations (B, O) to the observations (B, O) of the KL."""


@dataclass(frozen=True)
class LwF(Supervised):
    """Hyper-parameters; see `Supervised`."""

    weight: float = 0.3
    """lambda, the weight of the KL under old instructions."""

    family: ClassVar[str] = "continual learning"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.DEMONSTRATIONS, Need.INSTRUCTIONS})

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the demonstrations; one update is one gradient step."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        policy, reference = clone(base), clone(base).requires_grad_(False)
        elsewhere = self.elsewhere(reference, task, budget, rng)

        def loss(i: torch.Tensor) -> torch.Tensor:
            observations = demos.observations[i]
            penalty = kl(reference, policy, elsewhere(observations))
            return (self.weight * penalty - log_likelihood(policy, observations, demos.actions[i])).mean()

        return self.fit(policy, task, len(demos.actions), loss, rng)

    def elsewhere(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> Elsewhere:
        """Return the function that maps a minibatch of demonstrated observations to those of the KL: the same with old instructions."""
        return lambda observations: task.reinstructed(observations, rng)
