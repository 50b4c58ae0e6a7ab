"""SFT with counterfactual instructions: keep the base's answers around the new task's states, asked for its old skills.

Minimises E_{(x, a) ~ demonstrations}[-log pi(a | x) + lambda KL(pi_0(.|x') || pi(.|x'))], where x' is x perturbed by Gaussian
noise, with the instruction of a random original skill in the place of its own. The demonstrations' states cover a narrow
tube; the noise spreads the guard to states where old skills are at work. Needs no old-task data and no environment steps.
Ours; its kin is Learning without Forgetting (arXiv 1606.09282), here `lwf`, which perturbs nothing.
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
    """Hyper-parameters of `lwf`, and the noise."""

    learning_rate: float = 3e-4
    """Adam's step, constant; what the search found."""
    weight: float = 3.0
    """lambda: what a nat of divergence on the old instructions costs."""
    noise: float = 0.1
    """Standard deviation of the perturbation, in the observation's scaled units (1 is about the reach of the arm)."""

    states: str = "demonstrations"
    """What is perturbed: the `demonstrations`' states; or these `shuffled`, each observation entry drawn from another state."""
    instructions: Sequence[str] = ()
    """Names of the skills asked for, or the new task's own; none: every original skill but the task's own."""

    family: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.states not in ("demonstrations", "shuffled"):
            raise UsageError(f"method.states is {self.states!r}: it must be demonstrations or shuffled")
        if isinstance(self.instructions, str):
            raise UsageError(f"method.instructions is {self.instructions!r}: it must be a list of names, such as [reach,push]")

    def elsewhere(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> Elsewhere:
        """Return perturbed states, asked for original skills."""

        def perturbed(observations: torch.Tensor) -> torch.Tensor:
            if self.states == "shuffled":
                observations = torch.from_numpy(rng.permuted(observations.numpy(), axis=0))
            return counterfactual(task, observations, self.noise, rng, self.instructions)

        return perturbed


def counterfactual(task: TaskHandle, observations: torch.Tensor, noise: float, rng: np.random.Generator, asked: Sequence[str] = ()) -> torch.Tensor:
    """Return observations (B, O) with Gaussian noise of that standard deviation, each asked for a random skill, as `reinstructed` does."""
    drawn = torch.from_numpy(rng.normal(size=observations.shape).astype(np.float32))
    return task.reinstructed(observations + noise * drawn, rng, asked)
