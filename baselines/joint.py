"""Joint training on the new task and every original skill, in equal parts. An upper bound, not a contender.

It shows what a policy of this size can learn if it keeps all old data, the reference for continual learning. New and old demonstrations count against
the same cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.baselines.replay import fit_both
from razorbench.method import Budget, Need, Supervised, TaskHandle


@dataclass(frozen=True)
class Joint(Supervised):
    """Hyper-parameters; see `Supervised`."""

    epochs: int = 100
    """Passes over the data, fewer if the budget of gradient steps ends first; chosen by the search."""
    learning_rate: float = 3e-4
    """Adam's learning rate, constant; chosen by the search."""
    family: ClassVar[str] = "bounds"
    old_task_data: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.DEMONSTRATIONS, Need.OLD_DEMONSTRATIONS})

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit all demonstrations; one update is one gradient step."""
        new = max(1, budget.demo_episodes // (len(task.skills) + 1))
        return fit_both(self, base, task, new, budget.demo_episodes - new, rng)
