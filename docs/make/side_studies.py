"""Side studies of the main comparison: other bases, more tasks, and methods over a range of learning rates."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from excerpts import r2
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from razorbench.reports.at_same_kl import same_kl
from razorbench.reports.content import Material, tables
from razorbench.reports.drawing import DPI, cloud, labels, powers
from razorbench.reports.headline import LEVEL, arms, each_task, on_task, stopping_saves
from razorbench.reports.law_fits import comparable
from razorbench.reports.looks import Look, looks
from razorbench.reports.tables import Table, Value
from razorbench.statistics.comparison import MEASURES, Measure, Quantity, numbers, paired, units
from razorbench.statistics.finished_runs import HEADLINE, Run, common_arms, final_points, snapshots
from razorbench.statistics.law import laws
from razorbench.statistics.pooling import Pool
from razorbench.statistics.stops import STOPS
from razorbench.store.estimate import Undefined

_CAPTION = (
    "Forgetting against forward KL. Dots: all snapshots of all runs. Lines: final policies on one task, averaged over seeds; larger markers have higher "
    "learning rates."
)
LADDER = "ladder.png"
_TOLD = ("success@end", "retention@end", "forward_kl@end")


def _at_end(path: str) -> Measure:
    """Return a divergence of the final policy by its path."""
    return Measure(Quantity(lambda there: there.number(path)), "end")


_ON_SIZES = {
    **{f"{name} at {stop}": MEASURES[f"{name}@{stop}"] for name in ("success", "retention") for stop in STOPS},
    f"retention at success {LEVEL:g}": MEASURES[f"retention@{LEVEL:g}"],
    "forward KL, new task, at end": MEASURES["forward_kl@end"],
    "forward KL, old tasks, at end": _at_end("divergence.kl_forward.original"),
    "action MSE, new task, at end": _at_end("divergence.action_mse.new"),
    "action MSE, old tasks, at end": _at_end("divergence.action_mse.original"),
}


def excerpt(pool: Pool, families: Mapping[str, str], each: bool = False) -> list[str]:
    """Return the tables of a side study: its arms, the gain from stopping, and, with `each`, each task and retention at the same forward KL."""
    material = Material.of(pool, families, Path())
    found = [arms(material), stopping_saves(material)]
    if each:
        found += [*each_task(material), *tables([same_kl(material)])]
    return [part for table in found for part in (f"#### {table.title}", table.markdown())]


def sizes(runs: Mapping[str, Sequence[Run]]) -> list[str]:
    """Return the part of the page about bases of several sizes, over common arms. runs: by base, the smallest first."""
    bases = list(runs)
    rows: list[Sequence[Value]] = []
    for arm, name in itertools.product(sorted(common_arms(runs)), _ON_SIZES):
        found = [numbers(runs[base], arm, _ON_SIZES[name]) for base in bases]
        means, less = [units(each).difference for each in found], paired(found[-1], found[0])
        rows.append([arm, name, *(mean or Undefined("too few runs") for mean in means), less.difference or Undefined("too few runs")])
    columns = ("arm", "measure", *(f"`{base}`" for base in bases), f"`{bases[-1]}` minus `{bases[0]}`")
    return [
        "## Base size",
        "All sizes were trained to the same success bars ([details](../bases.md)), and the learning rates are those tuned for the default size. Values are "
        "means over tasks of means over seeds, with 95% Student intervals over tasks; differences are paired by task and seed:",
        Table("sizes", "Sizes", columns, rows).markdown(),
    ]


def _rate(run: Run) -> float:
    return float((run.record.config.method or {})["learning_rate"])


def ladder(runs: Sequence[Run], families: Mapping[str, str], out: Path) -> list[str]:
    """Return the part of the page about methods at several learning rates, and draw its picture."""
    rungs = sorted({(run.arm, _rate(run)) for run in runs})
    tasks = sorted({run.task for run in runs})
    rows: list[Sequence[Value]] = []
    for arm, rate in rungs:
        mine = [run for run in runs if (run.arm, _rate(run)) == (arm, rate)]
        told = {name: numbers(mine, arm, MEASURES[name]) for name in _TOLD}
        rows.append([arm, f"{rate:.0e}", *(on_task(task, told[name]) for task in tasks for name in _TOLD)])
    measured = snapshots(runs)
    points, _ = comparable({name: measured.points(name) for name in measured.x})
    methods = np.array([arm.partition("/")[0] for arm in points[HEADLINE].arm])
    parts = {name: methods == name for name in sorted(set(methods))} | {"all": np.ones(len(methods), dtype=bool)}
    found = {name: laws({predictor: each.of(which) for predictor, each in points.items()}, HEADLINE, over="runs") for name, which in parts.items()}
    # In sample: with two families, a held-out family would leave a single method to fit.
    best = max((name for name in points if name != HEADLINE), key=lambda name: getattr(found["all"][name].r2, "value", -np.inf))
    fitted: list[Sequence[Value]] = [[name, int(parts[name].sum()), *(r2(each[predictor]) for predictor in (HEADLINE, best))] for name, each in found.items()]
    _draw(runs, families).savefig(out / LADDER, format="png", facecolor="white", dpi=DPI)
    columns = ("arm", "learning rate", *(f"{task}: {name}" for task in tasks for name in ("success", "retention", "forward KL")))
    return [
        "## The law over a range of learning rates",
        f"![{_CAPTION}]({LADDER})",
        _CAPTION,
        "Final policies: means over seeds with 95% Student intervals over seeds:",
        Table("ladder", "Ladder", columns, rows).markdown(),
        f"In-sample R2 of forward KL and of {best} over all snapshots, with 95% intervals over runs:",
        Table("ladder_law", "The law on the ladder", ("methods", "runs", HEADLINE, best), fitted).markdown(),
    ]


def _draw(runs: Sequence[Run], families: Mapping[str, str]) -> Figure:
    figure = Figure((7.0, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    measured, seen = snapshots(runs, [HEADLINE]), looks(runs, families)
    cloud(axes, measured.x[HEADLINE], measured.y, [seen[runs[k].arm].colour for k in measured.run], markersize=1.8, alpha=0.25)
    rates = sorted({_rate(run) for run in runs})
    ends: dict[str, tuple[tuple[float, float], Look]] = {}
    for arm, task in sorted({(run.arm, run.task) for run in runs}):
        look = seen[arm]
        finals = [[final_points([run]) for run in runs if (run.arm, run.task, _rate(run)) == (arm, task, rate)] for rate in rates]
        x, y = (np.array([np.mean([getattr(point, name)[0] for point in each]) if each else np.nan for each in finals]) for name in "xy")
        axes.plot(x, y, color=look.colour, linewidth=0.9)
        for rung, place in enumerate(zip(x, y, strict=True)):
            axes.plot(*place, linestyle="", markersize=3.0 + 1.5 * rung, **look.marker)
        ends[f"{arm}, {task}"] = (x[-1], y[-1]), look
    for arm in sorted({run.arm for run in runs}):
        axes.plot([], [], linestyle="", label=arm, **seen[arm].marker)
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    axes.set(xlabel=f"{HEADLINE}, nats per decision", ylabel="forgetting", ylim=(-0.06, 1.05))
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xlim(left=0)
    powers(axes.xaxis)
    labels(axes, {name: place for name, (place, _) in ends.items()}, {name: look for name, (_, look) in ends.items()})
    return figure
