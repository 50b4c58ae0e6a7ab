"""Experience replay: SFT on a mixture of demonstrations of the new task and of the original skills.

A classic method, and a strong one for pretrained robot policies (arXiv 2605.26820 replays 20%, arXiv 2603.03818). It needs old-task data, unlike most
methods here; old demonstrations count against the same cap as new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method import Budget, Need, Supervised, TaskHandle, clone


@dataclass(frozen=True)
class Replay(Supervised):
    """Hyper-parameters; see `Supervised`."""

    old_share: float = 0.1
    """Share of the budget's demonstrations spent on original skills, spread evenly over them."""

    family: ClassVar[str] = "continual learning"
    old_task_data: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.DEMONSTRATIONS, Need.OLD_DEMONSTRATIONS})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.old_share < 1:
            raise UsageError(f"method.old_share is {self.old_share}: it must lie between 0 and 1")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit both kinds of demonstrations; one update is one gradient step."""
        old = max(1, round(self.old_share * budget.demo_episodes))
        return fit_both(self, base, task, budget.demo_episodes - old, old, rng)


def fit_both(method: Supervised, base: ActorCriticPolicy, task: TaskHandle, new: int, old: int, rng: np.random.Generator) -> ActorCriticPolicy:
    """Fit a copy of the base to a mixture of demonstrations and return it. new, old: number for the new task and for all original skills."""
    parts = task.demonstrations(new, rng), task.old_demonstrations(old, rng)
    observations, actions = torch.cat([part.observations for part in parts]), torch.cat([part.actions for part in parts])
    return method.fit_to(clone(base), task, observations, actions, rng)
