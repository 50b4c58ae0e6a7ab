"""Bootstrap resamples of runs, of tasks, of arms, and of tasks and arms at once."""

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
"""What an interval may resample. A claim about any method on any task has tasks and arms as its sample, which is the last and the default."""


def resamples(points: Points, over: Over = "tasks and arms", number: int = RESAMPLES) -> FloatArray:
    """Return the weight of every run in each resample, (number, R): how often it, its task, its arm, or its task times its arm was drawn.

    The draws depend on nothing but the labels, so that one quantity has one interval wherever it is shown.
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
    """How often the label of each run is drawn, of the different labels with replacement."""
    names, member = np.unique(np.asarray(labels), return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=number).astype(float)
    return counts[:, member]


def estimate(value: float, resampled: FloatArray) -> Estimate | None:
    """Return a value with its 95% percentile interval from resamples (B,), those that are undefined (NaN) left out; None if the value is undefined."""
    defined = resampled[np.isfinite(resampled)]
    return Estimate(value, *percentile(defined)) if np.isfinite(value) and len(defined) else None
