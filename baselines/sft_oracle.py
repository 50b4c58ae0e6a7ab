"""SFT on the base's own successes: the KL-minimal data that solves the task.

Among all distributions q over successful episodes, q* = pi_0 given success has the smallest KL(q || pi_0), which is -log P(success); RL's Razor (arXiv
2509.04259, section 4) calls SFT on it the oracle. It is sampled exactly: from each TRAIN start, pi_0 plays until its first success, at most `tries` times.
These steps count as `upstream`.

The policy may not be able to represent q* (Gaussians are not closed under conditioning), so the record's notes have the gap after fitting, on new successes
from covered starts, in nats per episode: kl_to_base = KL(q* || pi_0), kl_to_policy = KL(q* || pi), and the sampled success of pi, which is 1 for q*. If the
first success took T tries, sum_{k < T} 1/k estimates -log P(success) of the start, without bias for a geometric T.
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
"""Episodes per batch: fewer would not fill the engine."""

_FRESH = 64
"""Number of covered starts for the new successes that measure the gap."""


@dataclass(frozen=True)
class SFTOracle(Supervised):
    """Hyper-parameters; see `Supervised`."""

    learning_rate: float = 3e-4
    """Adam's learning rate, constant; chosen by the search."""
    tries: int = 200
    """Most episodes per start."""

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
        """Return the projection gap of a fitted policy on covered starts (N,); the divergences are None (undefined) without a new success.

        It uses new successes, because the fitted ones favor a policy that overfits their noise.
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
        """Return observations (M, O) and actions (M, A) of each start's first success, and its number of tries (N,), 0 for none. starts: (N,)."""
        needed, tried = np.zeros(len(starts), dtype=np.int64), 0
        parts: list[tuple[torch.Tensor, torch.Tensor]] = []
        while tried < self.tries and (unsolved := np.flatnonzero(needed == 0)).size:
            repeats = min(self.tries - tried, -(-_WIDTH // len(unsolved)))
            played = task.rollouts(base, np.repeat(starts[unsolved], repeats), rng, upstream=True)
            solved = played.success.reshape(len(unsolved), repeats)
            for k in np.flatnonzero(solved.any(axis=1)):
                first = int(solved[k].argmax())
                needed[unsolved[k]] = tried + first + 1
                rows = np.flatnonzero(played.episode == k * repeats + first)
                parts.append((played.observations[rows], played.actions[rows]))
            tried += repeats
        if not parts:
            return torch.empty(0), torch.empty(0), needed
        return torch.cat([observations for observations, _ in parts]), torch.cat([actions for _, actions in parts]), needed
