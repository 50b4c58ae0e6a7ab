"""SFT on the demonstrations that are nearest to the base: of those that all succeed, learn the ones that it would most likely have done.

Keeps the share of episodes with the highest mean log pi_0(a | x) over their decisions, and fits them as `sft` does. RL's Razor (arXiv 2509.04259) has
on-policy RL find the KL-nearest of the policies that solve a task; this chooses among demonstrations for the same end, off-policy and without
environment steps. Ours.
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
    """Adam's step, constant; what the search found."""
    share: float = 0.3
    """Of the demonstrated episodes that are learnt; what the search found."""

    choose: str = "nearest"
    """Which: the `nearest` to the base, the `farthest`, or, to tell nearness from fewness, `random` ones."""

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
