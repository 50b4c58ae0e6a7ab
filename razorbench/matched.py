"""What a run had kept of its original skills when it first reached a given success on the new task, or a given forward KL there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.optimize import isotonic_regression

from razorbench.results import value

LEVELS = (0.5, 0.7, 0.9)
JUMP = 0.2
NATS = (1, 2, 4)
"""Forward KLs, per decision, at which retention and success are told."""


@dataclass(frozen=True)
class Matched:
    """The snapshot at which a level was reached, or why there is none."""

    snapshot: Mapping[str, Any] | None
    undefined: str | None = None
    reason: Literal["not kept", "not reached", "there already", "jumped over"] | None = None

    @property
    def reached(self) -> bool:
        """Whether the run has this success at last, even if no snapshot counts."""
        return self.reason not in ("not kept", "not reached")

    @property
    def retention(self) -> float | None:
        """Retention of that snapshot on TEST."""
        return None if self.snapshot is None else self.snapshot["retention"]["value"]

    @property
    def success(self) -> float | None:
        """Success on the new task of that snapshot on TEST."""
        return None if self.snapshot is None else self.snapshot["new_task"]["test"]["rate"]


def matched(curve: Sequence[Mapping[str, Any]], level: float) -> Matched:
    """Return the first snapshot at or above a level, by a monotone fit of the snapshots' success on SELECT, so that TEST chooses nothing.

    curve: a run's snapshots in order, the base first. Nothing is interpolated: undefined if the fit jumps by more than 0.2 into the snapshot, if the
    base is there already, or if the level is never reached.
    """
    if not curve:
        return Matched(None, "its snapshots were not kept", "not kept")
    fit = isotonic_regression(np.array([point["new_task"]["select"]["rate"] for point in curve])).x
    reached = np.flatnonzero(fit >= level - 1e-12)
    if not len(reached):
        return Matched(None, f"success of {level:g} was not reached", "not reached")
    first = int(reached[0])
    if first == 0:
        return Matched(None, f"the base has success {level:g} already", "there already")
    if fit[first] - fit[first - 1] > JUMP + 1e-12:
        return Matched(None, f"success jumps from {fit[first - 1]:.2f} to {fit[first]:.2f} between two snapshots", "jumped over")
    return Matched(curve[first])


def at_forward_kl(curve: Sequence[Mapping[str, Any]], nats: float, path: str) -> float | None:
    """Return a snapshot's number where forward KL on the new task first reaches a level, on the line between the two snapshots; None if it does not.

    Unlike success, KL is no rate of episodes that luck could pick from, and it is the same whichever starts are TEST. path: dotted, as of `results.value`.
    """
    # Not a number where it was not measured, which no comparison passes.
    kl, found = ([value(point, name) for point in curve] for name in ("divergence.kl_forward.new", path))
    for (low, high), (before, after) in zip(pairwise(kl), pairwise(found), strict=True):
        if low < nats <= high:
            return before + (after - before) * (nats - low) / (high - low)
    return None
