"""Mend: corrections only where the policy fails, on its own states, while it keeps its answers to old instructions there.

`dagger` whose memory takes the expert's labels from failed episodes alone: what works already is left as it is. To the loss it adds, as `sft_cf` does,
lambda KL(pi_0(.|x') || pi(.|x')) with x' the state perturbed by Gaussian noise and asked for a random original skill. On-policy states, the
smallest set of them, and a guard. Needs a fifteenth of the environment steps of `ppo`, no reward and no old-task data. Ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.baselines.dagger import DAgger
from razorbench.baselines.sft_cf import counterfactual
from razorbench.method import Need, TaskHandle, kl
from razorbench.types import BoolArray


@dataclass(frozen=True)
class Mend(DAgger):
    """Hyper-parameters of `dagger`, and the guard's."""

    learning_rate: float = 3e-4
    """Adam's step, constant; what the search found."""
    weight: float = 1.0
    """lambda: what a nat of divergence on the old instructions costs; what the search found."""
    noise: float = 0.3
    """Standard deviation of the perturbation, in the observation's scaled units, as in `sft_cf`; what the search found."""

    family: ClassVar[str] = "ours"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXPERT, Need.INSTRUCTIONS})

    def worth(self, success: BoolArray) -> BoolArray:
        """Return which episodes' states are learnt from, (E,): those that failed."""
        return ~success

    def kept(self, base: ActorCriticPolicy, policy: ActorCriticPolicy, task: TaskHandle, observations: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Return what the guard costs, (B,)."""
        return self.weight * kl(base, policy, counterfactual(task, observations, self.noise, rng))
