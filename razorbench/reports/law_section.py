"""The law and its rivals: forgetting against each predictor, in tables and figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from razorbench.reports import law_tables
from razorbench.reports.changes import counter_examples, design_and_test, leak
from razorbench.reports.content import Block, Folded, Gallery, Material, Section
from razorbench.reports.drawing import INK, Picture, canvas, cloud, picture, powers
from razorbench.reports.law_fits import Fits, left_out
from razorbench.reports.tables import Table, slug
from razorbench.statistics.finished_runs import HEADLINE, PREDICTORS, Snapshots
from razorbench.statistics.law import Law, Points, Saturating, resamples
from razorbench.statistics.law.questions import Questions
from razorbench.types import FloatArray

BAND = 200
"""Resamples of a curve's band, which is only drawn."""
TAIL = 30.0
"""Ratio of a predictor's maximum to its median above which its axis is symmetric-logarithmic."""
FIRST = 6
"""Number of rivals, by R2, whose figures are not folded."""
_UNITS = {
    "divergence.kl_forward.new_episode_sum": "nats per episode",
    "divergence.kl": "nats per decision",
    "divergence.js": "nats per decision",
    "divergence.tv": "0 to 1",
    "divergence.moved": "share of states",
    "divergence.w2": "action units",
    "divergence.action_mse": "action units, squared",
    "drift.weights.changed": "share",
    "drift.weights.rank": "rank",
    "drift.weights.fisher": "nats, twice",
    "drift.weights": "parameter units",
    "drift.activations": "see docs",
}


def predicting(material: Material, measured: Snapshots, fitted: Fits | str, questions: Questions) -> Section:
    """Return the section of the law. measured: the runs' snapshots; fitted: their fits, or why there are none."""
    sets, runs = {"these runs": fitted}, {"these runs": material.runs}
    text = [
        "Does a policy's distance from its base predict how much it forgot? There are three questions. Does the paper's own protocol replicate? Does a fit "
        "generalize to an unseen run, task or family? How high is the ceiling, the R2 of the same measure on old-task states? Each dot is a snapshot after the "
        "first update, and each run has a total weight of 1. The line is A (1 - exp(-(B K)^C)), the same form for every predictor, with its 95% band over "
        "tasks and arms.",
    ]
    curves = {} if isinstance(fitted, str) else {"these runs": fitted.pooled[HEADLINE].curve}
    pairs = [leak(runs), counter_examples(runs, questions.examples, curves), design_and_test(runs, questions.found)]
    compared = [table for table in pairs if table.rows]
    if isinstance(fitted, str):
        return Section("The law", [*text, f"Undefined: {fitted}."], compared)
    ranked = sorted(fitted.pooled, key=lambda name: (name != HEADLINE, -left_out(fitted.pooled[name]), name))
    numbers = _snapshots(measured, ranked)
    drawn = [_scatter(material, name, fitted.points[name], fitted.pooled[name], numbers) for name in ranked]
    blocks: list[Block] = [
        Gallery(drawn[:1]),
        law_tables.papers_protocol(sets),
        law_tables.carries_over(sets),
        law_tables.resampled(sets),
        law_tables.rivals(sets),
        law_tables.ceiling(sets),
        *compared,
        law_tables.residuals(fitted),
        Gallery(drawn[1 : 1 + FIRST]),
    ]
    if drawn[1 + FIRST :]:
        blocks.append(Folded(f"Figures for {len(drawn) - 1 - FIRST} more predictors", [Gallery(drawn[1 + FIRST :])]))
    return Section("The law", text, blocks)


def _snapshots(measured: Snapshots, predictors: Sequence[str]) -> Table:
    """Return the data of all figures of the law in one table."""
    columns = zip(measured.run, measured.update, measured.y, *(measured.x[name] for name in predictors), strict=True)
    rows = [
        (run.task, run.arm, run.family, run.seed, int(update), *map(float, rest))
        for run, update, rest in ((measured.runs[k], update, rest) for k, update, *rest in columns)
    ]
    return Table("law", "Snapshots", ("task", "arm", "family", "seed", "update", "forgetting", *predictors), rows)


def unit(predictor: str) -> str:
    """Return a predictor's unit."""
    path = PREDICTORS[predictor]
    return next(name for start, name in _UNITS.items() if path.startswith(start))


def _scatter(material: Material, predictor: str, points: Points, law: Law, numbers: Table) -> Picture:
    figure, axes = canvas(3.5)
    # Fixed margins: a layout for each of dozens of similar figures takes seconds.
    figure.set_layout_engine("none")
    figure.subplots_adjust(0.11, 0.14, 0.97, 0.97)
    cloud(axes, points.x, points.y, [material.looks[points.arm[k]].colour for k in points.run], markersize=2.2, alpha=0.5)
    most = points.x.max() or 1.0  # where no policy moved
    at = np.unique(np.concatenate([[0.0], np.geomspace(max(most * 1e-4, 1e-300), most, 160), np.linspace(0, most, 160)]))
    axes.fill_between(at, *band(points, at), color="#8a9099", alpha=0.35, linewidth=0)
    axes.plot(at, law.curve(at), color=INK, linewidth=1.6)
    if points.x.max() > TAIL * max(float(np.median(points.x)), 1e-300):
        positive = points.x[points.x > 0]
        axes.set_xscale("symlog", linthresh=10.0 ** np.floor(np.log10(np.quantile(positive, 0.1))))
        powers(axes.xaxis)
    axes.set(xlabel=f"{predictor}, {unit(predictor)}", ylabel="forgetting", ylim=(min(-0.05, float(points.y.min()) - 0.02), 1.05))
    shown = "R2 undefined" if law.r2 is None else f"R2 {law.r2}"
    note = f"{shown}; {law.runs} runs, {law.snapshots:,} snapshots."
    return picture(figure, slug("law", predictor), f"Forgetting against {predictor}", note, numbers)


def band(points: Points, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the 95% band of the curve over tasks and arms drawn with replacement. at: predictors (M,); returns lower and upper ends, (M,) each."""
    fit = Saturating(points)
    curves = fit.at(at, fit.best(resamples(points, number=BAND)))
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    return low, high
