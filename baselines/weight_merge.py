"""Weight merging: SFT, then a point on the straight line from the base's weights to the tuned ones.

theta = (1 - alpha) theta_0 + alpha theta_SFT. Interpolation keeps much of a pretrained model's breadth (WiSE-FT, arXiv 2109.01903) and of a
robot policy's (arXiv 2512.08333). The run's curve follows the line from the base to the point chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method import Budget, Supervised, TaskHandle, actor_parameters, clone

_POINTS = 24
"""Points of the line that are reported as updates."""


@dataclass(frozen=True)
class WeightMerge(Supervised):
    """Hyper-parameters; see `Supervised`."""

    alpha: float = 0.7
    """How far to go: 0 is the base, 1 is `sft`."""

    family: ClassVar[str] = "continual learning"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"method.alpha is {self.alpha}: it must lie between 0 and 1")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the demonstrations, then walk the line; one update is one of 24 points on it."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        tuned = self.fit_to(clone(base), task, demos.observations, demos.actions, rng, report=lambda update, total, loss: None)
        policy = clone(base)
        for point in task.updates(_POINTS, policy=policy):
            alpha = self.alpha * point / _POINTS
            with torch.no_grad():
                for merged, start, end in zip(actor_parameters(policy), actor_parameters(base), actor_parameters(tuned), strict=True):
                    merged.copy_((1 - alpha) * start + alpha * end)
            task.update(policy, point, _POINTS)
        return policy
