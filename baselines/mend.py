"""Mend: `dagger` on failed episodes only, plus a KL to the base under old instructions.

The buffer takes the expert's labels from failed episodes only, so behavior that works is not trained on. Like `sft_cf`, it adds
lambda KL(pi_0(.|x') || pi(.|x')) to the loss, where x' is the state plus Gaussian noise under a random original skill's instruction. It needs a fifteenth
of the environment steps of `ppo`, no reward and no old-task data. Ours.
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
    """Hyper-parameters of `dagger` and of the KL term."""

    learning_rate: float = 3e-4
    """Adam's learning rate, constant; chosen by the search."""
    weight: float = 1.0
    """lambda, the weight of the KL under old instructions; chosen by the search."""
    noise: float = 0.3
    """Standard deviation of the perturbation, in the observation's scaled units, as in `sft_cf`; chosen by the search."""

    family: ClassVar[str] = "ours"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXPERT, Need.INSTRUCTIONS})

    def worth(self, success: BoolArray) -> BoolArray:
        """Return the mask of episodes to train on, (E,): the failed ones."""
        return ~success

    def kept(self, base: ActorCriticPolicy, policy: ActorCriticPolicy, task: TaskHandle, observations: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Return the weighted KL to the base under old instructions, (B,)."""
        return self.weight * kl(base, policy, counterfactual(task, observations, self.noise, rng))
