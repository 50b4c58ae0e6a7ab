"""SFT on the data of an RL-trained policy: does the data or the algorithm matter?

Runs (or reuses) the RL method `upstream` on the same task, base, seed and budget, samples its final policy from TRAIN starts, and fits the successes as
`sft` fits demonstrations. RL's Razor (arXiv 2509.04259, appendix C) finds that it retains as much as RL: the distribution matters, not the algorithm. The
costs of the upstream run and of the sampling count as `upstream`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method import Budget, Method, Need, Supervised, TaskHandle, clone


@dataclass(frozen=True)
class SFTRL(Supervised):
    """Hyper-parameters; see `Supervised`."""

    learning_rate: float = 3e-4
    """Adam's learning rate, constant; chosen by the search."""
    upstream: Method | None = None
    """The RL method with its hyper-parameters; set it by `method@method.upstream=ppo`."""

    family: ClassVar[str] = "offline supervised"
    needs: ClassVar[frozenset[Need]] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.upstream is None:
            raise UsageError("method.upstream is missing: name the method that trains the policy, as in method@method.upstream=ppo")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the trained policy's successes; one update is one gradient step."""
        assert task.upstream is not None
        starts = task.fresh_starts(budget.demo_episodes, rng)
        task.charge("demo_episodes", len(starts))
        played = task.rollouts(task.upstream, starts, rng, upstream=True)
        rows = np.flatnonzero(played.success[played.episode])
        if not len(rows):
            raise UsageError(f"the upstream policy solves none of {len(starts)} starts, so there is no data to fit: give it a larger budget")
        task.notes["successes"] = int(played.success.sum())
        return self.fit_to(clone(base), task, played.observations[rows], played.actions[rows], rng)
