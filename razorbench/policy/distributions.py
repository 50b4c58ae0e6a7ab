"""Action distributions, per state, before clipping to the box; KL in nats.

Formulas are textbook closed forms for diagonal Gaussians and independent categoricals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy.special import ndtri

from razorbench.types import FloatArray


class Distribution(Protocol):
    """Distributions over actions, one per state. estimator: how a KL between two of them is computed."""

    estimator: ClassVar[str]

    def mode(self) -> FloatArray:
        """Return the greedy actions, (N, D)."""

    def sample(self, u: FloatArray) -> FloatArray:
        """Return the actions for uniforms u (N, D) in (0, 1), (N, D)."""

    def log_prob(self, actions: FloatArray) -> FloatArray:
        """Return the log probability (of bins) or density of actions (N, D) such as `sample` returns, (N,)."""

    def kl(self, other: Any) -> FloatArray:
        """Return KL(self || other), (N,). other: of the same class."""

    def w2_squared(self, other: Any) -> FloatArray:
        """Return the squared 2-Wasserstein distance with Euclidean cost, (N,), a sum over independent dimensions. other: of the same class."""


@dataclass(frozen=True)
class Gaussian:
    """Diagonal Gaussians over actions, one per state. mean: (N, D); log_std: (D,) or (N, D)."""

    estimator: ClassVar[str] = "closed form, diagonal Gaussian"
    mean: FloatArray
    log_std: FloatArray

    def mode(self) -> FloatArray:
        """Return the greedy actions, (N, D)."""
        return self.mean

    def sample(self, u: FloatArray) -> FloatArray:
        """Return the actions for uniforms u (N, D) in (0, 1), by inverse CDF, (N, D)."""
        return self.mean + np.exp(self.log_std) * ndtri(u)

    def log_prob(self, actions: FloatArray) -> FloatArray:
        """Return the log density at actions (N, D), (N,)."""
        scaled = (actions - self.mean) * np.exp(-self.log_std)
        return -(0.5 * scaled**2 + self.log_std + 0.5 * np.log(2 * np.pi)).sum(axis=1)

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
        """Return KL(self || other) with self's sigma for both, (N,)."""
        return 0.5 * (((self.mean - other.mean) * np.exp(-self.log_std)) ** 2).sum(axis=1)

    def w2_squared(self, other: Gaussian) -> FloatArray:
        """Return sum_d (mu_d - mu'_d)^2 + (s_d - s'_d)^2, (N,)."""
        return ((self.mean - other.mean) ** 2 + (np.exp(self.log_std) - np.exp(other.log_std)) ** 2).sum(axis=1)


@dataclass(frozen=True)
class TanhGaussian:
    """The tanh of diagonal Gaussians, one per state, as in SAC (arXiv 1812.05905). mean, log_std: (N, D), before the tanh."""

    estimator: ClassVar[str] = "closed form, diagonal Gaussian before tanh"
    mean: FloatArray
    log_std: FloatArray

    @property
    def before(self) -> Gaussian:
        """The Gaussians before the tanh."""
        return Gaussian(self.mean, self.log_std)

    def mode(self) -> FloatArray:
        """Return the greedy actions, (N, D): the tanh of the means, as Stable-Baselines3 takes them."""
        return np.tanh(self.mean)

    def sample(self, u: FloatArray) -> FloatArray:
        """Return the actions for uniforms u (N, D) in (0, 1), (N, D)."""
        return np.tanh(self.before.sample(u))

    def kl(self, other: TanhGaussian) -> FloatArray:
        """Return KL(self || other), (N,): that of the Gaussians, since tanh is a bijection."""
        return self.before.kl(other.before)


@dataclass(frozen=True)
class Categorical:
    """Independent categoricals over the bins of each action dimension. log_probs: (N, D, K); centres: (K,) of the bins."""

    estimator: ClassVar[str] = "closed form, categorical per action dimension"
    log_probs: FloatArray
    centres: FloatArray

    def mode(self) -> FloatArray:
        """Return the greedy actions, (N, D)."""
        return self.centres[self.log_probs.argmax(axis=2)]

    def sample(self, u: FloatArray) -> FloatArray:
        """Return the actions for uniforms u (N, D) in (0, 1), by inverse CDF, (N, D)."""
        below = np.exp(self.log_probs).cumsum(axis=2) < u[:, :, None]
        return self.centres[np.minimum(below.sum(axis=2), len(self.centres) - 1)]

    def kl(self, other: Categorical) -> FloatArray:
        """Return KL(self || other), (N,): sum_d sum_k p_dk (ln p_dk - ln q_dk)."""
        return (np.exp(self.log_probs) * (self.log_probs - other.log_probs)).sum(axis=(1, 2))

    def log_prob(self, actions: FloatArray) -> FloatArray:
        """Return the log probability of actions (N, D), which are bin centers, (N,)."""
        index = np.searchsorted(self.centres, actions)
        return np.take_along_axis(self.log_probs, index[:, :, None], axis=2)[:, :, 0].sum(axis=1)

    def w2_squared(self, other: Categorical) -> FloatArray:
        """Return the sum over dimensions of the squared 1-D distance between bins at evenly spaced centers, (N,).

        W2^2 = 2 int int_{x < y} max(0, F(x) - G(y)) + max(0, G(x) - F(y)) dx dy. Both CDFs are constant between centers, so the integral is an exact
        sum over the cells of the plane, with half weight on the diagonal.
        """
        f, g = (np.exp(log_probs).cumsum(axis=2)[:, :, :-1] for log_probs in (self.log_probs, other.log_probs))
        total = np.abs(f - g).sum(axis=(1, 2))
        for lag in range(1, f.shape[2]):
            for low, high in ((f, g), (g, f)):
                total += 2 * np.maximum(low[:, :, :-lag] - high[:, :, lag:], 0.0).sum(axis=(1, 2))
        return total * (self.centres[1] - self.centres[0]) ** 2
