"""PPO with a KL penalty to the base, the usual protection against forgetting in RL of language models.

Adds beta * E_x[KL(pi(.|x) || pi_0(.|x))] to PPO's loss, x from the rollouts, in closed form. Ouyang et al. (arXiv 2203.02155) add a one-sample estimate
of this reverse KL to the reward; as a term of the loss it has no noise and needs no critic. RL's Razor (arXiv 2509.04259, section 6) asks whether it is
needed.

SB3's loss has a third term, -ent_coef * entropy. A policy that returns -KL as its entropy turns this term into the penalty, and SB3's PPO stays
unmodified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.baselines.ppo import PPO
from razorbench.errors import UsageError
from razorbench.method import clone, kl


@dataclass(frozen=True)
class PPOKL(PPO):
    """Hyper-parameters of `ppo` and the penalty's weight."""

    kl_coef: float = 0.03
    """beta, in units of normalized advantage per nat."""

    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kl_coef < 0:
            raise UsageError(f"method.kl_coef is {self.kl_coef}: it must be 0 or more")

    def starting(self, base: ActorCriticPolicy) -> ActorCriticPolicy:
        """Return a copy of the base that returns -KL(pi || pi_0) as its entropy."""
        policy, reference = clone(base), clone(base).requires_grad_(False)
        evaluate = policy.evaluate_actions

        def evaluate_actions(obs: Any, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            values, log_prob, _ = evaluate(obs, actions)
            return values, log_prob, -kl(policy, reference, obs)

        policy.evaluate_actions = evaluate_actions
        return policy

    def third_coefficient(self) -> float:
        """Return the penalty's weight."""
        return self.kl_coef
