"""Stops of a run: its best SELECT success, the end of its budget, or the first crossing of a success level.

SELECT starts choose the stop and TEST starts give every number, so the choice does not bias the measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from razorbench.measures.success import score
from razorbench.statistics.base_success import NEARLY_SOLVED
from razorbench.statistics.finished_runs import Run
from razorbench.store.record import Evaluation, Snapshot

STOPS = ("best", "end")
"""`best`: the first snapshot with the highest SELECT success, the base included. `end`: the final policy."""
LEVELS = (0.5, 0.7, 0.9, 0.95)
"""Levels of success on the new task at which runs are compared."""
Read = Callable[[Evaluation], float | None]
"""Returns a number of a policy, or None if it was not measured."""


@dataclass(frozen=True)
class Stop:
    """One policy of a run, measured on TEST, and the cost of choosing it.

    snapshot: its numbers; original skills have 25 episodes each at `best` and 100 at `end` (default protocol).
    select_episodes: SELECT episodes spent on the choice; `best` evaluates every snapshot, so it pays for all of them.
    base_success: greedy success of the base on the new task, see `base_success.base_success`.
    """

    snapshot: Evaluation
    select_episodes: int
    base_success: float

    @property
    def success(self) -> float | None:
        """Greedy success on the new task, TEST; None if it was not measured."""
        return self.snapshot.success

    @property
    def select_success(self) -> float | None:
        """Greedy success on the new task, SELECT; None if it was not measured."""
        return self.snapshot.select_success

    @property
    def retention(self) -> float | None:
        """Retention of original skills, TEST; None if the base solves none."""
        return self.snapshot.retention.value

    @property
    def forgetting(self) -> float | None:
        """Mean loss of success on original skills, TEST."""
        return self.snapshot.forgetting.value

    @property
    def score(self) -> float | None:
        """Score (`success.score`) with the base's success from its card; None if the base already exceeds .5."""
        success = self.success
        return None if success is None or self.base_success > NEARLY_SOLVED else score(success, self.base_success, self.retention)


def stop(run: Run, name: str) -> Stop | None:
    """Return the stop of a run under a rule of `STOPS`; None for `best` if the run has no snapshots. Raises KeyError for another name."""
    return {"best": _best, "end": _end}[name](run)


def _best(run: Run) -> Stop | None:
    if not run.curve:
        return None
    looks = sum(point.new_task.select.episodes for point in run.curve if point.new_task.select is not None)
    # `max` returns the first of equals, the cheapest.
    return Stop(max(run.curve, key=_select), looks, run.base_success)


def _end(run: Run) -> Stop:
    return Stop(run.record.final(run.curve[-1].update if run.curve else None), 0, run.base_success)


@dataclass(frozen=True)
class Bracket:
    """An interpolated number with its bounds: value is the best guess; all three are equal if it was measured."""

    value: float
    low: float
    high: float


Uncrossed = Literal["its snapshots were not kept", "the base already reaches the level", "the run never reaches the level"]


@dataclass(frozen=True)
class Crossing:
    """The two neighboring snapshots between which SELECT success first reaches a level: `before` is below it, `after` at or above it."""

    level: float
    before: Snapshot
    after: Snapshot

    def number(self, read: Read) -> Bracket | None:
        """Return a number at the level, interpolated linearly in SELECT success and bounded by the two snapshots. None if either lacks it."""
        before, after = read(self.before), read(self.after)
        if before is None or after is None:
            return None
        share = (self.level - _select(self.before)) / (_select(self.after) - _select(self.before))
        return Bracket(before + share * (after - before), min(before, after), max(before, after))


def crossing(run: Run, level: float) -> Crossing | Uncrossed:
    """Return where SELECT success first crosses a level, or why it does not."""
    if not run.curve:
        return "its snapshots were not kept"
    # Rates are multiples of 1/100; the slack only absorbs rounding.
    bar = level - 1e-9
    if _select(run.curve[0]) >= bar:
        return "the base already reaches the level"
    for before, after in pairwise(run.curve):
        if _select(after) >= bar:
            return Crossing(level, before, after)
    return "the run never reaches the level"


def undefined(run: Run, place: str) -> str | None:
    """Return why a run is undefined at a stop or at a level such as `0.9`, None if it is defined."""
    if place in STOPS:
        return None if stop(run, place) is not None else "its snapshots were not kept"
    crossed = crossing(run, float(place))
    return crossed if isinstance(crossed, str) else None


def around_forward_kl(run: Run, nats: float) -> tuple[Snapshot, Snapshot] | None:
    """Return the two neighboring snapshots between which forward KL on the new task first reaches a level (nats); None if it never does."""
    for low, high in pairwise(run.curve):
        if low.forward_kl is not None and high.forward_kl is not None and low.forward_kl < nats <= high.forward_kl:
            return low, high
    return None


def at_forward_kl(run: Run, nats: float, read: Read) -> float | None:
    """Return a number where forward KL on the new task first reaches a level (nats), interpolated between two snapshots; None if it never does.

    Every snapshot measures KL on the same states, so unlike a success rate it has no sampling noise and needs no bracket.
    """
    if (around := around_forward_kl(run, nats)) is None:
        return None
    (low, high), (before, after) = ([point.forward_kl for point in around], [read(point) for point in around])
    if low is None or high is None or before is None or after is None:
        return None
    return before + (after - before) * (nats - low) / (high - low)


def _select(point: Snapshot) -> float:
    """Return SELECT success; NaN if it was not measured, which fails every comparison."""
    return math.nan if point.select_success is None else point.select_success
