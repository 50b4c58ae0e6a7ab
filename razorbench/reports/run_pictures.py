"""Pictures of a run, drawn without a display."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from razorbench.reports.canvas import style
from razorbench.store.estimate import Estimate, Undefined
from razorbench.store.record import BeforeAfter, Record, Snapshot
from razorbench.store.sequence_record import SequenceRecord

BLUE, ORANGE, GREEN, GREY = "#2b6cb0", "#c05621", "#2f855a", "#a0aec0"


def summary(record: Record, curve: Sequence[Snapshot], path: Path) -> None:
    """Draw new success, retention and forward KL along the run, and success per skill before and after."""
    with style({"font.size": 11}):
        _summary(record, curve).savefig(path, dpi=130)


def _summary(record: Record, curve: Sequence[Snapshot]) -> Figure:
    figure = Figure((12.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    new = [point.new_task.test or point.new_task.select for point in curve]
    _band(left, curve, [None if rate is None else rate.estimate for rate in new], BLUE, "new task, success")
    _band(left, curve, [point.retention for point in curve], ORANGE, "retention of original skills")
    left.set(xlabel=f"update of {record.method.name}", ylabel="rate, with 95% interval", ylim=(-0.02, 1.08), title="Along the run")
    left.set_xscale("symlog", linthresh=1)
    left.set_xticks(ticks := _ticks(curve[-1].update), [str(tick) for tick in ticks])
    left.minorticks_off()
    divergence = left.twinx()
    divergence.spines["right"].set_visible(True)
    divergence.plot(_updates(curve), [point.number("divergence.kl_forward.new") for point in curve], color=GREEN, linestyle="--", label="forward KL, new task")
    divergence.set_ylabel("forward KL to the base, nats per decision", color=GREEN)
    divergence.tick_params(axis="y", colors=GREEN)
    divergence.set_ylim(bottom=0)
    handles = left.get_legend_handles_labels()[0] + divergence.get_legend_handles_labels()[0]
    left.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False, fontsize=9.5)
    _bars(right, record)
    figure.suptitle(f"{record.task}  |  {record.method.name}  |  base {record.base}  |  seed {record.seed}", fontsize=12.5)
    return figure


def _updates(curve: Sequence[Snapshot]) -> list[int]:
    return [point.update for point in curve]


def _ticks(last: int) -> list[int]:
    """0, powers of ten, and the last update where it does not crowd its neighbour."""
    powers = [10**k for k in range(8) if 10**k <= last / 2]
    return [0, *powers, last]


def _band(axes: Any, curve: Sequence[Snapshot], found: Sequence[Estimate | Undefined | None], colour: str, label: str) -> None:
    values, low, high = np.array([(each.value, each.low, each.high) if isinstance(each, Estimate) else (np.nan,) * 3 for each in found]).T
    axes.plot(_updates(curve), values, color=colour, marker="o", markersize=3.5, label=label)
    axes.fill_between(_updates(curve), low, high, color=colour, alpha=0.15, linewidth=0)


def _bars(axes: Any, record: Record) -> None:
    rows: dict[str, BeforeAfter] = {"new task": record.new_task, **record.original}
    place = np.arange(len(rows))
    before, after = [row.base.greedy for row in rows.values()], [row.final.greedy for row in rows.values()]
    for offset, rates, colour, label in ((-0.2, before, GREY, "base"), (0.2, after, BLUE, "tuned")):
        value = np.array([rate.rate for rate in rates])
        error = np.abs(np.array([rate.ci95 for rate in rates]).T - value)
        axes.bar(place + offset, value, 0.38, color=colour, label=label, yerr=error, error_kw={"elinewidth": 1, "ecolor": "#4a5568", "capsize": 2})
    axes.axvline(0.5, color="#cbd5e0", linewidth=1)
    axes.set_xticks(place, list(rows), rotation=35, ha="right")
    axes.set(ylabel="greedy success, with 95% interval", ylim=(0, 1.08), title="Before and after")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.02), ncols=2, frameon=False)


def matrix(record: SequenceRecord, path: Path) -> None:
    """Draw the success matrix of a sequence: tasks and original skills down, stages across."""
    with style({"axes.spines.top": True, "axes.spines.right": True}):
        _matrix(record).savefig(path, dpi=110)


def _matrix(record: SequenceRecord) -> Figure:
    tasks = len(record.tasks)
    names = [*record.task_names, *record.original_skills]
    rates = np.array([[rate.rate for rate in record.success[name]] for name in names])
    figure = Figure((2.6 + 0.62 * (tasks + 1), 1.6 + 0.36 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(rates, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), rate in np.ndenumerate(rates):
        axes.text(column, row, f"{rate:.2f}", ha="center", va="center", fontsize=9, color="white" if rate > 0.6 else "black")
    for task in range(tasks):
        axes.add_patch(Rectangle((task + 0.5, task - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2))
    axes.axhline(tasks - 0.5, color="black", linewidth=1.2)
    axes.set_xticks(range(tasks + 1), ["base", *(f"after {stage}" for stage in range(1, tasks + 1))], rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), [f"{i + 1}  {name}" if i < tasks else name for i, name in enumerate(names)])
    axes.set_title(f"{record.sequence}, {record.method.name}, seed {record.seed}: greedy success; framed: just trained", fontsize=11)
    return figure
