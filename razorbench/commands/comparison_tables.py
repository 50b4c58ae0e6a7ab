"""How `razorbench compare` and `razorbench claims` look in a terminal of 80 columns."""

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
"""Measures that `compare` prints, and --by beside them."""


def comparison(a: str, b: str, found: Mapping[str, Comparison], verdicts: Mapping[str, Verdict]) -> Table:
    """Return the table of one arm less another, a row for each measure."""
    table = Table(title=f"{a} - {b}", title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for column in ("measure", "difference", "of", "pairs", "verdict", "needs"):
        table.add_column(column, justify="right" if column in ("of", "pairs") else "left", no_wrap=True, min_width=6 if column == "needs" else None)
    for name, each in found.items():
        effect, verdict = each.difference, verdicts[name]
        needs = verdict.why.removesuffix(" tasks").replace("over ", ">") if verdict.words == (UNDECIDED,) else ""
        # Of costs the numbers say enough.
        words = ("", "") if name.partition("@")[0] in COSTS else (", ".join(verdict.words), needs)
        table.add_row(name, "undefined" if effect is None else told(effect), each.units, str(each.pairs), *words)
    return table


def print_claims(decided: Sequence[tuple[Claim, Sequence[str]]]) -> None:
    """Print every claim's parts in their places, why runs are undefined there, and the commands that would help."""
    for claim, commands in decided:
        console.print(Text.assemble((claim.name, "bold"), f"  {claim.says}"))
        placed = [each for each in claim.findings if each.at]
        if placed:
            console.print(_in_places(placed))
        if len(placed) < len(claim.findings):
            console.print(_elsewhere([each for each in claim.findings if not each.at]))
        if notes := dict.fromkeys(note for each in claim.findings for note in each.notes):
            console.print(f"  undefined at 0.9: {'; '.join(notes)}")
        for command in commands:
            console.print(f"  add: {command}")
        console.print()


def _in_places(findings: Sequence[Finding]) -> Table:
    """A row for each part, a column for each place."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("", ratio=1)
    for place in PLACES:
        table.add_column(f"at {place}", width=20)
    parts: dict[str, dict[str, Finding]] = {}
    for each in findings:
        parts.setdefault(each.what, {})[each.at] = each
    for what, found in parts.items():
        first = next(iter(found.values()))
        name = f"{what}\nexpects {' or '.join(first.expects)}{', beside' if first.beside else ''}"
        table.add_row(name, *(_cell(found[place]) if place in found else "" for place in PLACES), end_section=True)
    return table


def _cell(found: Finding) -> Text:
    effect = "undefined" if found.effect is None else told(found.effect)
    return Text.assemble((str(found.verdict), "bold"), f"\n{effect}\n{found.n}")


def _elsewhere(findings: Sequence[Finding]) -> Table:
    """Parts that are measured in no place, a row each."""
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("", ratio=1)
    for column, width in (("measured", 20), ("of", 12), ("verdict", 13)):
        table.add_column(column, width=width)
    for each in findings:
        effect = "undefined" if each.effect is None else told(each.effect)
        table.add_row(each.what, effect, each.n, f"({each.verdict})" if each.beside else str(each.verdict))
    return table


def print_primary(primary: Sequence[Primary], status: str, digest: str) -> None:
    """Print the primary contrasts, and which rules were used. status: of the rules; digest: SHA-256 of their file."""
    console.print(Text.assemble(("Primary contrasts", "bold"), " of a confirmation, with their predictions; on these runs they are no confirmation"))
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for column in ("contrast", "at", "expects", "measured", "verdict", "Holm"):
        table.add_column(column)
    for each in primary:
        found = each.finding
        effect = "undefined" if found.effect is None else told(found.effect)
        table.add_row(found.what, found.at, found.expects[0], effect, str(found.verdict), "yes" if each.passes else "no")
    console.print(table)
    console.print(
        f"Status: {status}. more, less: the 95% interval excludes 0. same: the 90%\n"
        "interval lies inside .05 (cka: .01). (N tasks): so many would decide it in 80% of\n"
        f"studies. beside: no part of the claim. Rules: conf/study/claims2.yaml, SHA-256\n{digest}"
    )
