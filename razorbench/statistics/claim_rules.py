"""The rules that decide a claim, second edition: each measures differences and tells them in the words of `razorbench.statistics.verdicts`."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from razorbench.statistics.comparison import MEASURES, Comparison, Measure, numbers, paired
from razorbench.statistics.finished_runs import HEADLINE, Run, snapshots
from razorbench.statistics.law import Law, laws
from razorbench.statistics.missing_runs import Design, Wanted
from razorbench.statistics.stops import undefined
from razorbench.statistics.verdicts import LESS, MORE, SAME, TOO_FEW, UNDECIDED, Verdict, too_few
from razorbench.store import bounded
from razorbench.store.estimate import Estimate
from razorbench.store.output import warn

PLACES = ("0.9", "best", "end")
"""Where a claim is decided: at a success of .9 on the new task, at the best SELECT success, when the budget is used up."""


@dataclass(frozen=True)
class Evidence:
    """Input to the claims. runs: by base policy, poolable; design: the runs that there should be of an arm; methods: all that there are.

    studies: folder of controlled studies.
    """

    runs: Mapping[str, Sequence[Run]]
    design: Design
    methods: Sequence[str]
    studies: Path

    def of(self, base: str) -> Sequence[Run]:
        """Return the runs of a base policy."""
        return self.runs.get(base, ())

    def missing(self, arms: Sequence[str], base: str) -> list[Wanted]:
        """Return which runs of some arms would help."""
        return self.design.missing(self.of(base), arms, base)


@dataclass(frozen=True)
class Finding:
    """What a part came to in one place. at: the place, empty if the part has none; expects: words of which the claim expects one; n: what it rests on.

    beside: shown, no part of the claim. notes: of runs that are undefined there. wanted: the runs that would help; study: the controlled study not done yet.
    """

    what: str
    at: str
    expects: Sequence[str]
    effect: Estimate | None
    n: str
    verdict: Verdict
    beside: bool = False
    notes: Sequence[str] = ()
    wanted: Sequence[Wanted] = ()
    study: str | None = None

    @property
    def as_expected(self) -> bool:
        """Whether one of the words that the claim expects is said."""
        return any(word in self.expects for word in self.verdict.words)


class Part(Protocol):
    """A rule."""

    beside: bool

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return the part's findings, one for each thing that it says and each place."""


@dataclass(frozen=True)
class Contrast:
    """One arm less another. by: a quantity of `compare.QUANTITIES`, whose margin *same* takes; places: where it is measured."""

    first: str
    second: str
    expects: Sequence[str]
    by: str = "retention"
    base: str = "mlp"
    places: Sequence[str] = PLACES
    beside: bool = False

    @property
    def what(self) -> str:
        """How tables name it."""
        return f"{self.first} - {self.second}{'' if self.by == 'retention' else f', {self.by}'}{'' if self.base == 'mlp' else f', {self.base}'}"

    def measured(self, evidence: Evidence, place: str) -> Comparison:
        """Return the difference in one place."""
        first, second = (numbers(evidence.of(self.base), arm, MEASURES[f"{self.by}@{place}"]) for arm in (self.first, self.second))
        return paired(first, second, (self.first, self.second))

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return a finding for each place."""
        runs, arms = evidence.of(self.base), (self.first, self.second)
        common = set.intersection(*({(run.task, run.seed) for run in runs if run.arm == arm} for arm in arms))
        return [
            _finding(self, self.what, place, self.measured(evidence, place), len(common), whys(runs, arms, place), evidence.missing(arms, self.base))
            for place in self.places
        ]


@dataclass(frozen=True)
class Size:
    """One arm from a larger base less the same arm from a smaller one, paired by task and seed."""

    arm: str
    larger: str
    smaller: str
    expects: Sequence[str]
    by: str = "retention"
    places: Sequence[str] = ("best", "end")
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return a finding for each place."""
        bases = (self.larger, self.smaller)
        common = set.intersection(*({(run.task, run.seed) for run in evidence.of(base) if run.arm == self.arm} for base in bases))
        findings = []
        for place in self.places:
            first, second = (numbers(evidence.of(base), self.arm, MEASURES[f"{self.by}@{place}"]) for base in bases)
            found = paired(first, second, (f"{self.arm} from {self.larger}", f"{self.arm} from {self.smaller}"))
            notes = [f"{base}: {why}" for base in bases for why in whys(evidence.of(base), (self.arm,), place)]
            wanted = [run for base in bases for run in evidence.missing((self.arm,), base)]
            findings.append(_finding(self, f"{self.arm}, {self.larger} - {self.smaller}", place, found, len(common), notes, wanted))
        return findings


def _finding(part: Contrast | Size, what: str, place: str, found: Comparison, common: int, notes: Sequence[str], wanted: Sequence[Wanted]) -> Finding:
    measure: Measure = MEASURES[f"{part.by}@{place}"]
    verdict = found.verdict(measure.quantity.margin)
    n = f"{found.units}, {found.pairs} of {common} pairs"
    return Finding(what, place, tuple(part.expects), found.difference, n, verdict, part.beside, notes, () if verdict.decided else wanted)


def whys(runs: Sequence[Run], arms: Sequence[str], place: str) -> list[str]:
    """Say of each arm in how many runs a place is undefined, and why; empty if in none."""
    said = []
    for arm in arms:
        own = [undefined(run, place) for run in runs if run.arm == arm]
        whys = Counter(filter(None, own))
        said += [f"{arm} in {whys.total()} of {len(own)} runs ({', '.join(f'{count}: {why}' for why, count in whys.items())})"] if whys else []
    return said


SCORES = {
    "r2": "R2",
    "family_left_out": "R2, each family left out,",
    "task_left_out": "R2, each task left out,",
}


@dataclass(frozen=True)
class Prediction:
    """An R2 of the forgetting law against a bar, over all snapshots. score: its name in `law.Law`; above: the bar."""

    score: str
    above: float
    predictor: str = HEADLINE
    base: str = "mlp"
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding: the R2, in the words *more* and *less* than the bar."""
        runs = evidence.of(self.base)
        found = fitted(runs, (self.predictor,)).get(self.predictor)
        effect: Estimate | None = None if found is None else getattr(found, self.score)
        verdict = _judged(effect, self.above, runs)
        what = f"{SCORES[self.score]} of {self.predictor}, from {self.base}, against {self.above:g}"
        wanted = () if verdict.decided else evidence.missing(evidence.methods, self.base)
        return [Finding(what, "", (MORE,), effect, _size(found), verdict, self.beside, wanted=wanted)]


@dataclass(frozen=True)
class Rivals:
    """An R2 of the headline predictor less that of each rival, on the same resamples of the same runs. score: its name in `law.Law`.

    Intervals are not corrected for the number of rivals.
    """

    rivals: Sequence[str]
    base: str
    score: str
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding for each rival that the runs have."""
        runs = evidence.of(self.base)
        found = fitted(runs, (HEADLINE, *self.rivals))
        findings = []
        for name in self.rivals:
            lead = found[name].leads[self.score] if name in found else None
            verdict = _judged(lead, 0.0, runs)
            wanted = () if verdict.decided else evidence.missing(evidence.methods, self.base)
            what = f"{SCORES[self.score]} less that of {name}, from {self.base}"
            findings.append(Finding(what, "", (MORE,), lead, _size(found.get(name)), verdict, self.beside, wanted=wanted))
        return findings


def fitted(runs: Sequence[Run], predictors: Sequence[str]) -> Mapping[str, Law]:
    """Fit the law to those of the predictors, the first one above all, that all runs with snapshots have; empty if they are too few for a fit."""
    along = snapshots(runs, predictors)
    found = {name: along.points(name) for name in predictors}
    first = found[predictors[0]]
    same = {name: each for name, each in found.items() if len(each.arm) and each.same_runs(first)}
    return laws(same, predictors[0]) if predictors[0] in same and first.too_few() is None else {}


def _judged(effect: Estimate | None, bar: float, runs: Sequence[Run]) -> Verdict:
    """The words for an interval over runs. Which runs, tasks and families it rests on is checked first."""
    lacking = too_few({"all": len(runs)}, tasks=len({run.task for run in runs}), families=len({run.family for run in runs}))
    if lacking or effect is None:
        return Verdict((TOO_FEW,), lacking or "no fit")
    words = tuple(word for word, holds in ((MORE, effect.low > bar), (LESS, effect.high < bar)) if holds)
    return Verdict(words or (UNDECIDED,))


def _size(found: Law | None) -> str:
    return "no runs" if found is None else f"{found.runs} runs"


@dataclass(frozen=True)
class Cells:
    """Every update of the projection study, in every family of policies: does it end at the KL-minimal policy of its family?

    within: the total variation up to which an end is the *same*; beyond it its KL is *more* than the minimal one. Neither has an interval over tasks.
    """

    within: float = 1e-6
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding for each cell, of the size that ends furthest off: its excess KL, nats, mean over bandits."""
        rows = _rows(evidence.studies / "projection" / "distance.csv")
        if not rows:
            verdict = Verdict((TOO_FEW,), "no study")
            return [Finding("KL above the minimal one", "", (SAME,), None, "no study", verdict, self.beside, study="projection")]
        last = min(float(row["failure"]) for row in rows)
        return [self._cell(cell) for cell in _grouped(row for row in rows if float(row["failure"]) == last)]

    def _cell(self, rows: Sequence[Mapping[str, str]]) -> Finding:
        worst = max(rows, key=lambda row: float(row["excess_kl"]))
        effect = Estimate(*(float(worst[f"excess_kl{end}"]) for end in ("", "_low", "_high")))
        off = max(float(row["off_max"]) for row in rows)
        n = f"{sum(int(row['reached']) for row in rows)} bandits"
        what = f"{worst['family']}, {worst['update']}: KL above the minimal one"
        return Finding(what, "", (SAME,), effect, n, Verdict((SAME if off <= self.within else MORE,)), self.beside)


_NUMBERS = ("failure", "excess_kl", "excess_kl_low", "excess_kl_high", "off_max")
_MOST_STUDY = 1_000_000
"""Bytes of a study's table."""


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a study's table; none if it is not there, or, with a line on stderr, if it is not what the study writes."""
    try:
        rows = list(csv.DictReader(bounded.text(bounded.read(path, _MOST_STUDY)).splitlines()))
        counts = [int(row["reached"]) for row in rows]
        if (
            not all(math.isfinite(float(row[name])) for row in rows for name in _NUMBERS)
            or min(counts, default=0) < 0
            or not all(row["family"] and row["update"] for row in rows)
        ):
            raise ValueError("a number that is not finite, or a row without a name")
        return rows
    except bounded.Missing:
        return []
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        warn(f"set apart: {path} is not what study=projection writes ({error}): do the study again")
        return []


def _grouped(rows: Iterable[Mapping[str, str]]) -> list[list[Mapping[str, str]]]:
    """Rows of one family and update together."""
    found: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        found.setdefault((row["family"], row["update"]), []).append(row)
    return list(found.values())
