"""Settings of the projection study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from razorbench.errors import UsageError
from razorbench.studies.findings import within

_MOST_CHECKS = 1e7
"""Limit on answers times supports of heads, for memory."""


@dataclass(frozen=True)
class Settings:
    """Settings of the study; `conf/study/projection.yaml` gives reasons for their values."""

    seed: int = 0
    bandits: int = 200
    tabular: Sequence[int] = (3, 10, 30)
    linear: Sequence[Sequence[int]] = ((9, 2), (27, 3))
    heads: Sequence[Sequence[int]] = ((2, 2), (2, 3), (3, 3))
    start: Sequence[float] = (0.05, 0.5)
    failures: Sequence[float] = (0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
    iterations: int = 5000
    rates: Sequence[float] = (0.1, 1.0, 5.0)
    rate_failures: Sequence[float] = (0.1, 1e-2, 1e-3, 1e-4)
    rate_steps: int = 60_000
    tolerance: float = 1e-6
    near: float = 0.01
    shown: Sequence[float] = (0.01, 1e-6)

    def __post_init__(self) -> None:
        """Raise UsageError for settings that cannot be run."""
        within(self, seed=(0, math.inf), bandits=(2, math.inf), iterations=(1, math.inf), rate_steps=(1, math.inf))
        within(self, tabular=(3, math.inf), linear=(1, math.inf), heads=(2, math.inf), rates=(1e-6, math.inf))
        within(self, **dict.fromkeys(("start", "failures", "rate_failures", "shown", "tolerance", "near"), (1e-12, 1.0)))
        for name in ("linear", "heads"):
            if any(not isinstance(pair, Sequence) or len(pair) != 2 for pair in getattr(self, name)):
                raise UsageError(f"{name} is {list(getattr(self, name))}: give pairs of numbers")
        if any(features >= answers for answers, features in self.linear):
            raise UsageError(f"linear is {list(self.linear)}: each pair of answers and features needs fewer features than answers")
        if any(((2**values - 1) * values) ** heads > _MOST_CHECKS for heads, values in self.heads):
            raise UsageError(f"heads is {list(self.heads)}: too many supports to try; take fewer or smaller heads")
        if len(self.start) != 2 or self.start[0] > self.start[1]:
            raise UsageError(f"start is {list(self.start)}: give a lowest and a highest success")
        if list(self.failures) != sorted(set(self.failures), reverse=True):
            raise UsageError(f"failures={list(self.failures)}: they must be in descending order")
        if max(self.failures) >= 1 - self.start[1]:
            raise UsageError(f"failures={list(self.failures)}: a base may succeed at up to {self.start[1]}, so 1 - J must stay below {1 - self.start[1]:g}")
        if strangers := set(self.shown) - set(self.failures):
            raise UsageError(f"shown={sorted(strangers)}: not among failures={list(self.failures)}")
