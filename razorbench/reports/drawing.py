"""Figures with matplotlib, without a display, in one style: SVG for the page and as a file, and PNG."""

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
"""Color of text and axes; the page replaces it by its own, so that figures follow its theme."""
DPI = 130
WIDTH = 4.9
"""Width of a figure, inches; narrow enough to read on a phone."""
PHONE = 380
"""Width of a phone, pixels; the page shows a point (1/72 inch) of a figure as at least one pixel."""
MANY = 300
"""Number of markers above which they are rasterized, because as shapes they would take megabytes."""
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
    """A figure for the page and for files. inline: SVG in the page's colors; note: caption; numbers: the drawn data, possibly with more columns."""

    name: str
    title: str
    note: str
    inline: str
    svg: str
    png: bytes
    numbers: Table


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the report's style. Ignores warnings about glyphs missing for unusual names and about crowded layouts."""
    with style(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def canvas(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes. height, width: inches."""
    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def picture(figure: Figure, name: str, title: str, note: str, numbers: Table) -> Picture:
    """Return a drawn figure as SVG and PNG. name: for its files and its identifiers in the page."""
    svg, png = io.StringIO(), io.BytesIO()
    figure.savefig(svg, format="svg", transparent=True, dpi=100, metadata={"Date": None, "Creator": None})
    # The layout does not change; `savefig` would compute it again and draw twice.
    figure.set_layout_engine("none")
    figure.set_dpi(DPI)
    figure.set_facecolor("white")
    FigureCanvasAgg(figure).print_png(png)
    text = svg.getvalue()
    text = text[text.index("<svg") :]
    return Picture(name, title, note, _inline(text, name), _on_white(text), png.getvalue(), numbers)


def _inline(svg: str, name: str) -> str:
    """Return the SVG with unique identifiers, in the page's color and font, and as wide as the page."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="0 0 ([0-9.]+) [0-9.]+"', svg)
    assert box is not None
    # A figure wider than a phone scrolls, so that its letters stay readable.
    wide = f' style="min-width: {box[1]}px"' if float(box[1]) > PHONE else ""
    svg = re.sub("<svg [^>]*>", f'<svg {box[0]} role="img" aria-labelledby="{name}-title"{wide}>', svg, count=1)
    return svg.replace(INK, "currentColor").replace("font-family: 'DejaVu Sans', 'Bitstream Vera Sans'", "font-family: inherit")


def _on_white(svg: str) -> str:
    return '<?xml version="1.0" encoding="utf-8" standalone="no"?>\n' + svg.replace("<svg ", '<svg style="background: white" ', 1)


def unit_square(axes: Axes, x: str, y: str) -> None:
    """Set up axes for two rates in [0, 1]."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05), xlabel=x, ylabel=y)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))


def labels(axes: Axes, places: Mapping[str, tuple[float, float]], looks: Mapping[str, Look]) -> None:
    """Label arms at the right margin without overlap, with thin lines to their places (x, y) in data coordinates; the axes' limits must be set."""
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
    """Return positions near the wanted ones, in their order, at least a step apart, and within the bounds if possible."""
    positions: list[float] = []
    for place in wanted:
        positions.append(max(float(place), low, positions[-1] + step if positions else low))
    for k in reversed(range(len(positions))):
        positions[k] = min(positions[k], high if k == len(positions) - 1 else positions[k + 1] - step)
    return positions


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
