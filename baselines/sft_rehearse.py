"""SFT with self-rehearsal: keep the base's answers where the base goes when it is asked for its old skills in the new task's scenes.

First pi_0 plays some of the new task's TRAIN starts, each asked for a random original skill. Then, as in `lwf`, minimises
E_{(x, a) ~ demonstrations}[-log pi(a | x)] + lambda E_{x' ~ played}[KL(pi_0(.|x') || pi(.|x'))]. Needs a tenth of the budget's environment steps, no reward
and no old-task data: neither starts nor episodes of old tasks, only their instructions. Ours; its kin is pseudo-rehearsal (Robins 1995), here
on states that the old network's own behaviour leads to instead of random ones.
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
    """Hyper-parameters of `lwf`, and how much is played."""

    weight: float = 3.0
    """lambda: what a nat of divergence on the old instructions costs; what the search found."""
    share: float = 0.1
    """Of the budget's environment steps."""

    family: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise UsageError(f"method.share is {self.share}: it must be above 0 and at most 1")

    def elsewhere(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> Elsewhere:
        """Play the base, and return states that it came to, whatever the batch."""
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
        """Return where goals are put while it plays, None for where the new task has them."""
        return None
