"""The board's pictures over all entries of a suite: learning against retention, and the law at their final policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from razorbench.reports.drawing import Picture, canvas, cloud, labels, picture, powers, unit_square
from razorbench.reports.looks import HUES, LINES, SIGNS, Look
from razorbench.reports.tables import Table, Value, slug
from razorbench.statistics.finished_runs import final_points
from razorbench.statistics.law import law as fitted
from razorbench.statistics.pareto import frontier, stairs
from razorbench.store.estimate import Estimate, Undefined, between
from razorbench.submissions.board import Entry

NAMED = 25
"""Largest number of entries with all names in a picture; above it only those on the frontier are named."""


def pareto(suite: str, entries: Sequence[Entry]) -> Picture:
    """Draw success on the new task against retention, for each entry a full sign at best and a hollow one at the end."""
    shown = {name: (entry, *pair) for name, entry in _named(entries) if (pair := _pair(entry)) is not None}
    figure, axes = canvas(4.4)
    unit_square(axes, "success on the new task", "retention of original skills")
    looks = _looks(list(shown))
    points = np.array([(x.value, y.value) for _, x, y in shown.values()]).reshape(-1, 2)
    best = frontier(points) if len(points) else np.zeros(0, dtype=bool)
    for name, (entry, x, y) in shown.items():
        colour = looks[name].colour
        if (best_there := _best(entry)) is not None:
            axes.plot([best_there[0].value, x.value], [best_there[1].value, y.value], color=colour, linewidth=0.9)
            axes.plot(best_there[0].value, best_there[1].value, linestyle="", markersize=6, **looks[name].marker)
        axes.plot(x.value, y.value, linestyle="", markersize=4, **(looks[name].marker | {"markerfacecolor": "white"}))
    if len(points):
        axes.step(*stairs(points), where="pre", color="#8a9099", linewidth=1.2)
    few = len(shown) <= NAMED
    labels(axes, {name: (x.value, y.value) for k, (name, (_, x, y)) in enumerate(shown.items()) if few or best[k]}, looks)
    rows: list[Sequence[Value]] = [
        (entry.submission.name, entry.digest[:12], entry.submission.method, *(_best(entry) or [Undefined("no curve")] * 2), x, y)
        for entry, x, y in shown.values()
    ]
    title = f"Learning against keeping, {suite}"
    note = (
        "Means over tasks of the means over seeds. Full signs: at best SELECT success, by the entry's curve, so declared unless it was retrained; hollow "
        "ones: at the end. Their 95% Student intervals over tasks stand in the CSV. The grey line is the frontier of the ends, all tracks together."
    )
    note += "" if few else " Only entries on it are named."
    columns = (
        "entry",
        "package",
        "method",
        "success at best, declared unless retrained",
        "retention at best, declared unless retrained",
        "success at end",
        "retention at end",
    )
    return picture(figure, slug("learning", suite), title, note, Table(slug("learning", suite), title, columns, rows))


def law(suite: str, entries: Sequence[Entry]) -> Picture:
    """Draw forgetting against forward KL, a dot for each final policy, with the fitted curve if there are enough runs."""
    named = dict(_named([entry for entry in entries if entry.runs]))
    owner = [name for name, entry in named.items() for run in entry.runs if any(point.update > 0 for point in run.curve)]
    points = replace(final_points([run for entry in named.values() for run in entry.runs]), arm=owner)
    looks = _looks(list(named))
    figure, axes = canvas(3.8)
    cloud(axes, points.x, points.y, [looks[name].colour for name in owner], markersize=3.2, alpha=0.7)
    note = "A dot is a run's final policy, in its entry's colour. "
    few = points.too_few()
    if few is not None:
        note += f"No fit: {few}."
    else:
        fit = fitted(points)
        grid = np.linspace(0.0, float(points.x.max()), 200)
        axes.plot(grid, fit.curve(grid), color="#8a9099", linewidth=1.2)
        r2 = "undefined" if fit.r2 is None else f"{fit.r2.value:.2f} (95% {between(fit.r2.low, fit.r2.high)} over tasks and arms)"
        note += f"The line is the fit A (1 - exp(-(B K)^C)); its R2 is {r2}, over {fit.runs} runs."
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set(xlabel="forward KL on the new task, nats per decision", ylabel="forgetting", xlim=(0, None))
    powers(axes.xaxis)
    if len(named) <= NAMED:
        middle = {name: [k for k, own in enumerate(owner) if own == name] for name in named}
        labels(axes, {name: (float(np.mean(points.x[k])), float(np.mean(points.y[k]))) for name, k in middle.items() if k}, looks)
    rows: list[Sequence[Value]] = [
        (name, task, float(x), float(y)) for name, task, x, y in zip(owner, (points.task[k] for k in points.run), points.x, points.y, strict=True)
    ]
    title = f"The law at final policies, {suite}"
    return picture(figure, slug("law", suite), title, note, Table(slug("law", suite), title, ("entry", "task", "forward KL", "forgetting"), rows))


def _best(entry: Entry) -> tuple[Estimate, Estimate] | None:
    """Return success and retention at best of a valid entry with curves, else None."""
    x, y = (entry.suite(f"{name}@best") for name in ("success", "retention"))
    return None if x is None or y is None else (x, y)


def _pair(entry: Entry) -> tuple[Estimate, Estimate] | None:
    """Return success and retention at the end of a valid entry that has both, else None."""
    x, y = (entry.end(name) for name in ("success", "retention"))
    return (x, y) if entry.runs and x is not None and y is not None else None


def _named(entries: Sequence[Entry]) -> list[tuple[str, Entry]]:
    """Return the entries with distinct names."""
    names = [entry.submission.name for entry in entries]
    return [(name if names.count(name) == 1 else f"{name} {entry.digest[:6]}", entry) for name, entry in zip(names, entries, strict=True)]


def _looks(names: Sequence[str]) -> dict[str, Look]:
    return {name: Look(HUES[k % len(HUES)], SIGNS[k // len(HUES) % len(SIGNS)], LINES[0], 0.6) for k, name in enumerate(names)}
