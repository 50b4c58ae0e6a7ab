"""Action distributions and the closed-form divergences between them, per state, in nats, before clipping to the box.

Formulas are textbook closed forms for diagonal Gaussians and independent categoricals; forward KL is KL(pi_0 || pi), base policy first, as in
RL's Razor (arXiv 2509.04259, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import ndtri

from razorbench.types import FloatArray


class Distribution(Protocol):
    """Distributions over actions, one per state."""

    def mode(self) -> FloatArray:
        """Return the greedy actions, (N, D)."""

    def sample(self, u: FloatArray) -> FloatArray:
        """Return the actions that uniforms u (N, D) in (0, 1) stand for."""

    def kl(self, other: Any) -> FloatArray:
        """Return KL(self || other), (N,); the other one is of the same kind."""


@dataclass(frozen=True)
class Gaussian:
    """Diagonal Gaussians over actions, one per state. mean: (N, D); log_std: (D,) or (N, D)."""

    mean: FloatArray
    log_std: FloatArray

    def mode(self) -> FloatArray:
        """Return the greedy actions, (N, D)."""
        return self.mean

    def sample(self, u: FloatArray) -> FloatArray:
        """Return the actions that uniforms u (N, D) in (0, 1) stand for, by inverse CDF."""
        return self.mean + np.exp(self.log_std) * ndtri(u)

    def kl_mean_part(self, other: Gaussian) -> FloatArray:
        """Return sum_d (mu_d - mu'_d)^2 / (2 s'_d^2), (N,)."""
        return 0.5 * (((self.mean - other.mean) * np.exp(-other.log_std)) ** 2).sum(axis=1)

    def kl_variance_part(self, other: Gaussian) -> FloatArray:
        """Return sum_d ln(s'_d / s_d) + s_d^2 / (2 s'_d^2) - 1/2, (N,)."""
        gap = np.broadcast_to(self.log_std - other.log_std, self.mean.shape)
        return (0.5 * np.exp(2 * gap) - gap - 0.5).sum(axis=1)

    def kl(self, other: Gaussian) -> FloatArray:
        """Return KL(self || other), (N,): mean part + variance part."""
        return self.kl_mean_part(other) + self.kl_variance_part(other)

    def kl_common_sigma(self, other: Gaussian) -> FloatArray:
        """Return KL(self || other) with self's sigma in both, (N,)."""
        return 0.5 * (((self.mean - other.mean) * np.exp(-self.log_std)) ** 2).sum(axis=1)


@dataclass(frozen=True)
class Categorical:
    """Independent categoricals over the bins of each action dimension. log_probs: (N, D, K); centres: (K,) of the bins."""

    log_probs: FloatArray
    centres: FloatArray

    def mode(self) -> FloatArray:
        """Return the greedy actions, (N, D)."""
        return self.centres[self.log_probs.argmax(axis=2)]

    def sample(self, u: FloatArray) -> FloatArray:
        """Return the actions that uniforms u (N, D) in (0, 1) stand for, by inverse CDF."""
        below = np.exp(self.log_probs).cumsum(axis=2) < u[:, :, None]
        return self.centres[np.minimum(below.sum(axis=2), len(self.centres) - 1)]

    def kl(self, other: Categorical) -> FloatArray:
        """Return KL(self || other), (N,): sum_d sum_k p_dk (ln p_dk - ln q_dk)."""
        return (np.exp(self.log_probs) * (self.log_probs - other.log_probs)).sum(axis=(1, 2))
