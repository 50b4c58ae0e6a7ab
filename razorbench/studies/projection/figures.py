"""Figures of the projection study."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from razorbench.reports.run_pictures import BLUE, GREEN, GREY, ORANGE
from razorbench.studies.findings import Row
from razorbench.studies.projection import cases
from razorbench.studies.projection.bandits import Bandits, plain
from razorbench.studies.projection.cases import EM, FAMILIES, NATURAL, PLAIN, UPDATES
from razorbench.types import FloatArray

_STYLE: dict[str, dict[str, Any]] = {
    EM: {"color": GREEN, "marker": "o", "linestyle": "none", "markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.6},
    NATURAL: {"color": BLUE, "marker": "s", "linestyle": "-", "markersize": 4},
    PLAIN: {"color": ORANGE, "marker": "^", "linestyle": "--", "markersize": 5.5},
}


def paths() -> Figure:
    """Draw the paths of the three updates: on the worked tabular bandit, in the simplex of policies, and on the worked heads, in their square."""
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    tabular, heads = cases.worked_tabular(), cases.worked_heads()
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
    left.plot(*corners[[0, 1, 2, 0]].T, color=GREY, linewidth=1)
    _ways(left, tabular, lambda policy: policy[0] @ corners)
    for text, corner, offset in (("first answer, right", 0, (0, -14)), ("second answer, right", 1, (0, -14)), ("third answer, wrong", 2, (0, 8))):
        left.annotate(text, corners[corner], offset, textcoords="offset points", ha="center", va="center")
    left.set(aspect="equal", xlim=(-0.16, 1.16), ylim=(-0.08, 0.95), title="One categorical: a point is a policy, a corner an answer")
    left.set_axis_off()
    first, second = np.linspace(0.5, 1, 100), np.linspace(0, 0.8, 100)
    contours = right.contour(first, second, 1 - np.outer(second, 1 - first), levels=[0.7, 0.8, 0.9, 0.97], colors=GREY, linewidths=0.8)
    right.clabel(contours, fmt="J = %g", fontsize=9)
    _ways(right, heads, lambda policy: heads.moments(policy)[0, [0, 2]])
    right.set(xlim=(0.5, 1.03), ylim=(-0.04, 0.8), title="Two binary heads, three of four pairs right")
    right.set(xlabel="probability of the first head's first value", ylabel="probability of the second head's first value")
    right.spines[["top", "right"]].set_visible(False)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    return figure


def _ways(axes: Any, bandits: Bandits, place: Any) -> None:
    """Draw every update's path. place: maps a policy (1, Y) to a point of the figure (2,)."""
    failures = float(bandits.failure(bandits.base)[0]) * np.geomspace(1, 1e-6, 40)[1:]
    for update, way in ((NATURAL, bandits.natural), (PLAIN, plain)):
        points = np.array([place(policy) for policy in (bandits.base, *bandits.flow(way, failures.tolist()))])
        axes.plot(*points.T, **_STYLE[update] | {"marker": "", "linewidth": 2}, label=update)
    points = np.array([place(policy) for policy in islice(bandits.em(), 30)])
    axes.plot(*points.T, **_STYLE[EM], label=EM)
    axes.plot(*place(bandits.base), "o", markersize=9, color="black", label="base", zorder=4)
    axes.plot(*place(bandits.minimal()), "*", markersize=17, markerfacecolor="none", markeredgecolor="black", label="KL-minimal", zorder=4)


def along(distance: Sequence[Row]) -> Figure:
    """Draw the updates' distance from the minimal member as success grows, for the middle size of each family, with 95% intervals."""
    figure = Figure(figsize=(13, 4.3), layout="constrained")
    for axes, family in zip(figure.subplots(1, len(FAMILIES), sharey=True), FAMILIES, strict=True):
        sizes = _sizes(distance, family)
        size = sizes[len(sizes) // 2]
        for update in UPDATES:
            rows = [row for row in distance if (row["family"], row["size"], row["update"]) == (family, size, update) and row["off"] is not None]
            failure, value, low, high = (_column(rows, name) for name in ("failure", "off", "off_low", "off_high"))
            axes.plot(failure, value, **_STYLE[update], label=update)
            axes.fill_between(failure, low, high, color=_STYLE[update]["color"], alpha=0.18, linewidth=0)
        axes.set(xscale="log", xlabel="1 - J, share of wrong answers", title=f"{family}\n{size}")
        axes.title.set_fontsize(10.5)
        axes.invert_xaxis()
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylim(bottom=-0.02)
    figure.axes[0].set_ylabel("total variation from the KL-minimal\npolicy, given a right answer (0 to 1)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def ends(distance: Sequence[Row]) -> Figure:
    """Draw the updates' excess KL at the largest success, for each family and size, with 95% intervals."""
    last = min(row["failure"] for row in distance)
    places = [(family, size) for family in FAMILIES for size in _sizes(distance, family)]
    figure = Figure(figsize=(10, 1.6 + 0.45 * len(places)), layout="constrained")
    axes = figure.subplots()
    for shift, update in zip((0.2, 0.0, -0.2), UPDATES, strict=True):
        rows = [row for row in distance if row["update"] == update and row["failure"] == last and row["excess_kl"] is not None]
        heights = [places.index((row["family"], row["size"])) - shift for row in rows]
        value, low, high = (_column(rows, name) for name in ("excess_kl", "excess_kl_low", "excess_kl_high"))
        axes.errorbar(value, heights, xerr=[value - low, high - value], **_STYLE[update] | {"linestyle": "none"}, capsize=2.5, label=update)
    for height in range(1, len(places)):
        axes.axhline(height - 0.5, color="#e2e8f0", linewidth=0.8 if places[height][0] == places[height - 1][0] else 2.2)
    axes.axvline(0, color="black", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(places)), [f"{family}: {size}" for family, size in places])
    axes.set(ylim=(len(places) - 0.5, -0.5), xlabel=f"KL to the base beyond the KL-minimal policy's, nats, at 1 - J = {last:g}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _sizes(distance: Sequence[Row], family: str) -> list[str]:
    return list(dict.fromkeys(row["size"] for row in distance if row["family"] == family))


def _column(rows: Sequence[Row], name: str) -> FloatArray:
    return np.array([row[name] for row in rows], dtype=float)
