"""Tables of the law's three questions, for one or several sets of runs, from `fits`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from razorbench.reports.law_fits import ALL, FILTERED, FILTERED_FINAL, FINAL, WITHIN, Fits, left_out
from razorbench.reports.tables import Table, Value
from razorbench.statistics.finished_runs import CEILING, HEADLINE, PARTS
from razorbench.statistics.law import Law
from razorbench.statistics.law.paper import REPORTED, WithinCells
from razorbench.store.estimate import Estimate, Undefined

Sets = Mapping[str, Fits | str]
"""Fits by set of runs: the set of the original finding first, then independent sets. A string says why a set has no fit."""
_HOW = (
    "Held out: a fit to the other runs (tasks, families) predicts each run (task, family); R2 can be negative. Brackets are 95% intervals over tasks and arms, "
    "both drawn with replacement; the R2 on a held-out run has none."
)
_FLAT = "forgetting does not vary"
_OF_CELLS = {
    "parabola": (ALL, "parabola"),
    "parabola, mean of the cells' R2": (ALL, "parabola_mean"),
    "parabola, near the frontier": (FILTERED, "parabola"),
    "parabola, held-out arm": (ALL, "parabola_arm_left_out"),
    "curve": (ALL, "curve"),
    "curve, held-out run": (ALL, "curve_run_left_out"),
    "curve, held-out arm": (ALL, "curve_arm_left_out"),
}
_ENDS = {ALL: FINAL, FILTERED: FILTERED_FINAL}


def papers_protocol(sets: Sets) -> Table:
    """Return the first question's table: forward KL within cells of one task and one base, RL and SFT runs only."""
    rows: list[Sequence[Value]] = []
    for label, (kind, field) in _OF_CELLS.items():
        rows.append([label, *(_within(fits, HEADLINE, which, field) for fits in sets.values() for which in (kind, _ENDS[kind]))])
    for name in WITHIN[1:]:
        for label, field in (("parabola", "parabola"), ("curve, held-out arm", "curve_arm_left_out")):
            rows.append([f"{name}: {label}", *(_within(fits, name, which, field) for fits in sets.values() for which in (ALL, FINAL))])
    for label, field in (("cells", "cells"), ("runs", "runs")):
        rows.append([label, *(_within(fits, HEADLINE, which, field) for fits in sets.values() for which in (ALL, FINAL))])
    reported = " and ".join(f"{value:.2f} ({what})" for what, value in REPORTED.items())
    return Table(
        "law_within_cells",
        "One task, one base, RL and SFT runs: the paper's protocol",
        ("fit", *(f"{name}: {which}" for name in sets for which in (ALL, FINAL))),
        rows,
        f"R2 within cells of one task and one base: 1 - (sum of squared errors) / (sum of squares about the cell's mean). Brackets are 95% intervals over "
        f"cells. The paper reports an in-sample {reported} for its parabola, and no number for robots. Near the frontier: the paper's filter, which keeps the "
        "snapshots that no other snapshot beats by more than 2 points in both success and retention. A cell needs 6 runs of 2 arms.",
    )


def carries_over(sets: Sets) -> Table:
    """Return the second question's table: forward KL on held-out runs, tasks and families, with and without methods that protect old behavior."""
    rows: list[Sequence[Value]] = []
    for subset in next((fits.subsets for fits in sets.values() if isinstance(fits, Fits)), {}):
        for name, fits in sets.items():
            part = fits.subsets[subset] if isinstance(fits, Fits) else fits
            rows.append([subset, name, *_scores(part), *((part.runs, len(part.residuals)) if isinstance(part, Law) else ("", ""))])
    columns = ("methods", "set", "R2", "held-out run", "held-out task", "held-out family", "runs", "arms")
    return Table("law_carries_over", f"{_capital(HEADLINE)}: does the fit generalize?", columns, rows, _HOW)


def resampled(sets: Sets) -> Table:
    """Return the intervals of forward KL and of the best ceiling by unit of resampling."""
    rows: list[Sequence[Value]] = []
    for name, fits in sets.items():
        if isinstance(fits, str):
            continue
        for predictor, by_over in fits.over.items():
            for over, scores in by_over.items():
                rows.append([predictor, name, over, *(_or(scores[score], _FLAT) for score in ("r2", "family_left_out", "task_left_out"))])
    return Table(
        "law_intervals",
        "Intervals by resampled unit",
        ("predictor", "set", "resampled", "R2", "held-out family", "held-out task"),
        rows,
        "Quote the last row of each four: the sample of a statement about any method on any task is tasks and arms.",
    )


def rivals(sets: Sets) -> Table:
    """Return the table of predictors without old-task states: R2 on a held-out family, sorted by the first set, and the headline's lead."""
    return _predictors(sets, "law_rivals", "Predictors without old-task states", lambda name: name not in CEILING)


def ceiling(sets: Sets) -> Table:
    """Return the third question's table: predictors on old-task states."""
    table = _predictors(sets, "law_ceiling", "The ceiling: the same measures on old-task states", lambda name: name in CEILING)
    about = "These predictors use the states on which forgetting is measured. They are the mechanism, not rivals, and show how much a predictor could reach."
    return Table(table.name, table.title, table.columns, table.rows, f"{about} {table.note}")


def residuals(fits: Fits) -> Table:
    """Return the mean residual of every arm: its forgetting minus the pooled fit's prediction from forward KL."""
    rows: list[Sequence[Value]] = [(arm, value) for arm, value in sorted(fits.pooled[HEADLINE].residuals.items(), key=lambda item: item[1])]
    note = "Observed minus predicted forgetting; below 0, an arm forgets less than its forward KL predicts. No interval: the fit uses the same runs."
    return Table("residuals", "Mean residual of every arm", ("arm", "mean residual of forgetting"), rows, note)


def _predictors(sets: Sets, name: str, title: str, chosen: Callable[[str], bool]) -> Table:
    """Return the predictors' table, sorted by the first set's R2 on a held-out family; several sets show only this R2 and the headline's lead."""
    fitted = [fits for fits in sets.values() if isinstance(fits, Fits)]
    names = list(dict.fromkeys(predictor for fits in fitted for predictor in fits.pooled if chosen(predictor)))
    if fitted:
        names.sort(key=lambda predictor: -left_out(fitted[0].pooled[predictor]) if predictor in fitted[0].pooled else np.inf)
    alone = len(sets) == 1
    columns = (
        ("R2", "held-out family", "lead of forward KL, held-out family", "held-out task", "Spearman") if alone else ("held-out family", "lead of forward KL")
    )
    rows: list[Sequence[Value]] = [
        [_said(predictor), *(value for fits in sets.values() for value in _of_predictor(predictor, fits, alone))] for predictor in names
    ]
    notes = dict.fromkeys(note for fits in fitted for note in fits.notes)
    about = "Lead: R2 of forward KL on the new task minus R2 of this predictor, on the same resamples; above 0, forward KL predicts better."
    heads = columns if alone else [f"{of}: {column}" for of in sets for column in columns]
    return Table(name, title, ("predictor", *heads), rows, " ".join([_HOW, about, *notes]))


def _of_predictor(predictor: str, fits: Fits | str, alone: bool) -> list[Value]:
    law = fits if isinstance(fits, str) else fits.pooled.get(predictor, "not measured in every run")
    if isinstance(law, str):
        return [Undefined(law)] * (5 if alone else 2)
    lead: Value = "itself" if predictor == HEADLINE else _or(law.leads["family_left_out"], _FLAT)
    family = _or(law.family_left_out, _FLAT)
    if not alone:
        return [family, lead]
    return [_or(law.r2, _FLAT), family, lead, _or(law.task_left_out, _FLAT), _or(law.spearman, "one of the two does not vary")]


def _said(predictor: str) -> str:
    return f"{predictor} (part of forward KL)" if predictor in PARTS else predictor


def _scores(law: Law | str) -> list[Value]:
    if isinstance(law, str):
        return [Undefined(law)] * 4
    return [_or(score, _FLAT) for score in (law.r2, law.run_left_out, law.task_left_out, law.family_left_out)]


def _within(fits: Fits | str, name: str, kind: str, field: str) -> Value:
    cells: WithinCells | str | None = fits if isinstance(fits, str) else fits.within.get((name, kind))
    if isinstance(cells, WithinCells):
        value: Value = getattr(cells, field)
        return value
    return Undefined(cells or "fewer than 3 tasks with a cell of 6 runs")


def _or(value: Estimate | float | None, why: str) -> Value:
    return Undefined(why) if value is None else value


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
