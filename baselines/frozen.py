"""Frozen: no update at all. The lower bound on new-task success and the upper bound on retention; its score is 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.method import Budget, TaskHandle


@dataclass(frozen=True)
class Frozen:
    """No hyper-parameters."""

    family: ClassVar[str] = "bounds"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Return the base."""
        return base
