"""Tables of the report, or their most important columns, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from razorbench.compare import MEASURES
from razorbench.law import Law
from razorbench.reporting.material import Material
from razorbench.reporting.predicting import rivals
from razorbench.reporting.tables import Table, Value
from razorbench.results import HEADLINE
from razorbench.suite import Undefined

LEVEL = 0.9
"""Success at which retention is told."""
_SCORES = ("predictor", "R2", "R2, family left out", "R2, task left out", "R2, isotonic", "Spearman")


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    rows = [[cell.text.replace("|", "\\|") for cell in row] for row in table.cells()]
    return "\n".join("| " + " | ".join(row) + " |" for row in [[*table.columns], ["---"] * len(table.columns), *rows])


def methods(material: Material, scores: Table) -> str:
    """Return the most important columns of the arms' table `scores`, and what is kept at a matched success."""
    columns = ("arm", "score", "success", "retention", "forward KL, nats per decision", "runs")
    rows = []
    for arm, score, success, retention, kl, runs in _chosen(scores, columns).rows:
        crossed = material.suite(str(arm), MEASURES[f"retention@{LEVEL:g}"])
        value = Undefined("not reached") if isinstance(crossed.value, Undefined) else crossed.value
        rows.append((arm, score, success, retention, value, kl, f"{crossed.runs} of {runs}"))
    return markdown(Table("first", "Methods", (*columns[:4], f"retention at success {LEVEL:g}", columns[4], "runs that have it"), rows))


def _chosen(table: Table, columns: Sequence[str]) -> Table:
    """Return a table's columns of these names."""
    at = [list(table.columns).index(name) for name in columns]
    return Table(table.name, table.title, columns, [[row[k] for k in at] for row in table.rows], table.note)


def predictors(found: Mapping[str, Law], notes: Sequence[str] = (), most: int = 10) -> list[str]:
    """Return tables of the headline's best rivals, and of the best of those that need nothing of the old tasks, with what they mean."""
    ranked = sorted(found, key=lambda name: (name != HEADLINE, -_left_out(found[name])))[1:]
    bare = [name for name in ranked if "old tasks" not in name]
    table, without = (rivals("rivals", "Rivals", found, [HEADLINE, *names[:most]], notes) for names in (ranked, bare))
    return [
        f"The best {most} of {len(found)}, by a family left out:",
        markdown(_chosen(table, _SCORES)),
        "Those that need nothing of the old tasks but their instructions:",
        markdown(_chosen(without, _SCORES)),
        table.note,
    ]


def best(found: Mapping[str, Law]) -> str:
    """Return the rival that does best where a family was left out."""
    return max((name for name in found if name != HEADLINE), key=lambda name: _left_out(found[name]))


def _left_out(found: Law) -> float:
    """Return R2 on a family left out, minus infinity where it is undefined."""
    return -np.inf if found.family_left_out is None else found.family_left_out.value


def r2(found: Law | None) -> Value:
    """Return in-sample R2 as a table has it."""
    return Undefined("too few runs") if found is None else Undefined("forgetting does not vary") if found.r2 is None else found.r2
