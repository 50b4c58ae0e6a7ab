"""The law and its rivals: forgetting against each predictor, as numbers and as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from razorbench.law import COARSE, Law, Points, Saturating, resamples
from razorbench.metrics import Estimate
from razorbench.reporting.drawing import INK, Picture, canvas, cloud, picture, powers
from razorbench.reporting.fits import FEWEST, Fits
from razorbench.reporting.material import Block, Folded, Gallery, Material, Section
from razorbench.reporting.tables import Table, Value, interval, plain, slug
from razorbench.results import HEADLINE, PREDICTORS, Snapshots
from razorbench.seeding import generator
from razorbench.suite import Undefined
from razorbench.types import FloatArray

BAND = 1000
"""Resamples of runs behind a fit's band."""
TAIL = 30.0
"""A predictor whose largest value is so many times its median is drawn on an axis that is logarithmic but around 0."""
FIRST = 6
"""Rivals whose figures are shown unfolded: those with the highest R2."""
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


def predicting(material: Material, measured: Snapshots, found: Fits | None) -> Section:
    """Return the section of the law. measured: the runs' snapshots; found: their fits."""
    text = [
        "Does a policy's distance from its base say how much it forgot? Each dot is a snapshot after the first update; every run weighs 1 in total. The line "
        "is the saturating fit A (1 - exp(-B K)), the band its 95% interval over runs drawn with replacement, the broken line the paper's quadratic.",
    ]
    if found is None:
        return Section("The law", [*text, f"Undefined: fewer than {FEWEST} runs here have snapshots with {HEADLINE}."], [])
    ranked = sorted(found.pooled, key=lambda name: (name != HEADLINE, -_r2(found.pooled[name]), name))
    numbers = _snapshots(measured, ranked)
    runs = len(found.points[HEADLINE].method)
    counts = resamples(runs, generator("report", "band"), BAND)
    drawn = [_scatter(material, name, found.points[name], counts, found.pooled[name], numbers) for name in ranked]
    blocks: list[Block] = [
        Gallery(drawn[:1]),
        _parts(found),
        residuals(found.pooled[HEADLINE]),
        rivals("rivals", "Rival predictors, all tasks", found.pooled, ranked, found.notes),
        Gallery(drawn[1 : 1 + FIRST]),
    ]
    if drawn[1 + FIRST :]:
        blocks.append(Folded(f"Figures of {len(drawn) - 1 - FIRST} more predictors", [Gallery(drawn[1 + FIRST :])]))
    if found.tasks:
        tables = [rivals(slug("rivals", task), f"Rival predictors, {plain(task)}", fitted, ranked) for task, fitted in found.tasks.items()]
        blocks.append(Folded(f"Rival predictors on each of {len(tables)} tasks", tables))
    return Section("The law", text, blocks)


def _snapshots(measured: Snapshots, predictors: Sequence[str]) -> Table:
    """What every figure of the law draws, in one table."""
    columns = zip(measured.run, measured.update, measured.y, *(measured.x[name] for name in predictors), strict=True)
    rows = [
        (run.task, run.arm, run.family, int(run.record["seed"]), int(update), *map(float, rest))
        for run, update, rest in ((measured.runs[k], update, rest) for k, update, *rest in columns)
    ]
    return Table("law", "Snapshots", ("task", "arm", "family", "seed", "update", "forgetting", *predictors), rows)


def _r2(found: Law) -> float:
    return -np.inf if found.r2 is None else found.r2.value


def _or(value: Estimate | float | None, why: str) -> Value:
    return Undefined(why) if value is None else value


_FLAT = "forgetting does not vary"


def _scores(found: Law) -> list[Value]:
    return [
        _or(found.r2, _FLAT),
        _or(found.family_left_out, "one family"),
        _or(found.task_left_out, "one task"),
        _or(found.quadratic_r2, _FLAT),
        _or(found.isotonic_r2, _FLAT),
        _or(found.spearman, "one of the two does not vary"),
        _or(found.ceiling, _FLAT),
    ]


_SCORES = ("R2", "R2, family left out", "R2, task left out", "R2, quadratic", "R2, isotonic", "Spearman", "noise ceiling of R2")
_SCORES_NOTE = (
    "R2 is in-sample and of the saturating fit; left out: every family (task) predicted from the others, and it may be negative. Brackets: 95% percentile "
    "interval over runs drawn with replacement. Isotonic R2, Spearman and the ceiling (what a perfect predictor would reach, forgetting being measured on "
    "finitely many episodes) describe these points and have no interval."
)


def _parts(found: Fits) -> Table:
    """The headline's law on all points, on some, and per task."""
    rows: list[Sequence[Value]] = [_law_row("all points", found.pooled[HEADLINE])]
    for name, each in (*found.parts.items(), *((task, fitted[HEADLINE]) for task, fitted in found.tasks.items())):
        few = [Undefined(f"fewer than {FEWEST} runs")] * (len(_SCORES) + 5)
        rows.append([name, *few] if each is None else _law_row(name, each))
    return Table(
        "headline_law",
        f"{HEADLINE[0].upper()}{HEADLINE[1:]}, as a predictor of forgetting",
        ("points", *_SCORES, "runs", "snapshots", "A", "B", "quadratic's top at"),
        rows,
        f"{_SCORES_NOTE} A and B have no interval of their own: they trade off, and the band shows both.",
    )


def _law_row(name: str, found: Law) -> Sequence[Value]:
    turnover = _or(found.turnover, "outside the data")
    return [name, *_scores(found), found.runs, found.snapshots, found.amplitude, found.rate, turnover]


def residuals(found: Law) -> Table:
    """Return the table of what every method forgets beside what its forward KL says."""
    rows: list[Sequence[Value]] = [(method, value) for method, value in sorted(found.residuals.items(), key=lambda item: item[1])]
    note = "Observed less predicted: below 0, a method forgets less than its forward KL says. No interval: the fit is to these very runs."
    return Table("residuals", "Mean residual of every method", ("method", "mean residual of forgetting"), rows, note)


def rivals(name: str, title: str, found: Mapping[str, Law], ranked: Sequence[str], notes: Sequence[str] = ()) -> Table:
    """Return the table of predictors. ranked: their order."""
    rows: list[Sequence[Value]] = []
    for predictor in ranked:
        each = found[predictor]
        leads = [_or(each.leads.get(score), "one family or no variation") for score in ("r2", "family_left_out")]
        rows.append([predictor, *_scores(each), *(leads if predictor != HEADLINE else ("itself", "itself"))])
    return Table(
        name,
        title,
        ("predictor", *_SCORES, f"R2 of {HEADLINE} less this", "the same, family left out"),
        rows,
        " ".join([_SCORES_NOTE, "Differences are taken on the same resamples; above 0, forward KL predicts better.", *notes]),
    )


def unit(predictor: str) -> str:
    """Return a predictor's unit."""
    path = PREDICTORS[predictor]
    return next(each for start, each in _UNITS.items() if path.startswith(start))


def _scatter(material: Material, predictor: str, points: Points, counts: FloatArray, found: Law, numbers: Table) -> Picture:
    figure, axes = canvas(3.5)
    # Fixed margins: to find them anew for dozens of figures that are alike takes seconds.
    figure.set_layout_engine("none")
    figure.subplots_adjust(0.11, 0.14, 0.97, 0.97)
    colour = {run.method: material.looks[run.arm].colour for run in material.runs}
    cloud(axes, points.x, points.y, [colour[points.method[k]] for k in points.run], markersize=2.2, alpha=0.5)
    at = np.geomspace(max(points.x.max() * 1e-4, 1e-300), points.x.max(), 160)
    at = np.unique(np.concatenate([[0.0], at, np.linspace(0, points.x.max(), 160)]))
    low, fit, high = band(points, counts, at, found)
    axes.fill_between(at, low, high, color="#8a9099", alpha=0.35, linewidth=0)
    axes.plot(at, fit, color=INK, linewidth=1.6)
    c0, c1, c2 = found.quadratic
    axes.plot(at, c0 + c1 * at + c2 * at**2, color="#8a9099", linewidth=1, linestyle="--")
    if points.x.max() > TAIL * max(float(np.median(points.x)), 1e-300):
        positive = points.x[points.x > 0]
        axes.set_xscale("symlog", linthresh=10.0 ** np.floor(np.log10(np.quantile(positive, 0.1))))
        powers(axes.xaxis)
    axes.set(xlabel=f"{predictor}, {unit(predictor)}", ylabel="forgetting", ylim=(min(-0.05, float(points.y.min()) - 0.02), 1.05))
    shown = "R2 undefined" if found.r2 is None else f"R2 {interval(found.r2)}"
    note = f"{shown}; {found.runs} runs, {found.snapshots:,} snapshots."
    return picture(figure, slug("law", predictor), f"Forgetting against {predictor}", note, numbers)


def band(points: Points, counts: FloatArray, at: FloatArray, found: Law) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the saturating fit and its 95% band over resamples of runs (B, R) at predictors (M,): lower end, fit, upper end, (M,) each."""
    fit = Saturating(points, COARSE)
    amplitude, best = fit.fit(fit.totals(counts))
    curves = amplitude[:, None] * -np.expm1(-fit.rates[best][:, None] * at)
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    return low, found.amplitude * -np.expm1(-found.rate * at), high
