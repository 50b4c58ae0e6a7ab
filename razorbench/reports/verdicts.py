"""The section on the paper's claims, as `razorbench claims` decides them."""

from __future__ import annotations

from collections.abc import Sequence

from razorbench.reports.content import Folded, Section
from razorbench.reports.tables import Table, Value
from razorbench.statistics.claim_rules import PLACES, Finding
from razorbench.statistics.claims import Claim
from razorbench.store.estimate import Undefined

ABOUT = (
    "Exploratory: the rules in conf/study/claims2.yaml are newer than the runs of the first study. more, less: the 95% interval of the difference excludes 0. "
    "same: its 90% interval lies inside the margin, .05 for retention and .01 for CKA (two one-sided tests). undecided: none of these. At 0.9: where SELECT "
    "success first crosses 0.9, with the interval at the worst ends of the brackets. Claims use the runs of every base policy."
)


def verdicts(decided: Sequence[tuple[Claim, Sequence[str]]]) -> Section:
    """Return the section of claims. decided: each claim with the commands that add its missing runs."""
    parts = [(claim.name, *_part(finding)) for claim, _ in decided for finding in claim.findings]
    lacking = [(claim.name, command) for claim, commands in decided for command in commands]
    blocks = [
        Table(
            "parts",
            "Every part of every claim",
            ("claim", "part", "at", "expected", "measured", "sample", "verdict", "undefined runs"),
            parts,
            "(N tasks): with this many, 80% of studies would decide. Verdicts in parentheses are not part of the claim.",
        )
    ]
    if lacking:
        blocks.append(Table("lacking", "Runs that undecided claims need", ("claim", "command"), lacking))
    return Section("The paper's claims", [ABOUT], [said([claim for claim, _ in decided]), Folded("Details of the verdicts", blocks)])


def said(claims: Sequence[Claim]) -> Table:
    """Return the verdicts of every claim in each place; a claim without places has the same verdict in all."""
    rows: list[Sequence[Value]] = [[claim.name, claim.says, *(claim.said(place) or claim.said("") for place in PLACES)] for claim in claims]
    return Table("claims", "Verdicts", ("claim", "statement", *(f"at {place}" for place in PLACES)), rows)


def _part(finding: Finding) -> Sequence[Value]:
    return (
        finding.what,
        finding.at,
        " or ".join(finding.expects),
        Undefined("too few runs") if finding.effect is None else finding.effect,
        finding.n,
        f"({finding.verdict})" if finding.beside else str(finding.verdict),
        "; ".join(finding.notes),
    )
