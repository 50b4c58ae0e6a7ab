"""Bandits with known answers: binary reward, one decision, a finite set of answers, exact expectations.

Every policy is a member of an exponential family around the base, pi(y) = pi_0(y) exp(theta . phi(y)) / Z. S is the set of right answers,
R its indicator, J = pi(S) the success, q* = pi_0 R / J_0 the KL-minimal policy among all with J = 1. The paper (arXiv 2509.04259, appendix A)
describes learning from R as alternating projections: the I-step restricts pi to S, the M-step returns to the family by maximum likelihood.

The family decides whether this ends at the KL-minimal member; the tests check each statement:

- R in the span of the features and the constant, as in the tabular family: one M-step gives q*, and the natural gradient, whose direction
  is R itself, stays on pi_0 exp(s R) / Z, the policies of least KL for their J.
- q* in the closure of the family, as where S is a face of the features' convex hull: one M-step gives q*. The natural gradient need not end there.
- Neither, as for independent heads: no update need end at the KL-minimal member.

A family is closed under tilting by its features, so policies need no parameters. Arrays: N parallel bandits, Y answers, F features; divergences are in
nats.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import rel_entr

from razorbench.types import BoolArray, FloatArray, IntArray

Way = Callable[[FloatArray, FloatArray], FloatArray]
"""Maps policies (N, Y) and gradients in theta (N, F) to an update's directions in theta (N, F)."""


def kl(policy: FloatArray, base: FloatArray) -> FloatArray:
    """Return KL(policy || base), (..., Y) to (...,) nats, the theorem's direction. policy may have zeros."""
    return np.asarray(rel_entr(policy, base).sum(axis=-1))


def total_variation(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return half the L1 distance of p and q, (..., Y) to (...,), between 0 and 1."""
    return np.asarray(0.5 * np.abs(p - q).sum(axis=-1))


def plain(policy: FloatArray, gradient: FloatArray) -> FloatArray:
    """Return the gradient itself: softmax policy gradient, a `Way`."""
    return gradient


@dataclass(frozen=True)
class Bandits(ABC):
    """N bandits and a family of policies for them. base: (N, Y), positive, rows sum to 1; right: (N, Y); features: (Y, F) or (N, Y, F)."""

    base: FloatArray
    right: BoolArray
    features: FloatArray

    @abstractmethod
    def natural(self, policy: FloatArray, gradient: FloatArray) -> FloatArray:
        """Return F^-1 gradient, F = Cov_pi[phi] the Fisher information (Amari 1998): the natural gradient, a `Way`."""

    @abstractmethod
    def m_step(self, policy: FloatArray, target: FloatArray) -> FloatArray:
        """Return the member with the smallest KL(target || member), (N, Y): the one with target's E[phi]. policy: initial guess."""

    @abstractmethod
    def minimal(self) -> FloatArray:
        """Return the member, or limit of members, with J = 1 and the smallest KL to the base, (N, Y)."""

    def success(self, policy: FloatArray) -> FloatArray:
        """Return J, (..., N)."""
        return np.asarray((policy * self.right).sum(axis=-1))

    def failure(self, policy: FloatArray) -> FloatArray:
        """Return 1 - J, (..., N), as a sum over wrong answers: 1 minus a sum would lose precision near J = 1."""
        return np.asarray((policy * ~self.right).sum(axis=-1))

    def moments(self, policy: FloatArray) -> FloatArray:
        """Return E_policy[phi], (N, F)."""
        return np.asarray((policy[:, None, :] @ self.features)[:, 0])

    def tilt(self, policy: FloatArray, theta: FloatArray) -> FloatArray:
        """Return policy exp(theta . phi) / Z, (N, Y), the member at a distance theta (N, F)."""
        logits = (self.features @ theta[:, :, None])[:, :, 0]
        weights = policy * np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def i_step(self, policy: FloatArray) -> FloatArray:
        """Return q = pi R / J, (..., N, Y), which has the smallest KL(q || pi) of all q with E_q[R] = 1, -ln J (lemma A.1)."""
        return np.asarray(policy * self.right / self.success(policy)[..., None])

    def least_kl(self, policy: FloatArray) -> FloatArray:
        """Return the smallest KL to the base at the success of policy, (..., N) nats, attained by pi_0 exp(s R) / Z."""
        right, wrong = self.success(policy), self.failure(policy)
        return np.asarray(rel_entr(right, self.success(self.base)) + rel_entr(wrong, self.failure(self.base)))

    def rise(self, policy: FloatArray) -> FloatArray:
        """Return the gradient of logit J in theta, E[phi | right] - E[phi | wrong], (N, F)."""
        wrong = policy * ~self.right
        return self.moments(self.i_step(policy)) - self.moments(wrong / wrong.sum(axis=1, keepdims=True))

    def policy_gradient(self, policy: FloatArray) -> FloatArray:
        """Return E_pi[R grad ln pi], the gradient of J in theta, J (1 - J) times `rise`, (N, F).

        It is J times the gradient of E_q[ln pi], the M-step's objective, at q = `i_step` (lemma A.2).
        """
        return (self.success(policy) * self.failure(policy))[:, None] * self.rise(policy)

    def em(self) -> Iterator[FloatArray]:
        """Yield the base and the policies of alternating I- and M-steps, (N, Y) each, endlessly (theorem A.3)."""
        policy = self.base
        while True:
            yield policy
            policy = self.m_step(policy, self.i_step(policy))

    def ascent(self, way: Way, rate: float) -> Iterator[FloatArray]:
        """Yield the base and the policies of gradient ascent on J, (N, Y) each, endlessly. rate: step size."""
        policy = self.base
        while True:
            yield policy
            policy = self.tilt(policy, rate * way(policy, self.policy_gradient(policy)))

    def first(self, walk: Iterator[FloatArray], failures: Sequence[float], limit: int) -> tuple[FloatArray, IntArray]:
        """Return the first policies of a walk with 1 - J at most each failure, (len(failures), N, Y), and their steps (len(failures), N).

        NaN and -1 if there is none within the first `limit` steps.
        """
        policies = np.full((len(failures), *self.base.shape), np.nan)
        steps = np.full(policies.shape[:2], -1)
        for step, policy in zip(range(limit + 1), walk, strict=False):
            reached = (self.failure(policy) <= np.array(failures)[:, None]) & (steps < 0)
            if reached.any():
                steps[reached] = step
                policies[reached] = np.broadcast_to(policy, policies.shape)[reached]
                if (steps >= 0).all():
                    break
        return policies, steps

    def flow(self, way: Way, failures: Sequence[float]) -> FloatArray:
        """Return the policies (len(failures), N, Y) where gradient ascent, in the limit of small steps, reaches each 1 - J.

        failures: descending, below each base's. The integration variable is logit J, theta' = v / (v . rise), so each failure is met exactly, however slow
        the ascent; this changes the speed, not the path. Dormand and Prince's method of order 8.
        """
        policy, path = self.base, []
        for failure in failures:
            span = np.log(self.failure(policy) / self.success(policy)) - np.log(failure / (1 - failure))

            def slope(_: float, flat: FloatArray, start: FloatArray = policy, span: FloatArray = span) -> FloatArray:
                policy = self.tilt(start, flat.reshape(len(start), -1))
                rise = self.rise(policy)
                along = way(policy, rise)
                return np.asarray(along * (span / (along * rise).sum(axis=1))[:, None]).ravel()

            theta = np.zeros(len(policy) * self.features.shape[-1])
            with np.errstate(invalid="ignore"):  # the solver rejects trial steps that are too long and give NaN
                solution = solve_ivp(slope, (0, 1), theta, method="DOP853", rtol=1e-9, atol=1e-9)
            assert solution.success, solution.message
            policy = self.tilt(policy, solution.y[:, -1].reshape(len(policy), -1))
            path.append(policy)
        return np.array(path)


@dataclass(frozen=True)
class Linear(Bandits):
    """Fixed features (N, Y, F) with an invertible covariance, and S a face of their convex hull: q* is a limit of members."""

    def natural(self, policy: FloatArray, gradient: FloatArray) -> FloatArray:
        """Solve F x = gradient by the triangle of a QR factorization, F = T'T: forming F would square the condition number."""
        spread = np.sqrt(policy)[:, :, None] * (self.features - self.moments(policy)[:, None])
        triangle: Any = np.linalg.qr(spread, mode="r")
        return np.asarray(np.linalg.solve(triangle, np.linalg.solve(triangle.mT, gradient[:, :, None]))[:, :, 0])

    def m_step(self, policy: FloatArray, target: FloatArray) -> FloatArray:
        """Match moments by Newton's method to 1e-10.

        A step changes no difference of two logits by more than 1. So the covariance changes along it by a factor of at most e, and the objective falls by at
        least 3 - e of its linear prediction: no line search is needed.
        """
        while np.abs(gap := self.moments(target) - self.moments(policy)).max() > 1e-10:
            theta = self.natural(policy, gap)
            apart = np.ptp((self.features @ theta[:, :, None])[:, :, 0], axis=1)
            policy = self.tilt(policy, theta / np.maximum(1, apart)[:, None])
        return policy

    def minimal(self) -> FloatArray:
        """Return q*."""
        return self.i_step(self.base)


@dataclass(frozen=True)
class Heads(Bandits):
    """D independent categoricals of K values: answers are the Y = K^D tuples of values, features (Y, D K) their one-hot codes.

    With D = 1 the family is tabular and has every distribution.
    """

    answers: IntArray
    """Values of each answer, (Y, D)."""

    @classmethod
    def of(cls, marginals: FloatArray, right: BoolArray) -> Self:
        """Build from the base's marginals (N, D, K), positive, and right (N, Y), answers in the order of `itertools.product`."""
        dimensions, values = marginals.shape[1:]
        answers = np.array(list(itertools.product(range(values), repeat=dimensions)))
        return cls(product(marginals, answers), right, np.eye(values)[answers].reshape(len(answers), -1), answers)

    def natural(self, policy: FloatArray, gradient: FloatArray) -> FloatArray:
        """Return gradient / p, entry by entry: F is diag(p_d) - p_d p_d' per dimension d, and a gradient sums to 0 in each.

        A value whose probability has underflowed to 0 stays there.
        """
        marginals = self.moments(policy)
        return np.divide(gradient, marginals, out=np.zeros_like(gradient), where=marginals > 0)

    def m_step(self, policy: FloatArray, target: FloatArray) -> FloatArray:
        """Return the product of target's marginals, regardless of policy."""
        return product(self.moments(target).reshape(len(target), self.answers.shape[1], -1), self.answers)

    def minimal(self) -> FloatArray:
        """Return q* if tabular; otherwise try all supports.

        Independent categoricals have J = 1 if their support, a product of sets, lies inside S. On a given support the smallest KL is that of the base
        restricted to it, -ln pi_0(support), which is again a product.
        """
        dimensions, values = self.answers.shape[1], self.features.shape[1] // self.answers.shape[1]
        if dimensions == 1:
            return self.i_step(self.base)
        sets = np.array(list(itertools.product((False, True), repeat=values)))[1:]
        chosen = sets[np.array(list(itertools.product(range(len(sets)), repeat=dimensions)))]
        supports = chosen[:, np.arange(dimensions), self.answers].all(axis=2)
        inside = (~self.right).astype(float) @ supports.T == 0
        best = supports[np.where(inside, self.base @ supports.T, 0).argmax(axis=1)]
        return np.asarray(self.base * best / (self.base * best).sum(axis=1, keepdims=True))


def product(marginals: FloatArray, answers: IntArray) -> FloatArray:
    """Return the probabilities (N, Y) of answers (Y, D) under independent categoricals (N, D, K)."""
    return np.asarray(marginals[:, np.arange(answers.shape[1]), answers].prod(axis=-1))
