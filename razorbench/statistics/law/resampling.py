"""Bootstrap resamples of runs, of tasks, of arms, and of tasks and arms jointly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from razorbench import seeding
from razorbench.measures.success import percentile
from razorbench.statistics.law.points import Points
from razorbench.store.estimate import Estimate
from razorbench.types import FloatArray

RESAMPLES = 1000
Over = Literal["runs", "tasks", "arms", "tasks and arms"]
OVER: tuple[Over, ...] = ("runs", "tasks", "arms", "tasks and arms")
"""Units of resampling. The default is tasks and arms, the sample behind a claim about any method on any task."""


def resamples(points: Points, over: Over = "tasks and arms", number: int = RESAMPLES) -> FloatArray:
    """Return the weight of every run in each resample, (number, R): how often its unit was drawn; for tasks and arms, the product of both.

    The draws depend only on the labels, so a quantity has the same interval wherever it is shown.
    """
    rng = seeding.generator("law", over)
    if over == "runs":
        return _drawn(range(len(points.arm)), rng, number)
    if over == "tasks":
        return _drawn(points.task, rng, number)
    if over == "arms":
        return _drawn(points.arm, rng, number)
    return _drawn(points.task, rng, number) * _drawn(points.arm, rng, number)


def _drawn(labels: Sequence[object], rng: np.random.Generator, number: int) -> FloatArray:
    """Draw the distinct labels with replacement, and return how often each run's label was drawn, (number, R)."""
    names, member = np.unique(np.asarray(labels), return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=number).astype(float)
    return counts[:, member]


def estimate(value: float, resampled: FloatArray) -> Estimate | None:
    """Return a value with its 95% percentile interval from the finite resamples of (B,); None if the value is undefined."""
    defined = resampled[np.isfinite(resampled)]
    return Estimate(value, *percentile(defined)) if np.isfinite(value) and len(defined) else None
