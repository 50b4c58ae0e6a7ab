"""The picture of a study's first page: success and retention of a few arms at both stops."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from razorbench.reports.content import Material
from razorbench.reports.drawing import INK, unit_square
from razorbench.statistics.comparison import MEASURES
from razorbench.statistics.stops import STOPS
from razorbench.store.estimate import Estimate

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Colors of Okabe and Ito (2008), which color-blind readers can distinguish, without yellow, which is invisible on white."""
SIGNS = ("o", "s", "^", "D", "v", "P", "X")
_Place = tuple[Estimate, Estimate]
"""Success and retention."""


def first_picture(material: Material, arms: Sequence[str], where: str) -> Figure:
    """Draw at most seven arms in their usual order, without those that have no runs. where: name of the runs, for the title.

    Above: retention at best and at the end with 95% intervals; below: success against retention, a line from best to end.
    Raises ValueError for more arms than there are colours.
    """
    if len(arms) > len(COLOURS):
        raise ValueError(f"a picture has a colour for each of {len(COLOURS)} arms, not {len(arms)}")
    found = {arm: places for arm in material.looks if arm in arms and (places := _places(material, arm))}
    figure = Figure((5.6, 6.6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=(0.6 + 0.32 * len(found), 3.4))
    figure.suptitle(f"Fine-tuned policies at both stops: {where}", fontsize=11, fontweight="bold")
    for row, (arm, places) in enumerate(found.items()):
        for offset, (stop, (_, kept)) in zip((-0.16, 0.16), places.items(), strict=True):
            style = _style(list(arms).index(arm), stop)
            above.plot([kept.low, kept.high], [row + offset] * 2, color=style["markeredgecolor"], linewidth=1.4, alpha=1 if stop == STOPS[0] else 0.6)
            above.plot(kept.value, row + offset, markersize=7, linestyle="", **style)
    above.set(ylim=(max(len(found), 1) - 0.5, -0.5), xlabel="retention of the eight original skills, 95% interval")
    above.set_xlim(min([0.0, *(kept.low for places in found.values() for _, kept in places.values())]) - 0.02, _most(found))
    above.set_yticks(range(len(found)), list(found), fontsize=10)
    above.grid(visible=False, axis="y")
    _legend(above)
    unit_square(below, "success on the new task", "retention")
    for arm, places in found.items():
        look = [_style(list(arms).index(arm), stop) for stop in STOPS]
        (x, y) = zip(*((learned.value, kept.value) for learned, kept in places.values()), strict=True)
        below.plot(x, y, color=look[0]["markeredgecolor"], linewidth=1.2)
        for style, place in reversed(list(zip(look, zip(x, y, strict=True), strict=True))):
            below.plot(*place, markersize=8, linestyle="", **style)
        below.plot([], [], markersize=7, linestyle="", label=arm, **look[0])
    below.legend(loc="lower left", fontsize=9, ncols=2, frameon=False, handletextpad=0.2)
    return figure


def _places(material: Material, arm: str) -> dict[str, _Place]:
    """Return an arm's success and retention at every stop; empty if one is missing or has no interval."""
    found: dict[str, _Place] = {}
    for stop in STOPS:
        x, y = (material.suite(arm, MEASURES[f"{name}@{stop}"]).value for name in ("success", "retention"))
        if not (isinstance(x, Estimate) and isinstance(y, Estimate)):
            return {}
        found[stop] = x, y
    return found


def _style(place: int, stop: str) -> dict[str, str]:
    """Return the marker's style: filled at best, hollow at the end."""
    colour = COLOURS[place]
    return {"marker": SIGNS[place], "markeredgecolor": colour, "markerfacecolor": colour if stop == STOPS[0] else "white"}


def _most(found: dict[str, dict[str, _Place]]) -> float:
    return max([1.0, *(kept.high for places in found.values() for _, kept in places.values())]) + 0.02


def _legend(axes: Axes) -> None:
    for stop, said, fill in zip(STOPS, ("best SELECT success", "end of the budget"), (INK, "white"), strict=True):
        axes.plot([], [], linestyle="", marker="o", markersize=7, markeredgecolor=INK, markerfacecolor=fill, label=f"{stop}: {said}")
    axes.legend(loc="upper left", fontsize=9, frameon=False)
