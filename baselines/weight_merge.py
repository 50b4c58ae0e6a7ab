"""Weight merging: SFT, then linear interpolation between the base's and the fine-tuned weights.

theta = (1 - alpha) theta_0 + alpha theta_SFT. Interpolation retains the generality of pretrained models (WiSE-FT, arXiv 2109.01903) and of robot policies
(arXiv 2512.08333). The run's curve follows the line from the base to alpha.
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
"""Number of points on the line, one reported update each."""


@dataclass(frozen=True)
class WeightMerge(Supervised):
    """Hyper-parameters; see `Supervised`."""

    alpha: float = 0.7
    """Interpolation weight: 0 is the base, 1 is `sft`."""

    family: ClassVar[str] = "continual learning"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"method.alpha is {self.alpha}: it must lie between 0 and 1")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the demonstrations, then follow the line; one update is one of its 24 points."""
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
