"""Supervised fine-tuning: maximum likelihood of demonstrated actions (behavior cloning).

Minimizes E_{(x, a) ~ demonstrations}[-log pi(a | x)] over the whole distribution, log-std included, starting from pi_0.
This is the SFT arm of RL's Razor (arXiv 2509.04259, section 3.1) with a scripted expert instead of RT-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.method import Budget, Supervised, TaskHandle, clone


@dataclass(frozen=True)
class SFT(Supervised):
    """Hyper-parameters; see `Supervised`."""

    family: ClassVar[str] = "offline supervised"

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the demonstrations; one update is one gradient step."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        return self.fit_to(clone(base), task, demos.observations, demos.actions, rng)
