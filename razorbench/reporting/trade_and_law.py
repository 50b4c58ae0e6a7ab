"""The picture of a whole study: what arms learn against what they keep, and forgetting against forward KL, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from razorbench.compare import MEASURES
from razorbench.metrics import Estimate
from razorbench.reporting.drawing import INK, cloud, labels, powers, unit_square
from razorbench.reporting.fits import Fits
from razorbench.reporting.material import Material
from razorbench.results import HEADLINE, Run
from razorbench.suite import Undefined
from razorbench.types import FloatArray

_POINTS = 49
"""Points of an arm's way: twice as many steps as a run's snapshots make, so that none is skipped."""


def trade_and_law(material: Material, found: Fits | str, families: Mapping[str, str]) -> Figure:
    """Draw every arm's way from the base to its final policy, and every snapshot's forgetting. families: of methods, which have one colour each."""
    figure = Figure((10.5, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    unit_square(left, "success on the new task", "retention of original skills")
    places: dict[str, tuple[float, float]] = {}
    for arm, look in material.looks.items():
        x, y = (material.suite(arm, MEASURES[name]).value for name in ("success@end", "retention@end"))
        if isinstance(x, Undefined) or isinstance(y, Undefined):
            continue
        places[arm] = x.value, y.value
        along = way(material.by_arm[arm])
        left.plot(along[:, 0], along[:, 1], color=look.colour, linewidth=0.8, alpha=0.7)
        if isinstance(y, Estimate):
            left.plot([x.value, x.value], [y.low, y.high], color=look.colour, linewidth=0.5, alpha=0.4)
        left.plot(x.value, y.value, linestyle="", markersize=5, **look.marker)
    labels(left, places, material.looks)
    right.set(xlabel=f"{HEADLINE}, nats per decision", ylabel="forgetting", ylim=(-0.06, 1.05))
    if isinstance(found, Fits):
        head = found.points[HEADLINE]
        colour = {run.method: material.looks[run.arm].colour for run in material.runs}
        cloud(right, head.x, head.y, [material.looks[head.arm[k]].colour for k in head.run], markersize=2.0, alpha=0.4)
        at = np.concatenate([[0.0], np.geomspace(1e-3, float(head.x.max()), 300)])
        right.plot(at, found.pooled[HEADLINE].curve(at), color=INK, linewidth=1.6)
        for family, own in sorted({(families.get(method, ""), each) for method, each in colour.items()}):
            right.plot([], [], linestyle="", marker="o", markersize=4, color=own, label=family)
        right.legend(loc="upper left", fontsize=7, frameon=False)
        right.set_xscale("symlog", linthresh=0.1)
        right.set_xlim(left=0)
        powers(right.xaxis)
    return figure


def way(runs: Sequence[Run]) -> FloatArray:
    """Return success and retention (49, 2) along an arm's runs, at equal shares of their snapshots: the mean over tasks of means over seeds."""
    by_task: dict[str, list[FloatArray]] = {}
    for run in runs:
        points = np.array([[point["new_task"]["test"]["rate"], point["retention"]["value"]] for point in run.curve])
        shares = np.linspace(0, 1, len(points))
        by_task.setdefault(run.task, []).append(np.stack([np.interp(np.linspace(0, 1, _POINTS), shares, column) for column in points.T], axis=1))
    return np.mean([np.mean(each, axis=0) for each in by_task.values()], axis=0)
