"""All fits of the law for a page, for one set of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from razorbench.statistics.finished_runs import CEILING, HEADLINE, Snapshots
from razorbench.statistics.law import Law, Points, intervals, law, laws
from razorbench.statistics.law.paper import WithinCells, near_frontier, within_cells
from razorbench.statistics.law.questions import Questions
from razorbench.statistics.law.resampling import Over
from razorbench.store.estimate import Estimate

WITHIN = (HEADLINE, "activations, L1, new task", "forward KL, old tasks", "actions moved, old tasks")
"""Predictors under the paper's protocol: its own, the best of its other predictors here, and two ceilings."""
ALL, FINAL, FILTERED, FILTERED_FINAL = "all snapshots", "final policies", "all snapshots near the frontier", "final policies near the frontier"


@dataclass(frozen=True)
class Fits:
    """Fits of one set of runs.

    points: by predictor; notes: predictors that are not comparable, and why; pooled: the law of each over all runs. subsets: the headline's law by subset
    of methods, or why there is none; over: intervals of the headline and of the best ceiling (`best`), by unit of resampling; within: the paper's
    protocol, by predictor of `WITHIN` and kind (`ALL`, `FINAL`, `FILTERED`, `FILTERED_FINAL`), None if there are too few cells.
    """

    points: Mapping[str, Points]
    notes: Sequence[str]
    pooled: Mapping[str, Law]
    subsets: Mapping[str, Law | str]
    over: Mapping[str, Mapping[Over, Mapping[str, Estimate | None]]]
    within: Mapping[tuple[str, str], WithinCells | None]


def fits(measured: Snapshots, questions: Questions) -> Fits | str:
    """Return all fits to snapshots, or why there are none: no headline predictor, or too few runs (`Points.too_few`)."""
    points, notes = comparable({name: measured.points(name) for name in measured.x})
    if HEADLINE not in points:
        return f"no snapshot after the first update has {HEADLINE}"
    head = points[HEADLINE]
    few = head.too_few()
    if few is not None:
        return few
    pooled = laws(points, HEADLINE)
    parts = {name: head.of(runs) for name, runs in questions.subsets(head).items()} | {FINAL: measured.points(HEADLINE, measured.last)}
    named = [HEADLINE, *([best(pooled)] if any(name in CEILING for name in pooled) else [])]
    # A second thread slows down such small matrices.
    with threadpool_limits(1):
        return Fits(
            points,
            notes,
            pooled,
            {name: part.too_few() or law(part) for name, part in parts.items()},
            {name: intervals(points[name]) for name in named},
            _within(measured, [name for name in WITHIN if name in points], questions),
        )


def comparable(points: Mapping[str, Points]) -> tuple[dict[str, Points], list[str]]:
    """Return the predictors that were measured in all runs with the headline's, and sentences about the others."""
    runs = len(points[HEADLINE].arm)
    complete = {name: own for name, own in points.items() if len(own.arm) == runs > 0}
    partly = [f"{name} (in {len(own.arm)})" for name, own in points.items() if name not in complete and len(own.arm)]
    never = [name for name, own in points.items() if not len(own.arm)]
    notes = [f"Omitted, because these runs do not measure them: {'; '.join(never)}."] if never else []
    notes += [f"Omitted, because only some of the {runs} runs measure them: {'; '.join(partly)}."] if partly else []
    return complete, notes


def best(pooled: Mapping[str, Law]) -> str:
    """Return the ceiling with the highest R2 on a held-out family."""
    return max((name for name in pooled if name in CEILING), key=lambda name: left_out(pooled[name]))


def left_out(law: Law) -> float:
    """Return the R2 on a held-out family, minus infinity if it is undefined."""
    return -np.inf if law.family_left_out is None else law.family_left_out.value


def _within(measured: Snapshots, names: Sequence[str], questions: Questions) -> dict[tuple[str, str], WithinCells | None]:
    cells: dict[tuple[str, str], WithinCells | None] = {}
    for name in names:
        for kind, last in ((ALL, np.ones(len(measured.run), dtype=bool)), (FINAL, measured.last)):
            points = measured.points(name, last)
            papers = questions.of_the_paper(points)
            keep = last & np.isfinite(measured.x[name])
            success_and_retention = measured.kept[keep][papers[points.run]]
            points = points.of(papers)
            cells[name, kind] = within_cells(points)
            if name == HEADLINE:
                filtered = {ALL: FILTERED, FINAL: FILTERED_FINAL}[kind]
                cells[name, filtered] = within_cells(near_frontier(points, success_and_retention))
    return cells
