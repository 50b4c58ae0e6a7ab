"""Tables of the report, or their most important columns, as Markdown."""

from __future__ import annotations

from razorbench.reports.tables import Table, Value
from razorbench.statistics.law import Law
from razorbench.store.estimate import Undefined

LEVEL = 0.9
"""Success at which retention is told."""


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    rows = [[cell.text.replace("|", "\\|") for cell in row] for row in table.cells()]
    return "\n".join("| " + " | ".join(row) + " |" for row in [[*table.columns], ["---"] * len(table.columns), *rows])


def under(table: Table) -> list[str]:
    """Return a table as Markdown under its title, with its note."""
    return [f"### {table.title}", markdown(table), table.note]


def r2(found: Law | None) -> Value:
    """Return in-sample R2 as a table has it."""
    return Undefined("too few runs") if found is None else Undefined("forgetting does not vary") if found.r2 is None else found.r2
