"""Tables of the report, or their most important columns, as Markdown."""

from __future__ import annotations

from razorbench.reports.tables import Table, Value
from razorbench.statistics.law import Law
from razorbench.store.estimate import Undefined

LEVEL = 0.9
"""Success level at which the tables show retention."""


def under(table: Table) -> list[str]:
    """Return a table as Markdown under its title, with its note."""
    return [f"### {table.title}", table.markdown(), table.note]


def r2(found: Law | None) -> Value:
    """Return in-sample R2 for a table."""
    return Undefined("too few runs") if found is None else Undefined("forgetting does not vary") if found.r2 is None else found.r2
