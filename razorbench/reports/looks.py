"""Looks of arms, the same in all figures and reports: a hue per family, a marker per method, marker fill and line style per demonstration style.

The hues are the color-blind-safe ones of Okabe and Ito, some darkened for white backgrounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_rgba

from razorbench.statistics.finished_runs import Run

HUES = ("#7d8590", "#009e73", "#d55e00", "#1f78c8", "#d08a00", "#c766a0", "#56b4e9")
SIGNS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
LINES = ("-", "--", "-.", ":")
FILLS = (1.0, 0.0, 0.45)
"""Opacity of a marker's fill, by demonstration style."""


@dataclass(frozen=True)
class Look:
    """An arm's color, marker, line style, and the opacity of the marker's fill."""

    colour: str
    sign: str
    line: str
    fill: float

    @property
    def marker(self) -> dict[str, Any]:
        """Keyword arguments of matplotlib's `plot` for the marker."""
        return {"marker": self.sign, "markeredgecolor": self.colour, "markerfacecolor": to_rgba(self.colour, self.fill)}


def looks(runs: Sequence[Run], registered: Mapping[str, str]) -> dict[str, Look]:
    """Return the look of every arm, in order of family and name. registered: family of each registered method; other methods come after.

    Looks depend on the registered methods rather than on the runs, so that two reports agree. If there are more families than hues, hues repeat with
    other markers.
    """
    methods = {run.method: run.family for run in runs}
    families = sorted(set(registered.values()))
    families += sorted(set(methods.values()) - set(families))
    signs = {}
    for place, family in enumerate(families):
        members = sorted(name for name, own in registered.items() if own == family)
        members += sorted(name for name, own in methods.items() if own == family and name not in members)
        signs.update({name: k + len(SIGNS) // 2 * (place // len(HUES)) for k, name in enumerate(members)})
    arms = sorted({(families.index(run.family), run.method, run.arm) for run in runs})
    return {
        arm: Look(
            HUES[family % len(HUES)],
            SIGNS[signs[method] % len(SIGNS)],
            LINES[(signs[method] + (arm != method)) % len(LINES)],
            FILLS[_style(arm.removeprefix(method).removeprefix("/")) % len(FILLS)],
        )
        for family, method, arm in arms
    }


def _style(name: str) -> int:
    """Return the index of an arm's demonstration style, from 0; an unknown style counts as the second."""
    return int(name) - 1 if name.isdecimal() and name.isascii() else int(bool(name))
