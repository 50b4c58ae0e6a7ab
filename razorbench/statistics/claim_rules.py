"""The rules that decide a claim, second edition: each measures differences and states them in the words of `razorbench.statistics.verdicts`."""

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
"""Places where a claim is decided: at a success of .9 on the new task, at the best SELECT success, at the end of the budget."""
MAIN = "mlp"
"""The base of a rule that names none."""


@dataclass(frozen=True)
class Evidence:
    """Input to the claims. runs: poolable runs of one world by base policy; design: the runs that each arm should cover; methods: names of all methods.

    studies: folder of the controlled studies. main: None in the world that the rules were written for; in another world, the base that takes the place of MAIN.
    """

    runs: Mapping[str, Sequence[Run]]
    design: Design
    methods: Sequence[str]
    studies: Path
    main: str | None = None

    def of(self, base: str) -> Sequence[Run]:
        """Return the runs of a base policy that a rule names."""
        return self.runs.get(self._here(base), ())

    def missing(self, arms: Sequence[str], base: str) -> list[Wanted]:
        """Return the missing runs of these arms; none from a base of the rules that another world lacks."""
        if self.main is not None and not self.of(base):
            return []
        return self.design.missing(self.of(base), arms, self._here(base))

    def _here(self, base: str) -> str:
        return self.main if self.main is not None and base == MAIN else base


@dataclass(frozen=True)
class Finding:
    """Result of a part in one place. at: the place, empty if the part has none; expects: the claim expects one of these words; n: sample size in words.

    beside: shown only, not part of the claim. notes: runs that are undefined there. wanted: missing runs; study: the missing controlled study.
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
        """Whether the verdict has one of the expected words."""
        return any(word in self.expects for word in self.verdict.words)


class Part(Protocol):
    """A rule."""

    beside: bool

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return the part's findings, one for each statement and place."""


@dataclass(frozen=True)
class Contrast:
    """One arm minus another. by: a quantity of `comparison.QUANTITIES`, whose margin defines *same*; places: where it is measured."""

    first: str
    second: str
    expects: Sequence[str]
    by: str = "retention"
    base: str = MAIN
    places: Sequence[str] = PLACES
    beside: bool = False

    @property
    def what(self) -> str:
        """Name in tables."""
        return f"{self.first} - {self.second}{'' if self.by == 'retention' else f', {self.by}'}{'' if self.base == MAIN else f', {self.base}'}"

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
    """One arm from a larger base minus the same arm from a smaller base, paired by task and seed."""

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
            difference = paired(first, second, (f"{self.arm} from {self.larger}", f"{self.arm} from {self.smaller}"))
            notes = [f"{base}: {why}" for base in bases for why in whys(evidence.of(base), (self.arm,), place)]
            wanted = [run for base in bases for run in evidence.missing((self.arm,), base)]
            findings.append(_finding(self, f"{self.arm}, {self.larger} - {self.smaller}", place, difference, len(common), notes, wanted))
        return findings


def _finding(part: Contrast | Size, what: str, place: str, comparison: Comparison, common: int, notes: Sequence[str], wanted: Sequence[Wanted]) -> Finding:
    measure: Measure = MEASURES[f"{part.by}@{place}"]
    verdict = comparison.verdict(measure.quantity.margin)
    n = f"{comparison.units}, {comparison.pairs} of {common} pairs"
    return Finding(what, place, tuple(part.expects), comparison.difference, n, verdict, part.beside, notes, () if verdict.decided else wanted)


def whys(runs: Sequence[Run], arms: Sequence[str], place: str) -> list[str]:
    """Return a sentence for each arm that is undefined in a place: in how many runs, and why."""
    sentences = []
    for arm in arms:
        own = [undefined(run, place) for run in runs if run.arm == arm]
        whys = Counter(filter(None, own))
        sentences += [f"{arm} in {whys.total()} of {len(own)} runs ({', '.join(f'{count}: {why}' for why, count in whys.items())})"] if whys else []
    return sentences


SCORES = {
    "r2": "R2",
    "family_left_out": "R2 on held-out families",
    "task_left_out": "R2 on held-out tasks",
}


@dataclass(frozen=True)
class Prediction:
    """An R2 of the forgetting law against a bar, over all snapshots. score: its name in `law.Law`; above: the bar."""

    score: str
    above: float
    predictor: str = HEADLINE
    base: str = MAIN
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding: whether the R2 is *more* or *less* than the bar."""
        runs = evidence.of(self.base)
        law = fitted(runs, (self.predictor,)).get(self.predictor)
        effect: Estimate | None = None if law is None else getattr(law, self.score)
        verdict = _judged(effect, self.above, runs)
        what = f"{SCORES[self.score]} of {self.predictor}, from {self.base}, against {self.above:g}"
        wanted = () if verdict.decided else evidence.missing(evidence.methods, self.base)
        return [Finding(what, "", (MORE,), effect, _size(law), verdict, self.beside, wanted=wanted)]


@dataclass(frozen=True)
class Rivals:
    """R2 of the headline predictor minus that of each rival, on the same resamples of the same runs. score: its name in `law.Law`.

    The intervals are not corrected for the number of rivals.
    """

    rivals: Sequence[str]
    base: str
    score: str
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding for each rival that the runs have."""
        runs = evidence.of(self.base)
        fits = fitted(runs, (HEADLINE, *self.rivals))
        findings = []
        for name in self.rivals:
            lead = fits[name].leads[self.score] if name in fits else None
            verdict = _judged(lead, 0.0, runs)
            wanted = () if verdict.decided else evidence.missing(evidence.methods, self.base)
            what = f"{SCORES[self.score]} minus that of {name}, from {self.base}"
            findings.append(Finding(what, "", (MORE,), lead, _size(fits.get(name)), verdict, self.beside, wanted=wanted))
        return findings


def fitted(runs: Sequence[Run], predictors: Sequence[str]) -> Mapping[str, Law]:
    """Fit the law to the predictors that every run with snapshots has. The first predictor is the headline; empty if there are too few runs for it."""
    measured = snapshots(runs, predictors)
    points = {name: measured.points(name) for name in predictors}
    first = points[predictors[0]]
    same = {name: own for name, own in points.items() if len(own.arm) and own.same_runs(first)}
    return laws(same, predictors[0]) if predictors[0] in same and first.too_few() is None else {}


def _judged(effect: Estimate | None, bar: float, runs: Sequence[Run]) -> Verdict:
    """Return the verdict on an interval against a bar, or *too few runs* if runs, tasks or families lie below the floors."""
    lacking = too_few({"all": len(runs)}, tasks=len({run.task for run in runs}), families=len({run.family for run in runs}))
    if lacking or effect is None:
        return Verdict((TOO_FEW,), lacking or "no fit")
    words = tuple(word for word, holds in ((MORE, effect.low > bar), (LESS, effect.high < bar)) if holds)
    return Verdict(words or (UNDECIDED,))


def _size(law: Law | None) -> str:
    return "no runs" if law is None else f"{law.runs} runs"


@dataclass(frozen=True)
class Cells:
    """Projection study: does each update, in each policy family, end at the KL-minimal policy of the family?

    within: a total variation up to this is *same*, above it *more*. Neither has an interval over tasks.
    """

    within: float = 1e-6
    beside: bool = False

    def decide(self, evidence: Evidence) -> list[Finding]:
        """Return one finding for each cell: the excess KL in nats, mean over bandits, of the size that ends furthest away."""
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
"""Largest size of a study's table, bytes."""


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a study's table; none if the file is missing, and none with a warning on stderr if it is malformed."""
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
        warn(f"set apart: {path} is not a file of study=projection ({error}): run the study again")
        return []


def _grouped(rows: Iterable[Mapping[str, str]]) -> list[list[Mapping[str, str]]]:
    """Group rows by family and update."""
    cells: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        cells.setdefault((row["family"], row["update"]), []).append(row)
    return list(cells.values())
