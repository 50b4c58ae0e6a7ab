"""Verdicts on a difference, the same words in `compare`, `claims`, the report and the board.

*more*: the 95% interval lies above 0. *less*: it lies below 0. *same*: the 90% interval lies inside a margin around 0, which is two one-sided tests at
5% (Schuirmann 1987). Several may hold at once. *undecided*: none holds. *too few runs*: fewer than the floors below, whatever the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

from razorbench.store.estimate import Estimate
from razorbench.types import BoolArray, FloatArray

MORE, LESS, SAME, UNDECIDED, TOO_FEW = "more", "less", "same", "undecided", "too few runs"
TASKS, RUNS, FAMILIES = 3, 6, 2
"""Minimum numbers of tasks, of runs per arm, and, for laws, of method families."""
POWER = 0.8
"""Power for which the number of tasks is chosen: the share of studies that would decide."""
MOST = 1000
"""Largest number of tasks that the power calculation tries."""


@dataclass(frozen=True)
class Verdict:
    """The words that hold. why: the missing runs if they are too few; if undecided, how many tasks would decide it in 80% of studies."""

    words: tuple[str, ...]
    why: str = ""

    @property
    def decided(self) -> bool:
        """Whether the verdict says anything about the difference."""
        return self.words[0] not in (UNDECIDED, TOO_FEW)

    def __str__(self) -> str:
        return f"{', '.join(self.words)} ({self.why})" if self.why else ", ".join(self.words)


def too_few(runs: Mapping[str, int], **groups: int) -> str:
    """Return which counts lie below their floors, empty if none does. runs: number of runs by name, such as an arm; groups: `tasks`, `families`."""
    counted = [(count, RUNS, ("run", "runs"), f" of {name}") for name, count in runs.items()]
    named = {"tasks": (TASKS, ("task", "tasks")), "families": (FAMILIES, ("family", "families"))}
    counted += [(count, *named[name], "") for name, count in groups.items()]
    return "; ".join(f"{count} {words[count != 1]}{of}, {floor} needed" for count, floor, words, of in counted if count < floor)


@dataclass(frozen=True)
class Sample:
    """Numbers of independent units (tasks): value, with its bounds low and high, (n,) each.

    floor: lower bound on the standard error of the mean, from sampling episodes alone; units that agree by chance must not go below it.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    floor: float = 0.0

    def interval(self, confidence: float = 0.95) -> Estimate | None:
        """Return the mean with its two-sided Student interval, from the low numbers below and the high numbers above; None with fewer than two units."""
        if len(self.value) < 2:
            return None
        lower, upper = interval_ends(self.low, self.high, confidence, self.floor)
        return Estimate(float(self.value.mean()), float(lower), float(upper))

    def verdict(self, margin: float | None) -> Verdict:
        """Return the verdict on the mean; the caller checks the floors. margin: None if *same* is never said."""
        words = tuple(word for word, holds in said(self.low, self.high, margin, self.floor).items() if holds)
        if words:
            return Verdict(words)
        tasks = self.tasks(margin)
        return Verdict((UNDECIDED,), f"{f'over {MOST:,}' if tasks is None else tasks} tasks")

    def p_value(self, word: str, margin: float | None) -> float:
        """Return the one-sided p-value of one word, at the boundary of its null hypothesis. margin: for *same*, see `verdict`."""
        n = len(self.value)

        def beyond(distance: FloatArray) -> float:
            error = max(float(distance.std(ddof=1) / np.sqrt(n)), self.floor, 1e-12)
            return float(stats.t.sf(distance.mean() / error, n - 1))

        sides = {MORE: [self.low], LESS: [-self.high], SAME: [] if margin is None else [self.low + margin, margin - self.high]}
        return max((beyond(side) for side in sides[word]), default=1.0)

    def tasks(self, margin: float | None) -> int | None:
        """Return how many tasks would decide in 80% of studies if the measured effect is the true one; None if more than 1,000."""
        low, high = (max(float(np.std(ends, ddof=1)), self.floor * np.sqrt(len(ends)), 1e-12) for ends in (self.low, self.high))
        at, most = (TASKS - 1, MOST)
        if self._power(most, margin, low, high) < POWER:
            return None
        while most - at > 1:
            middle = (at + most) // 2
            at, most = (at, middle) if self._power(middle, margin, low, high) >= POWER else (middle, most)
        return most

    def _power(self, n: int, margin: float | None, spread_low: float, spread_high: float) -> float:
        """Return the power of the likeliest word with n tasks, from noncentral t distributions; for *same*, the sum of its two tests' powers minus 1."""

        def passes(distance: float, spread: float, p: float) -> float:
            return float(stats.nct.sf(_quantile(p, n - 1), n - 1, distance * np.sqrt(n) / spread))

        low, high = float(self.low.mean()), float(self.high.mean())
        chances = [passes(low, spread_low, 0.975), passes(-high, spread_high, 0.975)]
        if margin is not None:
            chances.append(passes(low + margin, spread_low, 0.95) + passes(margin - high, spread_high, 0.95) - 1)
        return max(chances)


def told(difference: Estimate) -> str:
    """Format a difference with its interval, `+.022 [-.010, +.058]`; large numbers have fewer decimals, and from 10,000 the unit is thousands (`k`)."""
    size = max(abs(difference.value), abs(difference.low), abs(difference.high))
    decimals = 0 if size >= 100 else 1 if size >= 10 else 3
    unit, thousands = ("k", 1000) if size >= 10_000 else ("", 1)
    value, low, high = (f"{number / thousands:+,.{decimals}f}{unit}" for number in (difference.value, difference.low, difference.high))
    return re.sub(r"(?<=[+-])0\.", ".", f"{value} [{low}, {high}]")


def said(low: FloatArray, high: FloatArray, margin: float | None, floor: float = 0.0) -> Mapping[str, BoolArray]:
    """Return which words hold, (...) each, for the means of low and high (..., n) over n units: the rule itself."""
    lower, upper = interval_ends(low, high, 0.95, floor)
    words: dict[str, BoolArray] = {MORE: lower > 0, LESS: upper < 0}
    if margin is not None:
        lower, upper = interval_ends(low, high, 0.90, floor)
        words[SAME] = (lower > -margin) & (upper < margin)
    return words


def holm(chances: Sequence[float], words: Sequence[str]) -> list[bool]:
    """Return which of several words pass Holm's test (1979): each at its level, 2.5% or 5% for *same*, over the number of remaining words.

    chances: one-sided p-values. The family-wise error rate is at most 5%.
    """
    shares = [chance / (0.05 if word == SAME else 0.025) for chance, word in zip(chances, words, strict=True)]
    order = sorted(range(len(shares)), key=shares.__getitem__)
    passed = [False] * len(shares)
    for left, k in zip(range(len(order), 0, -1), order, strict=True):
        if shares[k] > 1 / left:
            break
        passed[k] = True
    return passed


def student(values: Sequence[float] | FloatArray) -> Estimate | None:
    """Return the mean of independent values (n,) with its two-sided 95% Student interval; None with fewer than two."""
    exact = np.asarray(values, dtype=float)
    return Sample(exact, exact, exact).interval()


def interval_ends(low: FloatArray, high: FloatArray, confidence: float, floor: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """Return Student's interval of the mean over the last axis (n,): the lower end from the low numbers, the upper end from the high ones."""
    tail = (1 - confidence) / 2
    return _limit(low, tail, floor), _limit(high, 1 - tail, floor)


def _limit(values: FloatArray, p: float, floor: float) -> FloatArray:
    """Return the mean over the last axis (n,) plus the p-quantile of Student's distribution times the standard error."""
    n = values.shape[-1]
    error = np.maximum(values.std(axis=-1, ddof=1) / np.sqrt(n), floor)
    limit: FloatArray = values.mean(axis=-1) + _quantile(p, n - 1) * error
    return limit


@cache
def _quantile(p: float, freedom: int) -> float:
    """Return a quantile of Student's distribution; cached, as it would take most of a report's time."""
    return float(stats.t.ppf(p, freedom))
