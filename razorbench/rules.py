"""The rules that decide a claim: each measures one thing and knows the range in which the claim says that it lies."""

from __future__ import annotations

import csv
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from scipy import stats

from razorbench.compare import MEASURES, POWER, numbers, paired, units
from razorbench.law import Law, correlation, laws
from razorbench.matched import Matched, matched
from razorbench.metrics import Estimate
from razorbench.results import HEADLINE, RIVALS, SECOND, Run, snapshots

HOLDS, FAILS, UNDERPOWERED, UNDEFINED = "holds", "does not hold", "underpowered", "undefined"
DETECTABLE = float(1 + stats.norm.ppf(POWER) / stats.norm.ppf(0.975))
"""The smallest effect visible with 80% power, in half widths of a 95% interval, for a statistic that is nearly normal."""


class Wanted(NamedTuple):
    """A run that there is not yet. demos: the style of demonstrations, empty for the task's first or none."""

    base: str
    demos: str
    method: str
    task: str
    seed: int


@dataclass(frozen=True)
class Evidence:
    """What claims are decided on. runs: by base policy, of one kind each; tasks, seeds: the runs that there should be of an arm.

    second: the second style of the tasks that have one; methods: all that there are; studies: folder of controlled studies.
    """

    runs: Mapping[str, Sequence[Run]]
    tasks: Sequence[str]
    seeds: Sequence[int]
    second: Mapping[str, str]
    methods: Sequence[str]
    studies: Path

    def of(self, base: str) -> Sequence[Run]:
        """Return the runs of a base policy."""
        return self.runs.get(base, ())

    def missing(self, arms: Sequence[str], base: str) -> list[Wanted]:
        """Return what the arms lack of the suite's tasks and seeds; if they lack nothing, as many seeds again."""
        there = {(run.arm, run.task, int(run.record["seed"])) for run in self.of(base)}
        last = max([*self.seeds, *(seed for *_, seed in there)])
        for seeds in (self.seeds, range(last + 1, last + 1 + len(self.seeds))):
            wanted = [
                Wanted(base, self.second.get(task, "") if arm.endswith(SECOND) else "", arm.removesuffix(SECOND), task, seed)
                for arm, task, seed in itertools.product(arms, self.tasks, seeds)
                if (arm, task, seed) not in there and (task in self.second or not arm.endswith(SECOND))
            ]
            if wanted:
                break
        return wanted


@dataclass(frozen=True)
class Finding:
    """What a part came to. n: of what the interval is; visible: the smallest effect that would have been seen with 80% power.

    beside: reported, not decisive. wanted: the runs that would help; study: the controlled study that was not done.
    """

    what: str
    claimed: str
    effect: Estimate | None
    n: str
    visible: float | None
    verdict: str
    beside: bool
    note: str = ""
    wanted: Sequence[Wanted] = ()
    study: str | None = None


class Part(Protocol):
    """A rule."""

    beside: bool

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return the part's findings, one for each thing that it says."""


@dataclass(frozen=True)
class Range:
    """Where the claim says that an effect lies: above a bound, below one, or inside a margin either way of 0."""

    above: float | None = None
    below: float | None = None
    inside: float | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The range's ends."""
        if self.inside is not None:
            return -self.inside, self.inside
        return -math.inf if self.above is None else self.above, math.inf if self.below is None else self.below

    def __str__(self) -> str:
        if self.inside is not None:
            return f"inside {self.inside:g}"
        return f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"

    def verdict(self, effect: Estimate | None) -> str:
        """Return whether the interval lies in the range, excludes it, or neither."""
        low, high = self.bounds
        if effect is None:
            return UNDERPOWERED
        if effect.high <= low or effect.low >= high:
            return FAILS
        return HOLDS if effect.low > low and effect.high < high else UNDERPOWERED


@dataclass(frozen=True)
class Contrast:
    """One arm less another on a measure of `compare.MEASURES`. reached: share of the second's runs that must reach the matched success."""

    first: str
    second: str
    by: str = "retention@0.7"
    above: float | None = None
    inside: float | None = None
    base: str = "mlp"
    reached: float = 0.0
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding."""
        runs, measure = evidence.of(self.base), MEASURES[self.by]
        found = paired(numbers(runs, self.first, measure), numbers(runs, self.second, measure))
        claimed = Range(above=self.above, inside=self.inside)
        verdict, note = claimed.verdict(found.difference), _undefined(runs, (self.first, self.second), self.by)
        there = [run for run in runs if run.arm == self.second]
        if "@" in self.by and there and sum(_matched(run, self.by).reached for run in there) < self.reached * len(there):
            verdict, note = UNDEFINED, f"under {self.reached:.0%} of {self.second}'s runs reach this success; {note}"
        wanted = evidence.missing((self.first, self.second), self.base) if verdict == UNDERPOWERED else []
        what, n = f"{self.first} less {self.second}, {self.by}", f"{found.n} {found.unit}, {found.pairs} pairs"
        return [Finding(what, str(claimed), found.difference, n, found.visible, verdict, self.beside, note, wanted)]


@dataclass(frozen=True)
class Level:
    """One arm's measure."""

    arm: str
    by: str = "retention@0.7"
    above: float | None = None
    below: float | None = None
    base: str = "mlp"
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding."""
        runs = evidence.of(self.base)
        found = units(numbers(runs, self.arm, MEASURES[self.by]))
        claimed = Range(above=self.above, below=self.below)
        verdict, note = claimed.verdict(found.difference), _undefined(runs, (self.arm,), self.by)
        wanted = evidence.missing((self.arm,), self.base) if verdict == UNDERPOWERED else []
        what, n = f"{self.arm} from {self.base}, {self.by}", f"{found.n} {found.unit}, {found.pairs} runs"
        return [Finding(what, str(claimed), found.difference, n, found.visible, verdict, self.beside, note, wanted)]


SCORES = {
    "r2": "R2",
    "family_left_out": "R2, each family of methods predicted from the others,",
    "task_left_out": "R2, each task predicted from the others,",
}


@dataclass(frozen=True)
class Prediction:
    """An R2 of the forgetting law. score: its name in `law.Law`."""

    score: str
    above: float
    predictor: str = HEADLINE
    base: str = "mlp"
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding."""
        found = _laws(evidence.of(self.base), (self.predictor,)).get(self.predictor)
        effect: Estimate | None = None if found is None else getattr(found, self.score)
        claimed = Range(above=self.above)
        verdict = claimed.verdict(effect)
        noise = "" if found is None or found.noise_ceiling is None else f"a perfect predictor would have an in-sample R2 of {found.noise_ceiling:.2f}"
        wanted = evidence.missing(evidence.methods, self.base) if verdict == UNDERPOWERED else []
        what = f"{SCORES[self.score]} of {self.predictor}, from {self.base}"
        return [Finding(what, str(claimed), effect, _runs(found), _visible(effect), verdict, self.beside, noise, wanted)]


@dataclass(frozen=True)
class Rivals:
    """An R2 of the headline predictor less that of each rival, on the same resamples of the same runs. score: its name in `law.Law`."""

    base: str
    score: str
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding for each rival that the runs have, or one that says what is missing."""
        found = _laws(evidence.of(self.base), (HEADLINE, *RIVALS))
        claimed = Range(above=0.0)
        if HEADLINE not in found:
            what = f"{SCORES[self.score]} of {HEADLINE} less its rivals', from {self.base}"
            return [Finding(what, str(claimed), None, _runs(None), None, UNDERPOWERED, self.beside, "", evidence.missing(evidence.methods, self.base))]
        findings = []
        for name, each in found.items():
            lead = each.leads[self.score]
            verdict = claimed.verdict(lead)
            if name != HEADLINE:
                findings.append(
                    Finding(
                        f"{SCORES[self.score]} less that of {name}, from {self.base}", str(claimed), lead, _runs(each), _visible(lead), verdict, self.beside
                    )
                )
        return findings


@dataclass(frozen=True)
class Correlation:
    """Pearson's correlation over snapshots between the headline predictor and another; decides nothing."""

    other: str
    base: str = "mlp"
    beside: bool = True

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding."""
        runs = evidence.of(self.base)
        along = snapshots(runs, (HEADLINE, self.other))
        first, second = along.points(HEADLINE), along.points(self.other)
        found = correlation(first, second) if first.same_runs(second) else None
        return [Finding(f"correlation with {self.other}, from {self.base}", "", found, f"{len(second.arm)} runs", None, "", self.beside)]


@dataclass(frozen=True)
class Exact:
    """An update of the projection study ends at the KL-minimal policy of its family, within a total variation."""

    family: str
    update: str
    within: float = 1e-6
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding: the mean excess KL of the size that is furthest off; the verdict is on the largest total variation."""
        what, claimed = f"{self.family}, {self.update}: KL above the minimal one, nats", f"total variation within {self.within:g}"
        path = evidence.studies / "projection" / "distance.csv"
        if not path.exists():
            return [Finding(what, claimed, None, "no study", None, UNDERPOWERED, self.beside, study="projection")]
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if (row["family"], row["update"]) == (self.family, self.update)]
        last = min(float(row["failure"]) for row in rows)
        ends = [row for row in rows if float(row["failure"]) == last]
        worst = max(ends, key=lambda row: float(row["excess_kl"]))
        effect = Estimate(*(float(worst[f"excess_kl{end}"]) for end in ("", "_low", "_high")))
        largest = max(float(row["off_max"]) for row in ends)
        n = f"{sum(int(row['reached']) for row in ends)} bandits"
        return [Finding(what, claimed, effect, n, None, HOLDS if largest <= self.within else FAILS, self.beside, f"largest total variation {largest:.1e}")]


def _undefined(runs: Sequence[Run], arms: Sequence[str], by: str) -> str:
    """Say in how many of each arm's runs a measure at matched success is undefined, and why."""
    said = []
    for arm in arms:
        own = [run for run in runs if run.arm == arm]
        reasons = Counter(_matched(run, by).reason for run in own if "@" in by)
        said += [f"{arm}: {reason} in {count} of {len(own)} runs" for reason, count in reasons.items() if reason]
    return "; ".join(said)


def _matched(run: Run, by: str) -> Matched:
    return matched(run.curve, float(by.partition("@")[2]))


def _laws(runs: Sequence[Run], predictors: Sequence[str]) -> dict[str, Law]:
    """Fit the law to those of the predictors, the first one above all, that all runs with snapshots have."""
    along = snapshots(runs, predictors)
    found = {name: along.points(name) for name in predictors}
    first = found[predictors[0]]
    same = {name: each for name, each in found.items() if len(each.arm) and each.same_runs(first)}
    return laws(same, predictors[0]) if predictors[0] in same and first.too_few() is None else {}


def _runs(found: Law | None) -> str:
    return "no runs" if found is None else f"{found.runs} runs, {found.snapshots} snapshots"


def _visible(effect: Estimate | None) -> float | None:
    return None if effect is None else DETECTABLE * (effect.high - effect.low) / 2
