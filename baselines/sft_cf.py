"""SFT with counterfactual instructions: a KL to the base around the new task's states under old instructions.

Minimizes E_{(x, a) ~ demonstrations}[-log pi(a | x) + lambda KL(pi_0(.|x') || pi(.|x'))], where x' is x plus Gaussian noise with the instruction of a
random original skill. The demonstrations' states cover a narrow tube; the noise extends the KL to states that old skills visit. It needs no old-task data
and no environment steps. Ours; related to Learning without Forgetting (arXiv 1606.09282), here `lwf`, which adds no noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.baselines.lwf import Elsewhere, LwF
from razorbench.errors import UsageError
from razorbench.method import Budget, TaskHandle


@dataclass(frozen=True)
class SFTCF(LwF):
    """Hyper-parameters of `lwf` and the noise."""

    learning_rate: float = 3e-4
    """Adam's learning rate, constant; chosen by the search."""
    weight: float = 3.0
    """lambda, the weight of the KL under old instructions."""
    noise: float = 0.1
    """Standard deviation of the noise, in the observation's scaled units (1 is about the reach of the arm)."""

    states: str = "demonstrations"
    """States to perturb: the `demonstrations`' states, or these `shuffled`, with each entry from a random state."""
    instructions: Sequence[str] = ()
    """Skills, or the new task, whose instructions to use; empty for every original skill with another instruction than the task's."""

    family: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.states not in ("demonstrations", "shuffled"):
            raise UsageError(f"method.states is {self.states!r}: it must be demonstrations or shuffled")
        if isinstance(self.instructions, str):
            raise UsageError(f"method.instructions is {self.instructions!r}: it must be a list of names, such as [reach,push]")

    def elsewhere(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> Elsewhere:
        """Return the function that maps a minibatch of demonstrated observations to perturbed ones with old instructions."""

        def perturbed(observations: torch.Tensor) -> torch.Tensor:
            if self.states == "shuffled":
                observations = torch.from_numpy(rng.permuted(observations.numpy(), axis=0))
            return counterfactual(task, observations, self.noise, rng, self.instructions)

        return perturbed


def counterfactual(task: TaskHandle, observations: torch.Tensor, noise: float, rng: np.random.Generator, asked: Sequence[str] = ()) -> torch.Tensor:
    """Return observations (B, O) plus Gaussian noise, each with a random skill's instruction. noise: standard deviation; asked: see `reinstructed`."""
    drawn = torch.from_numpy(rng.normal(size=observations.shape).astype(np.float32))
    return task.reinstructed(observations + noise * drawn, rng, asked)
