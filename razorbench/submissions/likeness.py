"""Likeness of entries: policies or names that are almost those of another entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from razorbench.statistics.finished_runs import Run
from razorbench.submissions.names import skeleton
from razorbench.submissions.schema import Submission
from razorbench.types import FloatArray

_MEASURED = (
    *(f"divergence.kl_forward.{states}" for states in ("new", "new_instructed", "random", "original")),
    *(f"divergence.w2.{states}" for states in ("new", "random", "original")),
    *("divergence.kl_reverse.new", "divergence.action_mse.random", "drift.weights.l1", "drift.weights.l2", "drift.weights.fisher", "drift.weights.spectral"),
)
"""Measures of the weights that are continuous in them: slightly changed weights have nearly the same values."""
NEAR = 0.02
"""Largest relative difference of like policies in any measure. Of 152,000 pairs of runs of the board's first 26 entries, the nearest two differ by 0.09."""

Prints = Mapping[tuple[str, int, str], FloatArray]
"""Measures of a policy by task, seed and base."""


def prints(runs: Sequence[Run]) -> Prints:
    """Return the prints of all runs whose policy differs from the base."""
    all_ = {(run.task, run.seed, str(run.record.hashes.base_policy)): np.array([run.record.number(name) for name in _MEASURED], dtype=float) for run in runs}
    return {key: print_ for key, print_ in all_.items() if print_.any()}


def twins(ours: Prints, theirs: Prints) -> int:
    """Return the number of policies of one entry that are nearly those of another."""
    common = [key for key in ours if key in theirs]
    if not common:
        return 0
    a, b = (np.array([side[key] for key in common]) for side in (ours, theirs))
    off = np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-12)
    # NaN marks a measure that neither entry has.
    return int((np.nan_to_num(off, nan=0.0).max(axis=1) < NEAR).sum())


def reads_like(ours: Submission, theirs: Submission) -> str | None:
    """Return which name of an entry could be mistaken for another's: its own, or an author's with another spelling; None if none."""
    if skeleton(ours.name) == skeleton(theirs.name):
        return f"its name {ours.name} reads like {theirs.name}"
    for author in ours.authors:
        for other in theirs.authors:
            if author != other and skeleton(author) == skeleton(other):
                return f"its author {author} reads like {other}, of {theirs.name}"
    return None
