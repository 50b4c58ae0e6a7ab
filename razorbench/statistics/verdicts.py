"""The words in which a difference is told, the same in `compare`, `claims`, report and board.

*more*: the 95% interval lies above 0. *less*: below 0. *same*: the 90% interval lies inside a margin either way of 0, which is two one-sided tests at
5% (Schuirmann 1987). Several may hold at once. *undecided*: none does. *too few runs*: fewer than the floors below, whatever the numbers.
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
"""Floors: tasks; runs of each arm; and, for laws, families of methods."""
POWER = 0.8
"""Share of studies that a number of tasks is to decide."""
MOST = 1000
"""Tasks beyond which none are counted."""


@dataclass(frozen=True)
class Verdict:
    """What may be said. why: of too few runs, what is lacking; of an undecided difference, how many tasks would decide it in 80% of studies."""

    words: tuple[str, ...]
    why: str = ""

    @property
    def decided(self) -> bool:
        """Whether it says anything of the difference."""
        return self.words[0] not in (UNDECIDED, TOO_FEW)

    def __str__(self) -> str:
        return f"{', '.join(self.words)} ({self.why})" if self.why else ", ".join(self.words)


def too_few(runs: Mapping[str, int], **groups: int) -> str:
    """Say which counts lie below their floors, empty if none does. runs: by what they are of, such as an arm; groups: `tasks`, `families`."""
    counted = [(count, RUNS, ("run", "runs"), f" of {name}") for name, count in runs.items()]
    named = {"tasks": (TASKS, ("task", "tasks")), "families": (FAMILIES, ("family", "families"))}
    counted += [(count, *named[name], "") for name, count in groups.items()]
    return "; ".join(f"{count} {words[count != 1]}{of}, {floor} needed" for count, floor, words, of in counted if count < floor)


@dataclass(frozen=True)
class Sample:
    """Numbers of independent units, that is tasks: value, and low and high, between which each is known to lie, (n,).

    floor: the standard error that sampling episodes alone gives the mean, below which units that happen to be alike must not bring it.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    floor: float = 0.0

    def interval(self, confidence: float = 0.95) -> Estimate | None:
        """Return the mean with its two-sided Student interval, its ends those of the worst numbers on either side; None with fewer than two units."""
        if len(self.value) < 2:
            return None
        lower, upper = interval_ends(self.low, self.high, confidence, self.floor)
        return Estimate(float(self.value.mean()), float(lower), float(upper))

    def verdict(self, margin: float | None) -> Verdict:
        """Return what may be said of the mean; floors are the caller's to check. margin: None if *same* is never said."""
        words = tuple(word for word, holds in said(self.low, self.high, margin, self.floor).items() if holds)
        if words:
            return Verdict(words)
        tasks = self.tasks(margin)
        return Verdict((UNDECIDED,), f"{f'over {MOST:,}' if tasks is None else tasks} tasks")

    def p_value(self, word: str, margin: float | None) -> float:
        """Return the one-sided p-value of one word: the chance of numbers like these, or clearer ones, if it were just not so."""
        n = len(self.value)

        def beyond(distance: FloatArray) -> float:
            error = max(float(distance.std(ddof=1) / np.sqrt(n)), self.floor, 1e-12)
            return float(stats.t.sf(distance.mean() / error, n - 1))

        sides = {MORE: [self.low], LESS: [-self.high], SAME: [] if margin is None else [self.low + margin, margin - self.high]}
        return max((beyond(side) for side in sides[word]), default=1.0)

    def tasks(self, margin: float | None) -> int | None:
        """Return how many tasks like these let one word be said in 80% of studies, if the truth is what was measured; None if over 1,000 do not."""
        low, high = (max(float(np.std(ends, ddof=1)), self.floor * np.sqrt(len(ends)), 1e-12) for ends in (self.low, self.high))
        at, most = (TASKS - 1, MOST)
        if self._power(most, margin, low, high) < POWER:
            return None
        while most - at > 1:
            middle = (at + most) // 2
            at, most = (at, middle) if self._power(middle, margin, low, high) >= POWER else (middle, most)
        return most

    def _power(self, n: int, margin: float | None, spread_low: float, spread_high: float) -> float:
        """The chance that the likeliest word is said with n tasks, from noncentral t distributions; of *same*, the sum of its two tests' less 1."""

        def passes(distance: float, spread: float, p: float) -> float:
            return float(stats.nct.sf(_quantile(p, n - 1), n - 1, distance * np.sqrt(n) / spread))

        low, high = float(self.low.mean()), float(self.high.mean())
        chances = [passes(low, spread_low, 0.975), passes(-high, spread_high, 0.975)]
        if margin is not None:
            chances.append(passes(low + margin, spread_low, 0.95) + passes(margin - high, spread_high, 0.95) - 1)
        return max(chances)


def told(found: Estimate) -> str:
    """Format a difference with its interval, `+.022 [-.010, +.058]`; with fewer decimals where numbers are large, from 10,000 in thousands (`k`)."""
    size = max(abs(found.value), abs(found.low), abs(found.high))
    decimals = 0 if size >= 100 else 1 if size >= 10 else 3
    unit, thousands = ("k", 1000) if size >= 10_000 else ("", 1)
    value, low, high = (f"{number / thousands:+,.{decimals}f}{unit}" for number in (found.value, found.low, found.high))
    return re.sub(r"(?<=[+-])0\.", ".", f"{value} [{low}, {high}]")


def said(low: FloatArray, high: FloatArray, margin: float | None, floor: float = 0.0) -> Mapping[str, BoolArray]:
    """Return which words hold of the means of low and high ends, (..., n) for n units, (...) each: the rule itself."""
    lower, upper = interval_ends(low, high, 0.95, floor)
    words: dict[str, BoolArray] = {MORE: lower > 0, LESS: upper < 0}
    if margin is not None:
        lower, upper = interval_ends(low, high, 0.90, floor)
        words[SAME] = (lower > -margin) & (upper < margin)
    return words


def holm(chances: Sequence[float], words: Sequence[str]) -> list[bool]:
    """Return which of several words pass together (Holm 1979): each at its own level, 2.5% or, for *same*, 5%, over the number that are left.

    chances: their p-values, one-sided. The chance that any passes wrongly is at most 5%.
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
    """Return Student's interval of the mean over the last axis (n,): its lower end that of the low numbers, its upper end that of the high ones."""
    tail = (1 - confidence) / 2
    return _limit(low, tail, floor), _limit(high, 1 - tail, floor)


def _limit(values: FloatArray, p: float, floor: float) -> FloatArray:
    """The mean over the last axis (n,) plus the p-quantile of Student's distribution times its standard error."""
    n = values.shape[-1]
    error = np.maximum(values.std(axis=-1, ddof=1) / np.sqrt(n), floor)
    found: FloatArray = values.mean(axis=-1) + _quantile(p, n - 1) * error
    return found


@cache
def _quantile(p: float, freedom: int) -> float:
    """Of Student's distribution; found anew each time, it would take most of a report's sums."""
    return float(stats.t.ppf(p, freedom))
