"""Figures of the parity study. A method has the same color in all of them, from the color-blind-safe palette of Okabe and Ito."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from razorbench.reports.canvas import style
from razorbench.studies.findings import Row
from razorbench.studies.parity.law import Fit, Sweep, matched, over_bases, rising
from razorbench.studies.parity.methods import METHODS
from razorbench.types import FloatArray

COLOURS = dict(zip(METHODS, ("#009E73", "#56B4E9", "#0072B2", "#CC79A7", "#E69F00", "#D55E00"), strict=True))
_STYLE: Any = {"font.size": 11, "svg.hashsalt": "parity", "text.parse_math": True}
_DARK, _PALE = "#4a5568", "#cbd5e0"


def figures(sweep: Sweep, law: Fit | None, tables: Mapping[str, Sequence[Row]]) -> dict[str, Figure]:
    """Return `tradeoff`, `rivals` and `matched`."""
    with style(_STYLE):
        return {"tradeoff": _tradeoff(sweep, law), "rivals": _rivals(tables["rivals"]), "matched": _matched(tables["matched"])}


def _tradeoff(sweep: Sweep, law: Fit | None) -> Figure:
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _scatter(left, sweep, "parity", "old")
    targets = np.linspace(sweep.base["select_parity"].max() + 1e-6, 1, 40)  # where every base has something to learn
    retained = np.array([matched(sweep, float(target))["old"].mean(axis=0) for target in targets])
    for method, title, line in zip(METHODS, METHODS.values(), retained.T, strict=True):
        left.plot(targets, line, color=COLOURS[method], linewidth=2.4, label=title)
    left.set(xlabel="parity accuracy, new task", ylabel="accuracy at the old task", title="Lines: retained on reaching a parity accuracy, mean over bases")
    left.set_xlim(float(np.percentile(sweep.values["parity"], 0.1)) - 0.01, float(sweep.values["parity"].max()) + 0.01)
    _scatter(right, sweep, "kl_forward_new", "forgetting")
    if law:
        _curves(right, sweep.values["kl_forward_new"], sweep.values["forgetting"], law)
    right.set(xlabel="forward KL on the new task, nats", ylabel="forgetting", title="Every checkpoint of every run")
    handles = left.get_legend_handles_labels()[0] + right.get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _scatter(axes: Axes, sweep: Sweep, x: str, y: str) -> None:
    """Draw all points in random order, so that no method hides another."""
    shape = sweep.values[x].shape
    method = np.broadcast_to(np.arange(shape[1])[:, None, None], shape).ravel()
    order = np.random.default_rng(0).permutation(method.size)
    colours = np.array([COLOURS[name] for name in sweep.methods])[method[order]]
    axes.scatter(sweep.values[x].ravel()[order], sweep.values[y].ravel()[order], c=colours, s=5, alpha=0.3, linewidths=0, rasterized=True)


def _curves(axes: Axes, kl: FloatArray, forgetting: FloatArray, law: Fit) -> None:
    at = np.concatenate([[0.0], np.geomspace(1e-3, kl.max(), 500)])
    within = over_bases(law.monotone)
    rising_label = "rising step function" + (f", $R^2$ = {within.value:.2f} within a base" if within else "")
    axes.plot(at, np.polynomial.Polynomial(law.coefficients)(at), color="black", linewidth=1.8, label=f"parabola, $R^2$ = {law.r2.value:.2f}")
    axes.plot(at, rising(kl, forgetting, at), color="black", linewidth=1.8, linestyle=":", label=rising_label)
    axes.set_xscale("symlog", linthresh=0.1, linscale=0.5)
    axes.set_xticks(ticks := [tick for tick in (0, 0.1, 0.3, 1, 3, 10, 30, 100) if tick <= kl.max()], [f"{tick:g}" for tick in ticks])
    axes.set(xlim=(-0.01, float(kl.max()) * 1.1), ylim=(float(forgetting.min()) - 0.03, float(forgetting.max()) + 0.08))


def _rivals(rows: Sequence[Row]) -> Figure:
    figure = Figure(figsize=(10.5, 8.2), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(rows))[::-1]
    shapes: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("r2", "parabola, interval over runs", {"marker": "o", "color": COLOURS["grpo"]}),
        ("rising_r2", "rising, within a base", {"marker": "s", "color": COLOURS["sft_2"]}),
        ("rising_r2_unseen", "rising, method not seen", {"marker": "^", "color": COLOURS["oracle"]}),
    )
    for offset, (name, label, look) in zip((0.24, 0.0, -0.24), shapes, strict=True):
        value, low, high = (np.array([np.nan if row[key] is None else row[key] for row in rows], dtype=float) for key in (name, f"{name}_low", f"{name}_high"))
        axes.errorbar(value, place + offset, xerr=[value - low, high - value], linestyle="none", markersize=5, elinewidth=1.4, label=label, **look)
    paper = [np.nan if row["paper_r2"] is None else row["paper_r2"] for row in rows]
    axes.scatter(paper, place + 0.24, marker="D", s=46, facecolors="none", edgecolors="black", label="the paper's table 1", zorder=3)
    axes.set_yticks(place, [row["predictor"] + f", {row['inputs']}" * bool(row["inputs"]) for row in rows])
    axes.hlines(place[:-1] - 0.5, 0, 1, color=_PALE, linewidth=0.6)
    axes.set(xlabel="$R^2$ of forgetting", xlim=(0, 1.02), ylim=(-0.6, len(rows) - 0.4), title="What forgetting follows")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def _matched(rows: Sequence[Row]) -> Figure:
    targets = sorted({row["target"] for row in rows})
    figure = Figure(figsize=(4.2 * len(targets), 4.4), layout="constrained")
    panels = figure.subplots(1, len(targets), sharey=True, squeeze=False)[0]
    colours = {METHODS[method]: colour for method, colour in COLOURS.items()}
    for axes, target in zip(panels, targets, strict=True):
        shown = [row for row in rows if row["target"] == target]
        for place, row in enumerate(reversed(shown)):
            if row["old"] is None:
                axes.text(0.02, place, "undefined", va="center", color=_DARK, transform=axes.get_yaxis_transform())
                continue
            error = [[row["old"] - row["old_low"]], [row["old_high"] - row["old"]]]
            axes.errorbar(row["old"], place, xerr=error, marker="o", markersize=7, elinewidth=2, capsize=3, color=colours[row["method"]])
        axes.set_yticks(range(len(shown)), [f"{row['method']}" for row in reversed(shown)])
        axes.grid(axis="x", color=_PALE, linewidth=0.6)
        axes.set(xlim=(0, 1), xlabel="accuracy at the old task", title=f"parity accuracy {target:g}")
    figure.suptitle("Old-task accuracy at the same new-task accuracy, mean over bases with 95% interval", fontsize=12)
    return figure
