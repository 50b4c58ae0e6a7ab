"""Policies of users: whatever has `act`, and, for divergences, `distribution`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
from scipy.special import ndtri
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import RazorbenchError, UsageError
from razorbench.policy.distributions import Distribution
from razorbench.policy.network import distribution
from razorbench.types import FloatArray


class Acting(Protocol):
    """A policy that can be scored. Its actions must depend on the arguments alone, row by row."""

    def act(self, observations: FloatArray, noise: FloatArray | None) -> FloatArray:
        """Return actions (N, A) in [-1, 1] at observations (N, O). noise: standard normal draws (N, A) for sampled actions, None for greedy ones."""


class Distributed(Protocol):
    """A policy that also gets divergences in nats, if its distributions are of the same class as the base's (`razorbench.policy.distributions`)."""

    def distribution(self, observations: FloatArray) -> Distribution:
        """Return the action distribution at observations (N, O)."""


Scorable: TypeAlias = ActorCriticPolicy | Acting | Distributed


class Answers(Protocol):
    """Actions of a policy at some observations."""

    def mode(self) -> FloatArray:
        """Return the greedy actions, (N, A)."""

    def sample(self, u: FloatArray) -> FloatArray:
        """Return the actions for uniforms u (N, A) in (0, 1), (N, A)."""


def answering(policy: Scorable) -> Callable[[FloatArray], Answers]:
    """Return what maps observations (N, O) to a policy's actions there. Raises UsageError if it has neither `act` nor `distribution`."""
    if isinstance(policy, ActorCriticPolicy):
        return partial(distribution, policy)
    if callable(getattr(policy, "distribution", None)):
        return policy.distribution  # type: ignore[union-attr]
    if callable(getattr(policy, "act", None)):
        return partial(_Acted, policy)  # type: ignore[arg-type]
    raise UsageError(f"{type(policy).__name__} is no policy: it needs `act(self, observations, noise)`, and for KL `distribution(self, observations)`")


@dataclass(frozen=True)
class _Acted:
    policy: Acting
    observations: FloatArray

    def mode(self) -> FloatArray:
        return self._actions(None)

    def sample(self, u: FloatArray) -> FloatArray:
        return self._actions(ndtri(u))

    def _actions(self, noise: FloatArray | None) -> FloatArray:
        name = f"{type(self.policy).__name__}.act"
        try:
            actions = np.asarray(self.policy.act(self.observations, noise), dtype=np.float64)
        except RazorbenchError:
            raise
        except Exception as error:
            raise UsageError(f"{name} fails on observations of shape {self.observations.shape}: {type(error).__name__}: {error}") from error
        wanted = len(self.observations) if noise is None else noise.shape
        if actions.ndim != 2 or (actions.shape if noise is not None else len(actions)) != wanted or not np.isfinite(actions).all():
            kind = f"shape {actions.shape}" if np.isfinite(actions).all() else "NaN or infinite values"
            raise UsageError(f"{name} gives {kind}: it must give finite actions of shape (N, A), a row for each of {len(self.observations)} observations")
        return actions
