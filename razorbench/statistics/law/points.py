"""Points of the law: a predictor and forgetting for each snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from razorbench.types import BoolArray, FloatArray, IntArray

FEWEST = {"tasks": 3, "runs": 6, "families": 2}
"""Minimum for a fit: two tasks or one family cannot show how it does on another."""
_LABELS = ("arm", "family", "task", "base")


@dataclass(frozen=True)
class Points:
    """Snapshots (N,) of runs (R,).

    run (N,): the index of each snapshot's run; x (N,): the predictor; y (N,): forgetting; noise (N,): the sampling variance of forgetting.
    arm, family, task, base (R,): labels of the runs; base is the policy that a run starts from, pretraining seed included.
    """

    run: IntArray
    x: FloatArray
    y: FloatArray
    noise: FloatArray
    arm: Sequence[str]
    family: Sequence[str]
    task: Sequence[str]
    base: Sequence[str]

    @property
    def weight(self) -> FloatArray:
        """1 / (number of snapshots of the run), (N,)."""
        return 1.0 / np.bincount(self.run, minlength=len(self.arm))[self.run]

    def where(self, keep: BoolArray) -> Points:
        """Return the snapshots in keep (N,) and their runs."""
        runs, index = np.unique(self.run[keep], return_inverse=True)
        labels = {name: [getattr(self, name)[k] for k in runs] for name in _LABELS}
        return Points(index, self.x[keep], self.y[keep], self.noise[keep], **labels)

    def of(self, runs: BoolArray) -> Points:
        """Return the snapshots of the runs in the mask runs (R,)."""
        return self.where(runs[self.run])

    def same_runs(self, other: Points) -> bool:
        """Return whether two sets of points have the same runs."""
        return all(list(getattr(self, name)) == list(getattr(other, name)) for name in _LABELS)

    def sums(self, values: FloatArray) -> FloatArray:
        """Return weighted sums of values (N,) or (N, K) over each run's snapshots, (R,) or (R, K)."""
        shape = len(self.arm), len(self.run)
        sums: FloatArray = sparse.csr_array((self.weight, (self.run, np.arange(len(self.run)))), shape) @ values
        return sums

    def spread(self, counts: FloatArray) -> FloatArray:
        """Return the weighted sum of squares of forgetting about its mean, (...), NaN where it does not vary. counts (..., R): the weight of each run."""
        ones, y, yy = np.moveaxis(counts @ self.sums(self.y[:, None] ** np.arange(3)), -1, 0)
        spread = yy - y**2 / np.maximum(ones, 1e-300)
        return np.where(spread > 1e-12, spread, np.nan)

    def too_few(self) -> str | None:
        """Return what is missing for a fit, None if nothing is."""
        counts = {"tasks": len(set(self.task)), "runs": len(self.arm), "families": len(set(self.family))}
        lacking = [f"{counts[what]} of {fewest} {what}" for what, fewest in FEWEST.items() if counts[what] < fewest]
        return f"too few runs: {', '.join(lacking)}" if lacking else None
