"""Pure functions from arrays to the numbers of a record: success, forgetting, retention, score, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

from razorbench.store.estimate import Estimate
from razorbench.types import BoolArray, FloatArray

RESAMPLES = 10_000


def wilson(successes: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion (Wilson 1927), clipped to [0, 1]."""
    if episodes == 0:
        return 0.0, 1.0
    z = float(ndtri(0.5 + confidence / 2))
    p, n = successes / episodes, episodes
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == episodes else min(1.0, centre + half)
    return float(low), float(high)


def forgetting(base: FloatArray, final: FloatArray) -> float:
    """Return the mean over original skills of s_j(pi_0) - s_j(pi). base, final: (J,) success rates."""
    return float(np.mean(np.asarray(base) - np.asarray(final)))


def retention(base: FloatArray, final: FloatArray) -> float | None:
    """Return sum_j s_j(pi) / sum_j s_j(pi_0); None (undefined) if pi_0 solves nothing. base, final: (J,) success rates."""
    total = float(np.sum(base))
    return float(np.sum(final)) / total if total > 0 else None


def forgetting_and_retention(
    base: Mapping[str, BoolArray], final: Mapping[str, BoolArray], rng: np.random.Generator, *, paired: bool = True
) -> tuple[Estimate, Estimate | None]:
    """Return forgetting and retention with 95% intervals by paired bootstrap over episodes within skills, 10 000 resamples.

    base, final: per skill, success on the same starts, (E,). The interval describes one policy; it does not compare methods.
    Only the four (base, final) outcomes of an episode matter, so resampling episodes is a multinomial draw over these four. paired: whether a start has one
    episode of each policy; without that, the episodes of base and final are resampled apart.
    """
    rates0 = np.array([np.mean(base[skill]) for skill in base])
    rates1 = np.array([np.mean(final[skill]) for skill in base])
    boot0, boot1 = np.empty((len(base), RESAMPLES)), np.empty((len(base), RESAMPLES))
    for j, skill in enumerate(base):
        outcome = 2 * base[skill].astype(int) + final[skill].astype(int)
        shares = np.bincount(outcome, minlength=4) / len(outcome)
        if not paired:
            shares = np.outer([1 - rates0[j], rates0[j]], [1 - rates1[j], rates1[j]]).ravel()
        counts = rng.multinomial(len(outcome), shares, RESAMPLES)
        boot0[j] = (counts[:, 2] + counts[:, 3]) / len(outcome)
        boot1[j] = (counts[:, 1] + counts[:, 3]) / len(outcome)
    forgot = Estimate(forgetting(rates0, rates1), *percentile(np.mean(boot0 - boot1, axis=0)))
    value = retention(rates0, rates1)
    if value is None:
        return forgot, None
    total = boot0.sum(axis=0)
    ratios = boot1.sum(axis=0)[total > 0] / total[total > 0]
    return forgot, Estimate(value, *percentile(ratios))


def score(success: float, base_success: float, retained: float | None) -> float | None:
    """Return max(0, (s - s_0) / (1 - s_0)) x min(1, retention); None (undefined) if s_0 is 1 or retention is undefined."""
    if base_success >= 1.0 or retained is None:
        return None
    return max(0.0, (success - base_success) / (1.0 - base_success)) * min(1.0, retained)


def percentile(values: FloatArray) -> tuple[float, float]:
    """Return the 95% percentile interval of bootstrap values (B,)."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
