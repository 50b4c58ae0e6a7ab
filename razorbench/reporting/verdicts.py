"""What the runs say about the paper's claims, as `razorbench claims` decides them."""

from __future__ import annotations

from collections.abc import Sequence

from razorbench.claims import Claim
from razorbench.reporting.material import Folded, Section
from razorbench.reporting.tables import Table, Value
from razorbench.rules import Finding
from razorbench.suite import Undefined


def verdicts(decided: Sequence[tuple[Claim, Sequence[str]]]) -> Section:
    """Return the section of claims, each with the commands that would add what it lacks."""
    parts = [(claim.name, *_part(each)) for claim, _ in decided for each in claim.findings]
    lacking = [(claim.name, command) for claim, commands in decided for command in commands]
    blocks = [
        Table(
            "parts",
            "Every part of every claim",
            ("claim", "part", "claimed", "measured", "of", "visible", "verdict", "note"),
            parts,
            "Visible: the smallest effect that such runs would show in 80% of studies. Verdicts in brackets are beside the claim and decide nothing.",
        )
    ]
    if lacking:
        blocks.append(Table("lacking", "What would decide those that are underpowered", ("claim", "command"), lacking))
    return Section(
        "The paper's claims",
        [
            "Decided by rules that were written before the reference runs and stand in conf/study/claims.yaml. A part holds if its 95% interval lies in the "
            "claimed range, does not hold if the interval excludes that range, and is underpowered if neither; a claim holds if all its parts do, and does "
            "not hold if one of them does not. Runs of every base policy count here.",
        ],
        [
            Table("claims", "Verdicts", ("claim", "it says", "verdict"), [(claim.name, claim.says, claim.verdict) for claim, _ in decided]),
            Folded("What the verdicts rest on", blocks),
        ],
    )


def _part(found: Finding) -> Sequence[Value]:
    return (
        found.what,
        found.claimed,
        Undefined("too few runs") if found.effect is None else found.effect,
        found.n,
        Undefined("no interval") if found.visible is None else found.visible,
        f"({found.verdict})" if found.beside and found.verdict else found.verdict,
        found.note,
    )
