"""A self-contained HTML page, and the files of its tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.markers import MarkerStyle

from razorbench.reports.content import Section, pictures, tables
from razorbench.reports.looks import Look
from razorbench.reports.tables import plain


def page(title: str, lead: str, sections: Sequence[Section], looks: Mapping[str, Look]) -> str:
    """Return the page as HTML. The template escapes all text from records; matplotlib escapes the SVG."""
    here = files(__package__)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=False)
    template = environment.from_string((here / "page.html").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        lead=lead,
        sections=sections,
        looks=[plain(arm) for arm in looks],
        signs={plain(arm): sign(look) for arm, look in looks.items()},
        css=Markup((here / "page.css").read_text(encoding="utf-8")),
        script=Markup((here / "page.js").read_text(encoding="utf-8")),
    )


def sign(look: Look) -> Markup:
    """Return an arm's marker as an SVG path, about ten units wide around (0, 0)."""
    style = MarkerStyle(look.sign)
    shape = style.get_path().transformed(style.get_transform())
    polygons = [np.asarray(polygon, dtype=float) for polygon in shape.to_polygons(closed_only=True)]
    steps = ["M" + "L".join(f"{10 * x:.2f},{-10 * y:.2f}" for x, y in polygon) + "Z" for polygon in polygons]
    drawn = '<path d="{}" fill="{}" fill-opacity="{}" stroke="{}" stroke-width="1.5"/>'
    return Markup(drawn).format("".join(steps), look.colour, look.fill, look.colour)


def write(out: Path, html: str, sections: Sequence[Section]) -> None:
    """Write `index.html`, every table as `tables/NAME.csv`, and every figure as `figures/NAME.{png,svg}`, with its numbers as CSV."""
    for name in ("tables", "figures"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for table in tables(sections):
        (out / "tables" / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")
    for picture in pictures(sections):
        (out / "figures" / f"{picture.name}.png").write_bytes(picture.png)
        (out / "figures" / f"{picture.name}.svg").write_text(picture.svg, encoding="utf-8")
    for numbers in {picture.numbers.name: picture.numbers for picture in pictures(sections)}.values():
        (out / "figures" / f"{numbers.name}.csv").write_text(numbers.csv(), encoding="utf-8")
    (out / "index.html").write_text(html, encoding="utf-8")
