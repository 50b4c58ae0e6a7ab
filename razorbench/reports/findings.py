"""Findings: sentences declared in `conf/study/reference.yaml`, each with one number from the runs and a link to its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from razorbench.reports.law_fits import ALL, Fits
from razorbench.statistics.comparison import MEASURES, Comparison, Measure, contrast, numbers, paired
from razorbench.statistics.finished_runs import HEADLINE, Run
from razorbench.statistics.law.paper import WithinCells
from razorbench.statistics.verdicts import told

_MEASURE = MEASURES["retention@best"]


@dataclass(frozen=True)
class Evidence:
    """Input to the findings: runs, and the fits of the law to them or why there are none."""

    runs: Sequence[Run]
    law: Fits | str


class Finding(Protocol):
    """A sentence with one number, and the page that has more, relative to docs."""

    says: str
    link: str

    def sentence(self, evidence: Evidence) -> str:
        """Return the sentence with its number, or with the reason why it is undefined."""


@dataclass(frozen=True)
class Difference:
    """Retention of one arm minus that of another, both at their best."""

    arms: tuple[str, str]
    says: str
    link: str

    def sentence(self, evidence: Evidence) -> str:
        """Return the sentence."""
        return _with(self.says, contrast(evidence.runs, *self.arms, _MEASURE), _MEASURE)


@dataclass(frozen=True)
class Saved:
    """Retention of an arm at its best minus at the end of its budget."""

    arm: str
    says: str
    link: str

    def sentence(self, evidence: Evidence) -> str:
        """Return the sentence."""
        best, end = (numbers(evidence.runs, self.arm, MEASURES[f"retention@{stop}"]) for stop in ("best", "end"))
        return _with(self.says, paired(best, end), _MEASURE)


@dataclass(frozen=True)
class Replicates:
    """In-sample R2 of the paper's parabola within one task and one base, over all snapshots."""

    says: str
    link: str

    def sentence(self, evidence: Evidence) -> str:
        """Return the sentence."""
        cells = evidence.law if isinstance(evidence.law, str) else evidence.law.within.get((HEADLINE, ALL))
        return self.says.format(number=str(cells.parabola) if isinstance(cells, WithinCells) else f"undefined ({cells or 'too few cells'})")


@dataclass(frozen=True)
class CarriesOver:
    """R2 of forward KL on a held-out family of methods."""

    says: str
    link: str

    def sentence(self, evidence: Evidence) -> str:
        """Return the sentence."""
        r2 = evidence.law if isinstance(evidence.law, str) else evidence.law.pooled[HEADLINE].family_left_out
        return self.says.format(number=f"undefined ({r2 or 'one family'})" if r2 is None or isinstance(r2, str) else str(r2))


@dataclass(frozen=True)
class Shown:
    """The content of `conf/study/reference.yaml`. arms: of the picture; question: two arms whose difference is in its caption."""

    use: ClassVar = "python docs/make/reference_page.py"

    arms: Sequence[str]
    question: tuple[str, str]
    findings: Sequence[Finding]

    def caption(self, runs: Sequence[Run]) -> str:
        """Return the difference in retention between the two arms of the question at both stops, with its verdicts."""
        first, second = self.question
        parts = []
        for stop, where in (("best", "at best"), ("end", "at the end")):
            measure = MEASURES[f"retention@{stop}"]
            parts.append(_with(f"{{number}} {where}, {{verdict}}", contrast(runs, first, second, measure), measure))
        return f"Retention, `{first}` minus `{second}`: {'; '.join(parts)}."


def _with(says: str, comparison: Comparison, measure: Measure) -> str:
    number = "undefined" if comparison.difference is None else told(comparison.difference)
    return says.format(number=number, verdict=comparison.verdict(measure.quantity.margin))
