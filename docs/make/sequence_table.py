"""Table of sequences: success, transfer and retention after one policy has learned several tasks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from razorbench.reports.tables import Table, Value
from razorbench.statistics.suite_score import Alone
from razorbench.statistics.verdicts import student
from razorbench.store.estimate import Estimate, Undefined
from razorbench.store.reading import read_sequence
from razorbench.store.sequence_record import SequenceRecord
from razorbench.store.walk import readable, walk

_TRANSFER = {"average_performance": "final success", "forgetting": "forgetting", "backward_transfer": "BWT", "forward_transfer": "FWT"}


def sequences(results: Path, wanted: Collection[str | None]) -> Table:
    """Return a table with a row for every sequence, method and choice of styles in a folder: means over seeds with 95% Student intervals.

    wanted: hashes of the sequences to count; they may not differ in other settings.
    """
    groups: dict[tuple[str, str, str], list[SequenceRecord]] = {}
    for _, record in readable(walk(results).sequences, read_sequence):
        if record.hashes.run in wanted:
            groups.setdefault((record.sequence, record.method.name, ", ".join(dict.fromkeys(record.method.demos))), []).append(record)
    rows: list[Sequence[Value]] = [
        [
            *key,
            len(records),
            *(_mean([record.transfer[name] for record in records]) for name in _TRANSFER),
            _mean([record.retention[-1] for record in records]),
        ]
        for key, records in sorted(groups.items())
    ]
    columns = ("sequence", "method", "demonstrations", "seeds", *_TRANSFER.values(), "retention of original skills")
    return Table("sequences", "Task sequences", columns, rows, "Means over seeds with 95% Student intervals; docs/measures.md has the formulas.")


def _mean(estimates: Sequence[Estimate | Undefined]) -> Value:
    values = [each.value for each in estimates if isinstance(each, Estimate)]
    if not values:
        return estimates[0]
    found = student(values)
    return Alone(values[0], "one run") if found is None else found
