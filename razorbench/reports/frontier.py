"""New-task success against retention: Pareto frontiers, per task and pooled, and retention at matched success."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from razorbench.reports.content import Folded, Gallery, Material, Section
from razorbench.reports.drawing import INK, MANY, Picture, canvas, cloud, labels, picture, unit_square
from razorbench.reports.tables import Table, Value, plain, slug
from razorbench.statistics.comparison import MEASURES, numbers, units
from razorbench.statistics.finished_runs import Run
from razorbench.statistics.pareto import TOLERANCE, area, frontier, near, stairs
from razorbench.statistics.stops import LEVELS, STOPS, crossing, stop
from razorbench.store.estimate import Estimate, Undefined, number
from razorbench.types import FloatArray


def pareto(material: Material) -> Section:
    """Return the section of Pareto frontiers."""
    pooled = _frontier(material, "all tasks", material.runs)
    per_task = [_frontier(material, task, [run for run in material.runs if run.task == task]) for task in material.tasks]
    return Section(
        "New-task success against retention",
        [
            "Dots are all snapshots of all runs. The paper's filter keeps the darker ones: no other point beats them by more than "
            f"{TOLERANCE:g} in both measures. Small markers are runs stopped at their best SELECT success. Large markers are an arm's mean there over tasks "
            "and seeds, with a line to its mean at the end of the budget. The gray line is the frontier of all points. A frontier picks the luckiest of many "
            "noisy points, so its area is too large by an unknown amount and has no interval. The table uses each run's own frontier, whose area can be "
            "compared.",
        ],
        [Gallery([pooled]), _areas(material), Folded(f"Figures for {len(per_task)} tasks", [Gallery(per_task)])],
    )


def trade_points(runs: Sequence[Run]) -> FloatArray:
    """Return new-task success and retention of every snapshot of runs, on TEST, (N, 2)."""
    return np.array([(point.success, point.retention.value) for run in runs for point in run.curve], dtype=float).reshape(-1, 2)


def _final(run: Run) -> tuple[float | None, float | None]:
    return run.record.new_task.final.greedy.rate, run.record.retention.value


def _best(run: Run) -> tuple[float | None, float | None]:
    """Return success and retention at the best SELECT success, or at the end of a run without snapshots."""
    best = stop(run, "best")
    return _final(run) if best is None or best.retention is None else (best.success, best.retention)


def _means(runs: Sequence[Run], arm: str) -> list[tuple[float, float]]:
    """Return the mean success and retention of an arm at its best, if it has snapshots, and at the end."""
    places = []
    for name in STOPS:
        x, y = (units(numbers(runs, arm, MEASURES[f"{what}@{name}"])).sample.value for what in ("success", "retention"))
        if len(x) and len(y):
            places.append((float(x.mean()), float(y.mean())))
    return places


def _frontier(material: Material, where: str, runs: Sequence[Run]) -> Picture:
    snapshots, last = trade_points(runs), np.array([_final(run) for run in runs], dtype=float)
    everything = np.concatenate([snapshots, last])
    best, near_it = frontier(everything), near(everything)
    owner = [run for run in runs for _ in run.curve] + list(runs)
    update: list[Value] = [point.update for run in runs for point in run.curve]
    update += ["final"] * len(runs)
    figure, axes = canvas(4.4)
    unit_square(axes, "success on the new task, greedy", "retention of original skills")
    axes.set_ylim(-0.02, max(1.05, float(everything[:, 1].max()) + 0.03))
    arms = {id(run): run.arm for run in runs}
    colours = np.array([material.looks[arms[id(run)]].colour for run in owner])
    for chosen, alpha in ((~near_it, 0.3), (near_it, 0.7)):
        cloud(axes, everything[chosen, 0], everything[chosen, 1], colours[chosen], markersize=2.2, alpha=alpha)
    means = {}
    for arm in dict.fromkeys(run.arm for run in runs):
        mine, look = [run for run in runs if run.arm == arm], material.looks[arm]
        places = _means(mine, arm)
        means[arm] = places[0]
        axes.plot(*np.array(places).T, color=look.colour, linewidth=0.9)
        axes.plot(*np.array([_best(run) for run in mine]).T, linestyle="", markersize=3.5, alpha=0.6, rasterized=len(runs) > MANY, **look.marker)
        axes.plot(*means[arm], linestyle="", markersize=7.5, **look.marker)
    axes.step(*stairs(everything), where="pre", color="#8a9099", linewidth=1.2)
    labels(axes, means, material.looks)
    rows = [(run.task, arms[id(run)], run.seed, update[k], *map(float, everything[k]), int(best[k]), int(near_it[k])) for k, run in enumerate(owner)]
    columns = ("task", "arm", "seed", "update", "success", "retention", "on the frontier", "kept by the filter")
    name, title = slug("pareto", where), f"Pareto frontier, {plain(where)}"
    note = f"Area under the frontier {number(area(everything))}; the filter keeps {int(near_it.sum()):,} of {len(near_it):,} points; {len(runs)} runs."
    return picture(figure, name, title, note, Table(name, title, columns, rows))


def _areas(material: Material) -> Table:
    rows: list[Sequence[Value]] = []
    for arm in material.looks:
        areas = material.suite(arm, lambda run: area(np.concatenate([trade_points([run]), [_final(run)]])))
        worst: tuple[Value, Value] = (Undefined("no run"), Undefined("no run")) if areas.worst is None else areas.worst
        rows.append((arm, areas.value, areas.n, areas.unit, *worst))
    return Table(
        "pareto_areas",
        "Area under each run's own frontier",
        ("arm", "area", "n", "unit", "worst task", "its area"),
        rows,
        "Mean over tasks of the mean over seeds, 95% Student interval over n.",
    )


def matched_success(material: Material) -> Section:
    """Return the section of retention at matched success."""
    pictures, rows = [], list[Sequence[Value]]()
    for level in LEVELS:
        drawn = _level(material, level)
        pictures.append(drawn)
        rows += drawn.numbers.rows
    return Section(
        "Retention at the same new-task success",
        [
            "Retention where SELECT success first crosses the level, interpolated between the snapshots before and after. These two bracket the value, and "
            "intervals use the worst ends of the brackets. Values are means over tasks of means over seeds, with 95% Student intervals; an undefined value "
            "gives its reason.",
        ],
        [Gallery(pictures), Folded("All numbers, and why runs are undefined", [Table("matched", "Retention at matched success", _COLUMNS, rows)])],
    )


def _level(material: Material, level: float) -> Picture:
    figure, axes = canvas(0.9 + 0.2 * len(material.looks))
    names: list[str] = []
    rows: list[Sequence[Value]] = []
    for place, (arm, look) in enumerate(material.looks.items()):
        crossings = [crossing(run, level) for run in material.by_arm[arm]]
        retained = material.suite(arm, MEASURES[f"retention@{level:g}"])
        reached = material.suite(arm, MEASURES[f"success@{level:g}"])
        why = Counter(reason for reason in crossings if isinstance(reason, str))
        reasons = "; ".join(f"{count}: {reason}" for reason, count in why.most_common())
        names.append(f"{plain(arm)}  {retained.runs}/{len(crossings)}")
        value = Undefined(reasons) if isinstance(retained.value, Undefined) else retained.value
        rows.append((level, arm, value, retained.n, retained.unit, f"{retained.runs} of {len(crossings)}", reached.value, reasons or "none"))
        if isinstance(value, Undefined):
            axes.text(0.01, place, plain(f"undefined: {why.most_common(1)[0][0] if why else 'no run'}"), va="center", fontsize=6.5)
            continue
        axes.barh(place, value.value, 0.7, color=look.colour, alpha=0.45 + 0.4 * look.fill)
        if isinstance(value, Estimate):
            axes.plot([value.low, value.high], [place, place], color=INK, linewidth=1)
        axes.plot(value.value, place, linestyle="", markersize=4.5, **look.marker)
    axes.set(xlim=(0, 1.05), ylim=(len(material.looks) - 0.4, -0.6), xlabel="retention of original skills")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False, axis="y")
    name, title = slug("matched", f"{level:g}"), f"Retention at success {level:g}"
    return picture(
        figure,
        name,
        title,
        "Next to each arm: how many of its runs cross the level. A bar without a line is a single run; a line that reaches the frame continues beyond it.",
        Table(name, title, _COLUMNS, rows),
    )


_COLUMNS = ("success", "arm", "retention", "n", "unit", "runs", "TEST success", "undefined runs")
