"""What `razorbench bench` measured, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from razorbench.reports.canvas import style
from razorbench.reports.run_pictures import BLUE, GREEN, GREY, ORANGE
from razorbench.types import Measurements

_COLOURS = (BLUE, ORANGE, GREEN, "#805ad5", "#b7791f", "#319795", "#d53f8c", GREY, "#4a5568", "#ecc94b")


def picture(measured: Measurements, path: Path) -> None:
    """Draw rates, one run by phase, and how cost grows."""
    with style({"font.size": 10}):
        _drawn(measured).savefig(path, dpi=110)


def _drawn(measured: Measurements) -> Figure:
    figure = Figure((17, 8), layout="constrained")
    axes = figure.subplot_mosaic([["rates", "rates", "run", "batch"], ["threads", "skills", "tasks", "width"]])
    growth = measured["growth"]
    _rates(axes["rates"], measured["rates"])
    _phases(axes["run"], measured["run"])
    physics = {"raw_per_s": ("raw mujoco.rollout", GREY), "engine_per_s": ("engine", BLUE)}
    _curve(axes["batch"], growth["batch"], "num_envs", physics, "env steps/s", "Environments in the batch")
    axes["batch"].set_xscale("log", base=4)
    axes["batch"].minorticks_off()
    axes["batch"].set_xticks(sizes := [point["num_envs"] for point in growth["batch"]], [f"{size:g}" for size in sizes])
    _curve(axes["threads"], growth["threads"], "threads", physics, "env steps/s", "Physics threads")
    _curve(axes["skills"], growth["skills"], "skills", {"evaluation_s": ("evaluation, 50 episodes each", ORANGE)}, "seconds", "Original skills measured")
    _curve(axes["tasks"], growth["tasks"], "tasks", {"per_s": ("experts", ORANGE)}, "env steps/s", "Tasks in one batch")
    _curve(axes["width"], growth["width"], "width", {"training_per_s": ("training, update included", GREEN)}, "env steps/s", "Width of the actor's layers")
    machine = measured["machine"]
    figure.suptitle(f"RazorBench on {machine['processor'] or machine['architecture']}: {measured['threads']} threads, {measured['num_envs']} environments")
    return figure


def _rates(axis: Any, rates: Measurements) -> None:
    names = list(rates)[::-1]
    axis.barh(names, [rates[name]["per_s"] for name in names], color=[BLUE if name.startswith("engine") else GREY for name in names])
    for place, name in enumerate(names):
        axis.annotate(f" {rates[name]['per_s']:,.0f}", (rates[name]["per_s"], place), va="center", fontsize=8.5)
    axis.margins(x=0.18)
    axis.set(xlabel="env steps/s", title="Rates")


def _phases(axis: Any, run: Measurements) -> None:
    parts = {scope: seconds for scope, seconds in run["seconds"].items() if scope != "rest"}
    total = {name: sum(part.get(name, 0.0) for part in parts.values()) for name in dict.fromkeys(name for part in parts.values() for name in part)}
    bottom = np.zeros(len(parts))
    for colour, name in zip(_COLOURS, sorted(total, key=lambda name: -total[name]), strict=False):
        height = np.array([part.get(name, 0.0) for part in parts.values()])
        axis.bar(list(parts), height, 0.6, bottom=bottom, color=colour, label=name)
        bottom += height
    axis.set_xlim(-0.5, len(parts) + 0.5)  # the legend stands beside the bars
    axis.legend(frameon=False, fontsize=8.5, loc="upper right")
    axis.set(ylabel="seconds", title=f"One whole run, {run['wall_s']:.0f} s")


def _curve(axis: Any, points: Sequence[Mapping[str, float]], key: str, lines: Mapping[str, tuple[str, str]], unit: str, title: str) -> None:
    for name, (label, colour) in lines.items():
        axis.plot([point[key] for point in points], [point[name] for point in points], marker="o", markersize=4, color=colour, label=label)
    axis.set_xticks([point[key] for point in points])
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=8.5)
    axis.set(ylabel=unit, title=title)
