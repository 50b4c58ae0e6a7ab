"""Findings of a controlled study: a text, tables and figures, and their files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from matplotlib.figure import Figure

from razorbench.errors import UsageError
from razorbench.store.estimate import Estimate
from razorbench.store.provenance import versions

Say = Callable[[str], None]
Row = dict[str, Any]


@dataclass(frozen=True)
class Findings:
    """Findings of a study. text: Markdown with computed numbers; tables: rows of plain values by name; figures: by name."""

    text: str
    tables: Mapping[str, Sequence[Row]]
    figures: Mapping[str, Figure]

    def save(self, folder: Path, study: Any) -> None:
        """Write `report.md`, a CSV per table, a PNG and an SVG per figure, and `study.json`: settings, versions, all tables."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.tables.items():
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        for name, figure in self.figures.items():
            for kind in ("png", "svg"):
                figure.savefig(folder / f"{name}.{kind}", dpi=130)
        (folder / "report.md").write_text(self.text, encoding="utf-8")
        content = {"settings": asdict(study), "versions": versions(), "tables": dict(self.tables)}
        (folder / "study.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def cells(name: str, found: Estimate | None) -> Row:
    """Return an estimate as three cells of a row, `NAME`, `NAME_low` and `NAME_high`, None where it is undefined."""
    values = (None, None, None) if found is None else (found.value, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def shown(row: Row, name: str) -> str:
    """Format the estimate that `cells` put into a row, to three decimals."""
    if row[name] is None:
        return "undefined"
    return Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"]).text(decimals=3)


def within(study: Any, **bounds: tuple[float, float]) -> None:
    """Raise UsageError unless settings lie within their bounds, inclusive. A sequence must not be empty, and each of its numbers must lie within."""
    for name, (low, high) in bounds.items():
        given = getattr(study, name)
        parts = _parts(given)
        if not parts or not all(isinstance(part, int | float) and low <= part <= high for part in parts):
            shown = json.dumps(given, default=str)
            limit = f"{low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
            raise UsageError(f"{name} is {shown}: {'one or more numbers, each' if isinstance(given, Sequence) else 'it must be'} {limit}")


def _parts(given: Any) -> list[Any]:
    return [part for item in given for part in _parts(item)] if isinstance(given, Sequence) and not isinstance(given, str) else [given]


@runtime_checkable
class ControlledStudy(Protocol):
    """A frozen dataclass whose fields are the study's settings, seeds among them."""

    def run(self, say: Say) -> Findings:
        """Run the study; the same settings give the same findings. say: takes progress lines."""
