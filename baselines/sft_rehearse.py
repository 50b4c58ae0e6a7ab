"""SFT with self-rehearsal: a KL to the base on states that the base visits under old instructions in the new task's scenes.

First pi_0 plays some of the new task's TRAIN starts, each with a random original skill's instruction. Then, as in `lwf`, it minimizes
E_{(x, a) ~ demonstrations}[-log pi(a | x)] + lambda E_{x' ~ played}[KL(pi_0(.|x') || pi(.|x'))]. It needs a tenth of the budget's environment steps, no
reward, and of the old tasks only their instructions, no starts or episodes. Ours; related to pseudo-rehearsal (Robins 1995), with states from the old
network's behavior instead of random ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.baselines.lwf import Elsewhere, LwF
from razorbench.errors import UsageError
from razorbench.method import Budget, TaskHandle
from razorbench.task import Goals


@dataclass(frozen=True)
class SFTRehearse(LwF):
    """Hyper-parameters of `lwf` and the share of environment steps."""

    weight: float = 3.0
    """lambda, the weight of the KL under old instructions; chosen by the search."""
    share: float = 0.1
    """Share of the budget's environment steps to play."""

    family: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise UsageError(f"method.share is {self.share}: it must be above 0 and at most 1")

    def elsewhere(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> Elsewhere:
        """Play the base and return the function that maps any minibatch of observations to as many random visited ones."""
        episodes = int(self.share * budget.env_steps) // task.task.horizon
        if episodes < 1:
            raise UsageError(
                f"method.share={self.share} of budget.env_steps={budget.env_steps} is less than one episode of {task.task.horizon}: raise one of them"
            )
        played: torch.Tensor = task.once(
            lambda: task.rollouts(base, task.fresh_starts(episodes, rng), rng, elsewhere=True, goals=self.goals(task)).observations
        )
        return lambda observations: played[torch.from_numpy(rng.integers(len(played), size=len(observations)))]

    def goals(self, task: TaskHandle) -> Goals | None:
        """Return the goals of the base's episodes, None for the new task's own."""
        return None
