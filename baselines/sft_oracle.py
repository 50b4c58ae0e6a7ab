"""SFT on the base's own successes: the closest data there is to the base that solves the task.

Among all distributions q over episodes with certain success, q* = pi_0 given success has the smallest KL(q || pi_0), which is
-log P(success); RL's Razor (arXiv 2509.04259, section 4) calls SFT on it the oracle. It is sampled, not approximated: from each TRAIN start
pi_0 plays until it succeeds once, at most `tries` times. Those steps stand under `upstream`.

q* need not be representable (Gaussians are not closed under conditioning), so the record's notes measure
the gap after fitting on new successes from covered starts, in nats per episode: kl_to_base = KL(q* || pi_0), kl_to_policy = KL(q* || pi), and the sampled
success of pi, where q* has 1. -log P(success) of a start that needed T tries is estimated by sum_{k < T} 1/k, without bias
for a geometric T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method import Budget, Need, Supervised, TaskHandle, clone, log_likelihood
from razorbench.types import IntArray

_WIDTH = 512
"""Episodes to play at once: fewer would leave the engine's batch empty."""

_FRESH = 64
"""Starts, of those covered, from which new successes are sampled to measure the gap."""


@dataclass(frozen=True)
class SFTOracle(Supervised):
    """Hyper-parameters; see `Supervised`."""

    learning_rate: float = 3e-4
    """Adam's step, constant; what the search found."""
    tries: int = 200
    """Episodes from a start before it is given up."""

    family: ClassVar[str] = "offline supervised"
    needs: ClassVar[frozenset[Need]] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tries < 1:
            raise UsageError(f"method.tries is {self.tries}: it must be 1 or more")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the base's successes; one update is one gradient step."""
        task.charge("demo_episodes", budget.demo_episodes)
        starts = task.fresh_starts(budget.demo_episodes, rng)
        observations, actions, needed = task.once(lambda: self.successes(base, task, starts, rng))
        if not needed.any():
            raise UsageError(f"the base solves none of {len(starts)} starts in {self.tries} tries, so it has no success to fit: choose another task or base")
        policy = self.fit_to(clone(base), task, observations, actions, rng)
        task.notes |= {
            "coverage": float((needed > 0).mean()),
            "uncovered_starts": starts[needed == 0].tolist(),
            "projection_gap": self.gap(base, policy, task, starts[needed > 0], rng),
        }
        return policy

    def gap(self, base: ActorCriticPolicy, policy: ActorCriticPolicy, task: TaskHandle, starts: IntArray, rng: np.random.Generator) -> dict[str, float | None]:
        """Return the projection gap of a fitted policy on covered starts (N,); the divergences are None (undefined) if no new success is found.

        New successes, because those that were fitted would flatter a policy that has learned their noise too.
        """
        success = float(task.rollouts(policy, starts, rng, upstream=True).success.mean())
        observations, actions, needed = self.successes(base, task, starts[:_FRESH], rng)
        if not needed.any():
            return {"kl_to_base": None, "kl_to_policy": None, "success": success}
        surprise = float(np.mean([(1 / np.arange(1, tries)).sum() for tries in needed if tries]))
        with torch.no_grad():
            moved = float((log_likelihood(base, observations, actions) - log_likelihood(policy, observations, actions)).sum()) / int((needed > 0).sum())
        return {"kl_to_base": surprise, "kl_to_policy": surprise + moved, "success": success}

    def successes(self, base: ActorCriticPolicy, task: TaskHandle, starts: IntArray, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, IntArray]:
        """Return observations and actions of the first success from each start (N,), and how many tries it took, 0 for none."""
        needed, tried = np.zeros(len(starts), dtype=np.int64), 0
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        while tried < self.tries and (open_ := np.flatnonzero(needed == 0)).size:
            repeats = min(self.tries - tried, -(-_WIDTH // len(open_)))
            played = task.rollouts(base, np.repeat(starts[open_], repeats), rng, upstream=True)
            solved = played.success.reshape(len(open_), repeats)
            for k in np.flatnonzero(solved.any(axis=1)):
                first = int(solved[k].argmax())
                needed[open_[k]] = tried + first + 1
                rows = np.flatnonzero(played.episode == k * repeats + first)
                kept.append((played.observations[rows], played.actions[rows]))
            tried += repeats
        if not kept:
            return torch.empty(0), torch.empty(0), needed
        return torch.cat([one[0] for one in kept]), torch.cat([one[1] for one in kept]), needed
