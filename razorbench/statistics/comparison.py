"""Comparison of methods: differences paired by task and seed, averaged over seeds, with Student intervals over tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from razorbench.statistics.finished_runs import Run
from razorbench.statistics.stops import LEVELS, STOPS, Bracket, Crossing, Read, Stop, around_forward_kl, at_forward_kl, crossing, stop
from razorbench.statistics.verdicts import TOO_FEW, Sample, Verdict, too_few
from razorbench.store.estimate import Estimate
from razorbench.store.record import Evaluation, Rate

NATS = (1, 2, 4)
"""Forward KLs, nats per decision, at which retention and success are compared."""


def _exact(run: Run, there: Evaluation) -> float:
    return 0.0


def _of_rates(rates: Iterable[Rate | None]) -> float:
    """Return p (1 - p) / n over all episodes plus two successes and two failures, so that a rate of 0 or 1 has a variance (Agresti and Coull 1998)."""
    measured = [rate for rate in rates if rate is not None]
    episodes = sum(rate.episodes for rate in measured) + 4
    p = (sum(rate.successes for rate in measured) + 2) / episodes
    return p * (1 - p) / episodes


def _of_success(run: Run, there: Evaluation) -> float:
    return _of_rates([there.new_task.test])


def _of_retention(run: Run, there: Evaluation) -> float:
    """Return the variance of retention: of the mean success on original skills, divided by the base's mean success squared."""
    base = float(np.mean([rates.base.greedy.rate for rates in run.record.original.values()]))
    return _of_rates(there.original.values()) / base**2


def _of_score(run: Run, there: Evaluation) -> float:
    """Return the variance of gain times retention, each with the noise of its own episodes. All arms share the base's success, so it adds no noise."""
    left = 1 - run.base_success
    gain, retention = max(0.0, (there.success or 0.0) - run.base_success) / left, min(1.0, there.retention.value or 0.0)
    return (retention / left) ** 2 * _of_success(run, there) + gain**2 * _of_retention(run, there)


@dataclass(frozen=True)
class Quantity:
    """A number of a policy. read: from a snapshot or the final policy; at_stop: at a stop, None if `read` gives it.

    variance: from sampling episodes; 0 for a count or a measure on fixed states. margin: differences inside it are *same*; None if *same* is never said.
    """

    read: Read
    variance: Callable[[Run, Evaluation], float] = _exact
    margin: float | None = None
    at_stop: Callable[[Stop], float | None] | None = None

    def stopped(self, there: Stop) -> float | None:
        """Return the number at a stop, None where it is undefined."""
        return self.read(there.snapshot) if self.at_stop is None else self.at_stop(there)


def _of_stops(there: Evaluation) -> None:
    """Return None: a snapshot alone has no such number."""


QUANTITIES = {
    "retention": Quantity(lambda there: there.retention.value, _of_retention, 0.05),
    "success": Quantity(lambda there: there.success, _of_success),
    "score": Quantity(_of_stops, _of_score, at_stop=lambda stop: stop.score),
    "cka": Quantity(lambda there: there.number("drift.activations.original.cka"), margin=0.01),
    "forward_kl": Quantity(lambda there: there.forward_kl),
    "update": Quantity(lambda there: there.update),
    "env_steps": Quantity(lambda there: there.env_steps),
    "demo_episodes": Quantity(lambda there: there.demo_episodes),
    "gradient_steps": Quantity(lambda there: there.gradient_steps),
    "select_episodes": Quantity(_of_stops, at_stop=lambda stop: stop.select_episodes),
}
COSTS = ("update", "env_steps", "demo_episodes", "gradient_steps", "select_episodes")
OF_STOPS = ("score", "select_episodes")
"""Quantities that are defined at stops only."""


@dataclass(frozen=True)
class Number(Bracket):
    """A run's number and its sampling variance."""

    variance: float = 0.0

    @classmethod
    def exact(cls, value: float, variance: float = 0.0) -> Number:
        """Return a number that was measured rather than interpolated."""
        return cls(value, value, value, variance)


Numbers = Mapping[tuple[str, int], Number]
"""By (task, seed)."""


@dataclass(frozen=True)
class Measure:
    """A quantity at a stop, at a level of success, or at a forward KL on the new task."""

    quantity: Quantity
    stop: str | None = None
    level: float | None = None
    nats: float | None = None

    def number(self, run: Run) -> Number | None:
        """Return a run's number, None where it is undefined."""
        if self.nats is not None:
            value, around = at_forward_kl(run, self.nats, self.quantity.read), around_forward_kl(run, self.nats)
            return None if value is None or around is None else Number.exact(value, self._largest(run, *around))
        if self.level is not None:
            crossed = crossing(run, self.level)
            return self._crossed(run, crossed) if isinstance(crossed, Crossing) else None
        there = stop(run, str(self.stop))
        return None if there is None else self._stopped(run, there)

    def _stopped(self, run: Run, there: Stop) -> Number | None:
        value = self.quantity.stopped(there)
        return None if value is None else Number.exact(float(value), self.quantity.variance(run, there.snapshot))

    def _crossed(self, run: Run, crossed: Crossing) -> Number | None:
        bracket = crossed.number(self.quantity.read)
        if bracket is None:
            return None
        return Number(bracket.value, bracket.low, bracket.high, self._largest(run, crossed.before, crossed.after))

    def _largest(self, run: Run, *ends: Evaluation) -> float:
        """Return the larger variance of the two ends: an interpolated number has no more noise than the noisier end."""
        return max(self.quantity.variance(run, end) for end in ends)


MEASURES = {
    **{f"{name}@{level:g}": Measure(quantity, level=level) for name, quantity in QUANTITIES.items() if name not in OF_STOPS for level in LEVELS},
    **{f"{name}@{where}": Measure(quantity, stop=where) for name, quantity in QUANTITIES.items() for where in STOPS},
    **{f"{name}_kl{nats}": Measure(QUANTITIES[name], nats=nats) for name in ("retention", "success") for nats in NATS},
}
"""Measures that compare arms: `retention@best`, `retention@end`; `retention@0.9` where SELECT success first crosses .9; `retention_kl1` where forward KL
on the new task first reaches 1 nat per decision."""


@dataclass(frozen=True)
class Comparison:
    """One arm minus another, or one arm's mean. sample: of tasks, or of seeds if there is one task (`unit`); pairs: number of paired runs.

    lacking: why there are too few runs for a verdict, empty if there are enough.
    """

    sample: Sample
    unit: str
    pairs: int
    lacking: str

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.sample.value)

    @property
    def difference(self) -> Estimate | None:
        """The mean with its 95% interval; None with fewer than two units."""
        return self.sample.interval()

    @property
    def units(self) -> str:
        """Number and name of the units, as in `12 tasks`."""
        return f"{self.n} {self.unit if self.n != 1 else self.unit.removesuffix('s')}"

    def verdict(self, margin: float | None) -> Verdict:
        """Return the verdict. margin: of the `Quantity`."""
        return Verdict((TOO_FEW,), self.lacking) if self.lacking else self.sample.verdict(margin)


def paired(first: Numbers, second: Numbers, arms: tuple[str, str] = ("the first", "the second")) -> Comparison:
    """Compare two arms on the same tasks and seeds: average the difference over seeds, then over tasks; with one task, seeds are the units.

    If the numbers are brackets, low is the smallest possible difference and high the largest. arms: names of the two.
    """
    common = {}
    for key in sorted(set(first) & set(second)):
        a, b = first[key], second[key]
        common[key] = Number(a.value - b.value, a.low - b.high, a.high - b.low, a.variance + b.variance)
    runs = dict(zip(arms, (len(first), len(second)), strict=True))
    if not too_few(runs):
        runs = {"both on the same task and seed": len(common)}
    return _units(common, runs)


def units(numbers: Numbers) -> Comparison:
    """Average numbers over seeds, then over tasks; with one task, over its seeds."""
    return _units(numbers, {"it": len(numbers)})


def _units(numbers: Numbers, runs: Mapping[str, int]) -> Comparison:
    by_task: dict[str, list[Number]] = {}
    for (task, _), number in numbers.items():
        by_task.setdefault(task, []).append(number)
    alone = len(by_task) == 1
    groups = [[number] for number in next(iter(by_task.values()))] if alone else list(by_task.values())
    value, low, high = (np.array([np.mean([getattr(number, end) for number in group]) for group in groups]) for end in ("value", "low", "high"))
    floor = math.sqrt(sum(sum(number.variance for number in group) / len(group) ** 2 for group in groups)) / max(1, len(groups))
    return Comparison(Sample(value, low, high, floor), "seeds" if alone else "tasks", len(numbers), too_few(runs, tasks=len(by_task)))


def numbers(runs: Sequence[Run], arm: str, measure: Measure) -> dict[tuple[str, int], Number]:
    """Return an arm's numbers (see `Run.arm`) by task and seed, without the undefined ones. runs: each done once."""
    by_run = {}
    for run in (run for run in runs if run.arm == arm):
        number = measure.number(run)
        if number is not None:
            by_run[run.task, run.seed] = number
    return by_run


def contrast(runs: Sequence[Run], first: str, second: str, measure: Measure) -> Comparison:
    """Compare two arms of the same runs."""
    return paired(numbers(runs, first, measure), numbers(runs, second, measure), (first, second))
