"""SFT on the demonstrations nearest to the base: the successes that the base is most likely to produce.

Keeps the share of episodes with the highest mean log pi_0(a | x) over their decisions, and fits them as `sft`. By RL's Razor (arXiv 2509.04259), on-policy
RL finds the KL-nearest policy that solves a task; this method selects demonstrations to the same end, off-policy and without environment steps. Ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method import Budget, Supervised, TaskHandle, clone, log_likelihood


@dataclass(frozen=True)
class SFTNear(Supervised):
    """Hyper-parameters; see `Supervised`."""

    learning_rate: float = 3e-4
    """Adam's learning rate, constant; chosen by the search."""
    share: float = 0.3
    """Share of the demonstrated episodes to fit; chosen by the search."""

    choose: str = "nearest"
    """Episodes to keep: the `nearest` to the base, the `farthest`, or `random` ones as a control for the smaller number."""

    family: ClassVar[str] = "ours"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise UsageError(f"method.share is {self.share}: it must be above 0 and at most 1")
        if self.choose not in ("nearest", "farthest", "random"):
            raise UsageError(f"method.choose is {self.choose!r}: it must be nearest, farthest or random")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the chosen demonstrations; one update is one gradient step."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        with torch.no_grad():
            likely = log_likelihood(base, demos.observations, demos.actions).numpy()
        mean = np.bincount(demos.episode, likely) / np.bincount(demos.episode)
        order = rng.permutation(len(mean)) if self.choose == "random" else np.argsort(mean if self.choose == "farthest" else -mean, kind="stable")
        rows = np.flatnonzero(np.isin(demos.episode, order[: max(1, round(self.share * len(mean)))]))
        return self.fit_to(clone(base), task, demos.observations[rows], demos.actions[rows], rng)
