"""From numbers to pictures: matplotlib without a display, one look for all, as SVG for page and file and as PNG."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from razorbench.reports.canvas import style
from razorbench.reports.looks import Look
from razorbench.reports.tables import Table, plain
from razorbench.types import FloatArray

INK = "#1b1e23"
"""Colour of text and axes; the page draws them in its own, so that figures follow its theme."""
DPI = 130
WIDTH = 4.9
"""Inches; at this width letters stay readable on a phone."""
PHONE = 380
"""Pixels; figures are drawn in points, 72 to an inch, and shown a pixel or more to a point."""
MANY = 300
"""Above so many signs, they are drawn as pixels rather than as shapes, or the page would take megabytes."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "razorbench",
    "axes.unicode_minus": False,
    "font.size": 9,
    "axes.grid": True,
    "axes.titlesize": 10,
    "axes.axisbelow": True,
    "grid.color": "#8a9099",
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@dataclass(frozen=True)
class Picture:
    """A figure as it is shown and as it is saved. inline: SVG in the page's own colours; note: its caption; numbers: what is drawn, maybe with more."""

    name: str
    title: str
    note: str
    inline: str
    svg: str
    png: bytes
    numbers: Table


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the report's style. What a font lacks of a hostile name, or a crowded layout, is no reason to fail."""
    with style(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def canvas(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Return a figure, sizes in inches, with one pair of axes."""
    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def picture(figure: Figure, name: str, title: str, note: str, numbers: Table) -> Picture:
    """Return a drawn figure as SVG and PNG. name: of its files and in the page."""
    svg, png = io.StringIO(), io.BytesIO()
    figure.savefig(svg, format="svg", transparent=True, dpi=100, metadata={"Date": None, "Creator": None})
    # What the layout is does not change; to find it again takes a third of the time.
    figure.set_layout_engine("none")
    figure.savefig(png, format="png", facecolor="white", dpi=DPI)
    text = svg.getvalue()
    text = text[text.index("<svg") :]
    return Picture(name, title, note, _inline(text, name), _on_white(text), png.getvalue(), numbers)


def _inline(svg: str, name: str) -> str:
    """The SVG with identifiers of its own on a page of many, in the page's colour and font, as wide as there is room."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="0 0 ([0-9.]+) [0-9.]+"', svg)
    assert box is not None
    # A figure wider than a phone keeps letters that can be read, and scrolls.
    wide = f' style="min-width: {box[1]}px"' if float(box[1]) > PHONE else ""
    svg = re.sub("<svg [^>]*>", f'<svg {box[0]} role="img" aria-labelledby="{name}-title"{wide}>', svg, count=1)
    return svg.replace(INK, "currentColor").replace("font-family: 'DejaVu Sans', 'Bitstream Vera Sans'", "font-family: inherit")


def _on_white(svg: str) -> str:
    return '<?xml version="1.0" encoding="utf-8" standalone="no"?>\n' + svg.replace("<svg ", '<svg style="background: white" ', 1)


def unit_square(axes: Axes, x: str, y: str) -> None:
    """Full axes for two rates."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05), xlabel=x, ylabel=y)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))


def labels(axes: Axes, places: Mapping[str, tuple[float, float]], looks: Mapping[str, Look]) -> None:
    """Name arms at the right margin, each joined by a thin line to its place in data coordinates, without overlap; the axes' limits must be set."""
    if not places:
        return
    names = sorted(places, key=lambda name: (places[name][1], -places[name][0]))
    from_data = axes.transScale + axes.transLimits
    ends = from_data.transform([places[name] for name in names])
    step = min(0.04, 1.0 / len(names))
    for name, end, height in zip(names, ends, _apart(ends[:, 1], step, step / 2, 1.0 - step / 2), strict=True):
        axes.plot((end[0], 1.025), (end[1], height), transform=axes.transAxes, clip_on=False, color=looks[name].colour, linewidth=0.4, alpha=0.7)
        axes.text(1.03, height, plain(name), transform=axes.transAxes, fontsize=7, va="center", color=looks[name].colour)


def _apart(wanted: FloatArray, step: float, low: float, high: float) -> list[float]:
    """Places at least a step apart, in the order of those wanted and near them, within bounds where that is possible."""
    found: list[float] = []
    for place in wanted:
        found.append(max(float(place), low, found[-1] + step if found else low))
    for k in reversed(range(len(found))):
        found[k] = min(found[k], high if k == len(found) - 1 else found[k + 1] - step)
    return found


def cloud(axes: Axes, x: FloatArray, y: FloatArray, colours: Iterable[str], **options: Any) -> None:
    """Draw many points (N,) as dots."""
    own = np.array(list(colours))
    for colour in np.unique(own):
        mine = own == colour
        axes.plot(x[mine], y[mine], linestyle="", marker="o", color=colour, markeredgewidth=0, rasterized=len(x) > MANY, **options)


def powers(axis: Axis) -> None:
    """Label a logarithmic axis in plain numbers, at powers of ten."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
