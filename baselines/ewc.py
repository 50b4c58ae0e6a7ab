"""Elastic Weight Consolidation: SFT with a quadratic penalty on each weight's change, scaled by its importance for the original skills.

Minimizes E_{(x, a) ~ demonstrations}[-log pi(a | x)] + lambda / 2 sum_i F_i (theta_i - theta_0,i)^2 (Kirkpatrick et al., arXiv 1612.00796,
equation 3). F is the diagonal Fisher information of pi_0 on states of original skills, with actions drawn from pi_0 (the true Fisher, not the empirical
one); the penalty is KL(pi_0 || pi) on those states to second order. It declares old-task data, because it needs old-task states; their demonstrations
count against the same cap as new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method import Budget, Need, Supervised, TaskHandle, actor_parameters, clone, fisher_diagonal, log_likelihood


@dataclass(frozen=True)
class EWC(Supervised):
    """Hyper-parameters; see `Supervised`."""

    strength: float = 1.0
    """lambda. 0 is `sft` on the new demonstrations alone."""
    old_share: float = 0.1
    """Share of the budget's demonstrations spent on original skills, for their states."""
    fisher_states: int = 1000
    """Number of states for the Fisher information, one backward pass each."""

    family: ClassVar[str] = "continual learning"
    old_task_data: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.DEMONSTRATIONS, Need.OLD_DEMONSTRATIONS})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength < 0 or not 0 < self.old_share < 1 or self.fisher_states < 1:
            raise UsageError(f"ewc got {self}: strength must be 0 or more, old_share between 0 and 1, fisher_states positive")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the new demonstrations; one update is one gradient step."""
        old_episodes = max(1, round(self.old_share * budget.demo_episodes)) if self.strength else 0
        demos = task.demonstrations(budget.demo_episodes - old_episodes, rng)
        policy = clone(base)

        def misfit(i: torch.Tensor) -> torch.Tensor:
            return -log_likelihood(policy, demos.observations[i], demos.actions[i]).mean()

        if not old_episodes:
            return self.fit(policy, task, len(demos.actions), misfit, rng)
        states = task.old_demonstrations(old_episodes, rng).observations
        chosen = states[torch.from_numpy(rng.choice(len(states), min(self.fisher_states, len(states)), replace=False))]
        fisher = fisher_diagonal(base, chosen, rng)
        anchors = [parameter.detach().clone() for parameter in actor_parameters(base)]

        def penalty() -> torch.Tensor:
            terms = zip(fisher, actor_parameters(policy), anchors, strict=True)
            return 0.5 * self.strength * torch.stack([(f * (now - then) ** 2).sum() for f, now, then in terms]).sum()

        return self.fit(policy, task, len(demos.actions), lambda i: misfit(i) + penalty(), rng)
