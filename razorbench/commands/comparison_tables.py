"""Tables of `razorbench compare` and `razorbench claims` for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from razorbench.commands.terminal import console
from razorbench.statistics.claim_rules import PLACES, Finding
from razorbench.statistics.claims import Claim, Primary
from razorbench.statistics.comparison import COSTS, Comparison
from razorbench.statistics.stops import LEVELS, STOPS
from razorbench.statistics.verdicts import UNDECIDED, Verdict, told

SHOWN = (
    *(f"retention@{place}" for place in (*(f"{level:g}" for level in LEVELS), *STOPS)),
    *(f"{name}@{stop}" for name in ("success", "score", "cka", "forward_kl") for stop in STOPS),
    *(f"{name}@{stop}" for name in ("env_steps", "gradient_steps") for stop in STOPS),
)
"""Measures that `compare` prints in addition to --by."""


def comparison(a: str, b: str, contrasts: Mapping[str, Comparison], verdicts: Mapping[str, Verdict]) -> Table:
    """Return the table of one arm minus another, a row for each measure."""
    table = Table(title=f"{a} - {b}", title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for column in ("measure", "difference", "of", "pairs", "verdict", "needs"):
        table.add_column(column, justify="right" if column in ("of", "pairs") else "left", no_wrap=True, min_width=6 if column == "needs" else None)
    for name, measured in contrasts.items():
        effect, verdict = measured.difference, verdicts[name]
        needs = verdict.why.removesuffix(" tasks").replace("over ", ">") if verdict.words == (UNDECIDED,) else ""
        # A verdict on costs adds nothing to the numbers.
        words = ("", "") if name.partition("@")[0] in COSTS else (", ".join(verdict.words), needs)
        table.add_row(name, "undefined" if effect is None else told(effect), measured.units, str(measured.pairs), *words)
    return table


def print_claims(decided: Sequence[tuple[Claim, Sequence[str]]]) -> None:
    """Print each claim's parts by place, why runs are undefined there, and the commands that would add runs."""
    for claim, commands in decided:
        console.print(Text.assemble((claim.name, "bold"), f"  {claim.says}"))
        placed = [finding for finding in claim.findings if finding.at]
        if placed:
            console.print(_in_places(placed))
        if len(placed) < len(claim.findings):
            console.print(_elsewhere([finding for finding in claim.findings if not finding.at]))
        if notes := dict.fromkeys(note for finding in claim.findings for note in finding.notes):
            console.print(f"  undefined at 0.9: {'; '.join(notes)}")
        for command in commands:
            console.print(f"  add: {command}")
        console.print()


def _in_places(findings: Sequence[Finding]) -> Table:
    """Return a table with a row for each part and a column for each place."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("", ratio=1)
    for place in PLACES:
        table.add_column(f"at {place}", width=20)
    parts: dict[str, dict[str, Finding]] = {}
    for finding in findings:
        parts.setdefault(finding.what, {})[finding.at] = finding
    for part, by_place in parts.items():
        first = next(iter(by_place.values()))
        name = f"{part}\nexpects {' or '.join(first.expects)}{', beside' if first.beside else ''}"
        table.add_row(name, *(_cell(by_place[place]) if place in by_place else "" for place in PLACES), end_section=True)
    return table


def _cell(finding: Finding) -> Text:
    effect = "undefined" if finding.effect is None else told(finding.effect)
    return Text.assemble((str(finding.verdict), "bold"), f"\n{effect}\n{finding.n}")


def _elsewhere(findings: Sequence[Finding]) -> Table:
    """Return a table of the parts without a place, a row each."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("", ratio=1)
    for column, width in (("measured", 20), ("of", 12), ("verdict", 13)):
        table.add_column(column, width=width)
    for finding in findings:
        effect = "undefined" if finding.effect is None else told(finding.effect)
        table.add_row(finding.what, effect, finding.n, f"({finding.verdict})" if finding.beside else str(finding.verdict))
    return table


def print_primary(primary: Sequence[Primary], status: str, digest: str) -> None:
    """Print the primary contrasts and the rules. status: of the rules; digest: SHA-256 of their file."""
    console.print(Text.assemble(("Primary contrasts", "bold"), " of a confirmation, with their predictions; on these runs they are no confirmation"))
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for column in ("contrast", "at", "expects", "measured", "verdict", "Holm"):
        table.add_column(column)
    for contrast in primary:
        finding = contrast.finding
        effect = "undefined" if finding.effect is None else told(finding.effect)
        table.add_row(finding.what, finding.at, finding.expects[0], effect, str(finding.verdict), "yes" if contrast.passes else "no")
    console.print(table)
    console.print(
        f"Status: {status}. more, less: the 95% interval excludes 0. same: the 90%\n"
        "interval lies inside .05 (cka: .01). (N tasks): so many would decide it in 80% of\n"
        f"studies. beside: no part of the claim. Rules: conf/study/claims2.yaml, SHA-256\n{digest}"
    )
