"""Writes the tables of declared searches and of ablations: `python docs/make/search_tables.py STUDY PAGE FILE [RESULTS]`."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from readme import section

from razorbench.registry.config import registry
from razorbench.reports.tables import markdown
from razorbench.statistics.search import Choice, Study, describe, ranking, recorded, runs, value_text
from razorbench.store import bounded
from razorbench.store.estimate import Estimate
from razorbench.store.folder import content
from razorbench.store.output import in_a_sentence
from razorbench.store.reading import checked_run
from razorbench.store.record import Record
from razorbench.store.walk import read_records


def table(study: Study, records: Sequence[Record], methods: Mapping[str, Any]) -> str:
    """Return the outcome of a search as a Markdown table. methods: with their defaults, which win a tie."""
    rows = []
    for method in study.grids:
        best, *rest = chosen_first(ranking(study, method, records), methods[method])
        others = ", ".join(f"{choice.score:.2f}" for choice in rest)
        figures = [f"{value:.2f}" for value in (best.score, best.success, best.retention, best.forward_kl)]
        rows.append([f"`{method}`", study.tried(method), describe(best.settings), *figures, others])
    return markdown(["method", "values tried", "chosen", "score", "success", "retention", "forward KL", "other scores"], rows)


def chosen_first(choices: list[Choice], defaults: Any) -> list[Choice]:
    """Return a ranking that begins with the defaults if no configuration has a better score."""
    return sorted(choices, key=lambda choice: (-choice.score, any(getattr(defaults, key) != value for key, value in choice.settings.items())))


def ablations(study: Study, records: Sequence[Record]) -> str:
    """Return a study's ablation of every method, with its name if there are several methods."""
    several = len(study.grids) > 1
    return "\n\n".join((f"`{method}`:\n\n" if several else "") + effects(study, method, records) for method in study.grids)


def effects(study: Study, method: str, records: Sequence[Record]) -> str:
    """Return an ablation of one method as a Markdown table: success, retention and new-task forward KL of each configuration on each task."""
    configurations = study.configurations(method)
    keys = list(configurations[0])
    rows = []
    for settings in configurations:
        cells = [value_text(settings[key]) for key in keys]
        for task in study.tasks:
            run = recorded(study, method, task, settings, records)
            found = (None if run.new_task.select is None else run.new_task.select.estimate, run.retention)
            # Rates of whole episodes: two decimals, however small.
            cells += [*(each.text(decimals=2) if isinstance(each, Estimate) else "undefined" for each in found), f"{run.forward_kl:.1f}"]
        rows.append(cells)
    columns = [column for task in study.tasks for column in (f"`{task}`: success", "retention", "forward KL")]
    return markdown([*(f"`{key}`" for key in keys), *columns], rows)


def save(records: Sequence[Record], path: Path) -> None:
    """Write records as gzipped JSON lines; equal records give equal bytes."""
    path.write_bytes(gzip.compress("".join(json.dumps(record.plain()) + "\n" for record in records).encode(), mtime=0))


def load(path: Path) -> list[Record]:
    """Read a file of `save`. Raises FileDamaged if it cannot be read."""
    return [checked_run(path, line) for line in bounded.parsed_lines(bounded.text(content(path)))]


def main() -> None:
    """Rewrite a study's table on the page and, given results, its file of records first."""
    name, page, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    with registry() as registered:
        study = registered.item("study", name)
        methods = {method: registered.item("method", method) for method in study.grids}
    if sys.argv[4:]:
        save(runs(study, read_records(Path(sys.argv[4]))), file)
    records = load(file)
    tables = table(study, records, methods) if name == "tuning" else ablations(study, records)
    page.write_text(section(page.read_text(encoding="utf-8"), name, tables), encoding="utf-8")


if __name__ == "__main__":
    in_a_sentence(main)
