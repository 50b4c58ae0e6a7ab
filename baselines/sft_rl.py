"""SFT on data of a policy that RL has trained: what is learned, or how?

Runs (or finds) the RL method named as `upstream` on the same task, base, seed and budget, samples its final policy from TRAIN starts,
and fits the successes as `sft` fits demonstrations. RL's Razor (arXiv 2509.04259, appendix C) finds that this keeps as much as
RL does: the distribution matters, not the algorithm. What the upstream run and the sampling cost stands under `upstream`.
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
    """Adam's step, constant; what the search found."""
    upstream: Method | None = None
    """The RL method with its hyper-parameters; chosen by `method@method.upstream=ppo`."""

    family: ClassVar[str] = "offline supervised"
    needs: ClassVar[frozenset[Need]] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.upstream is None:
            raise UsageError("method.upstream is missing: name the method whose policy makes the data, as in method@method.upstream=ppo")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the trained policy's successes; one update is one gradient step."""
        assert task.upstream is not None
        starts = task.fresh_starts(budget.demo_episodes, rng)
        task.charge("demo_episodes", len(starts))
        played = task.rollouts(task.upstream, starts, rng, upstream=True)
        rows = np.flatnonzero(played.success[played.episode])
        if not len(rows):
            raise UsageError(f"the upstream policy solves none of {len(starts)} starts, so there is nothing to fit: give it a larger budget")
        task.notes["successes"] = int(played.success.sum())
        return self.fit_to(clone(base), task, played.observations[rows], played.actions[rows], rng)
