"""The paper's own protocol (RL's Razor, arXiv 2509.04259, section 4): one fit per task and base policy, RL and SFT runs only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from razorbench import seeding
from razorbench.measures.success import RESAMPLES, percentile
from razorbench.statistics.law.curves import Saturating
from razorbench.statistics.law.points import FEWEST, Points
from razorbench.statistics.pareto import near
from razorbench.store.estimate import Estimate
from razorbench.types import FloatArray

REPORTED = {"ParityMNIST": 0.96, "language models": 0.71}
"""R2 of the parabola in the paper (table 1 and section 4), which gives none for its robot."""


@dataclass(frozen=True)
class WithinCells:
    """R2 within cells of one task and one base: 1 - (sum over cells of squared errors) / (sum over cells of squares about the cell's mean).

    cells, runs: number of cells fitted and of runs in them. Fits: a parabola, and the curve A (1 - exp(-(B K)^C)), in-sample, leave-one-run-out or
    leave-one-arm-out within the cell. parabola_mean: the mean of the cells' R2. Intervals resample cells.
    """

    cells: int
    runs: int
    parabola: Estimate
    parabola_mean: Estimate
    parabola_arm_left_out: Estimate
    curve: Estimate
    curve_run_left_out: Estimate
    curve_arm_left_out: Estimate


def within_cells(points: Points) -> WithinCells | None:
    """Fit every cell with at least 6 runs, two arms and varying forgetting; None if these cells have fewer than 3 tasks.

    Held-out predictions of a parabola are not clipped, as in the paper.
    """
    cells = [cell for cell in _cells(points) if len(cell.arm) >= FEWEST["runs"] and len(set(cell.arm)) > 1 and _spread(cell) > 1e-12]
    if len({cell.task[0] for cell in cells}) < FEWEST["tasks"]:
        return None
    spread = np.array([_spread(cell) for cell in cells])
    drawn = seeding.generator("law", "cells").multinomial(len(cells), np.full(len(cells), 1 / len(cells)), size=RESAMPLES)

    def pooled(errors: Sequence[float]) -> Estimate:
        return Estimate(float(1 - np.sum(errors) / spread.sum()), *percentile(1 - (drawn @ np.array(errors)) / (drawn @ spread)))

    parabolas = [_parabola_error(cell) for cell in cells]
    left_out = [sum(_parabola_error(cell, arm) for arm in set(cell.arm)) for cell in cells]
    curves, run_left_out, arm_left_out = zip(*map(_curve_errors, cells), strict=True)
    own = 1 - np.array(parabolas) / spread
    return WithinCells(
        cells=len(cells),
        runs=sum(len(cell.arm) for cell in cells),
        parabola=pooled(parabolas),
        parabola_mean=Estimate(float(own.mean()), *percentile(drawn @ own / len(cells))),
        parabola_arm_left_out=pooled(left_out),
        curve=pooled(curves),
        curve_run_left_out=pooled(run_left_out),
        curve_arm_left_out=pooled(arm_left_out),
    )


def near_frontier(points: Points, kept: FloatArray) -> Points:
    """Return the points that the paper keeps: in each cell, those within 0.02 of the frontier of kept (N, 2), success and retention."""
    keep, cell = np.zeros(len(points.x), dtype=bool), _labels(points)[points.run]
    for label in set(cell):
        mine = np.flatnonzero(cell == label)
        keep[mine] = near(kept[mine])
    return points.where(keep)


def parabola(x: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    """Return a, b, c of the weighted least-squares parabola a + b x + c x^2 through (x, y), (N,) each."""
    scale = float(np.abs(x).max()) or 1.0
    root = np.sqrt(weight)
    scaled: FloatArray = np.linalg.lstsq((x[:, None] / scale) ** np.arange(3) * root[:, None], y * root, rcond=None)[0]
    return scaled / scale ** np.arange(3)


def _cells(points: Points) -> list[Points]:
    labels = _labels(points)
    return [points.of(labels == label) for label in sorted(set(labels))]


def _labels(points: Points) -> NDArray[np.str_]:
    return np.array([f"{task}/{base}" for task, base in zip(points.task, points.base, strict=True)])


def _spread(cell: Points) -> float:
    return float(np.nan_to_num(cell.spread(np.ones(len(cell.arm)))))


def _parabola_error(cell: Points, left_out: str | None = None) -> float:
    """Return the sum of squared errors in a cell; if an arm is left out, its errors under the fit to the others."""
    arm, weight = np.array(cell.arm)[cell.run], cell.weight
    fitted = arm != left_out if left_out is not None else np.ones(len(arm), dtype=bool)
    predicted = ~fitted if left_out is not None else fitted
    powers = parabola(cell.x[fitted], cell.y[fitted], weight[fitted])
    return float((weight[predicted] * (cell.y[predicted] - cell.x[predicted, None] ** np.arange(3) @ powers) ** 2).sum())


def _curve_errors(cell: Points) -> tuple[float, float, float]:
    """Return the sums of squared errors of the curve in a cell: in-sample, leave-one-run-out, leave-one-arm-out."""
    fit = Saturating(cell, fine=True)
    inside, arm_left_out = fit.left_out(np.ones((1, len(cell.arm))), cell.arm)
    return float(inside[0]), fit.each_left_out(), float(arm_left_out[0])
