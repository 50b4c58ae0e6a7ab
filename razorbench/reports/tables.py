"""Tables whose cells know how they are shown, sorted, and written as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from razorbench.statistics.suite_score import Alone
from razorbench.store.estimate import Estimate, Undefined, number


@dataclass(frozen=True)
class Links:
    """Links to files. targets: (text, relative URL), the URL already quoted."""

    targets: Sequence[tuple[str, str]]


Value = str | int | float | Estimate | Alone | Undefined | Links


@dataclass(frozen=True)
class Cell:
    """A cell of the page. text: shown; order: sort key, empty to sort last in both directions; number: whether it is a number."""

    text: str
    order: str
    number: bool
    links: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Table:
    """Rows of values under named columns. name: of its CSV file; note: text under the table."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    note: str = ""

    def cells(self) -> list[list[Cell]]:
        """Return the rows as cells of the page."""
        return [[_cell(value) for value in row] for row in self.rows]

    def csv(self) -> str:
        """Return the table as CSV with nine digits; an interval adds two columns, `NAME low` and `NAME high`."""
        kinds = [[row[k] for row in self.rows] for k in range(len(self.columns))]
        wide = [any(isinstance(value, Estimate | Alone) for value in column) for column in kinds]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([name for k, column in enumerate(self.columns) for name in ((column, f"{column} low", f"{column} high") if wide[k] else (column,))])
        for row in self.rows:
            writer.writerow([part for k, value in enumerate(row) for part in _flat(value, wide[k])])
        return text.getvalue()

    def markdown(self) -> str:
        """Return the table as Markdown."""
        return markdown(self.columns, ([cell.text for cell in row] for row in self.cells()))


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table. Cells may hold any text, even pipes."""
    lines = [columns, *rows]
    head, *body = ("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
    return "\n".join([head, "| --- " * len(columns) + "|", *body])


def plain(text: object) -> str:
    """Replace characters that are illegal in XML or UTF-8 by U+FFFD."""
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", str(text))


def slug(*names: object) -> str:
    """Return a file name from names."""
    return "-".join(re.sub(r"[^A-Za-z0-9]+", "_", str(name)).strip("_").lower() for name in names)


def _cell(value: Value) -> Cell:
    match value:
        case Estimate():
            return Cell(str(value), repr(value.value), True)
        case Alone():
            return Cell(f"{number(value.value)} (no interval: {value.why})", repr(value.value), True)
        case Undefined():
            return Cell(f"undefined: {value.why}", "", True)
        case Links():
            return Cell("", "", False, value.targets)
        case str():
            return Cell(plain(value), plain(value), False)
        case int():
            return Cell(f"{value:,}", repr(value), True)
        case _:
            return Cell(number(value), repr(value), True)


def _flat(value: Value, wide: bool) -> list[object]:
    match value:
        case Estimate():
            return [f"{part:.9g}" for part in (value.value, value.low, value.high)]
        case Alone():
            parts: list[object] = [f"{value.value:.9g}"]
        case Undefined():
            parts = [f"undefined: {value.why}"]
        case Links():
            parts = [" ".join(address for _, address in value.targets)]
        case str():
            parts = [_unarmed(plain(value))]
        case _:
            parts = [value if isinstance(value, int) else f"{value:.9g}" if math.isfinite(value) else ""]
    return parts + ["", ""] * wide


def _unarmed(text: str) -> str:
    """Prefix text that a spreadsheet would read as a formula with an apostrophe."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
