"""How arms look, the same in every figure and in every report: a hue per family, a sign per method, a sign filled less and a broken line per style.

The hues are those of Okabe and Ito, which the colour-blind tell apart, some darkened so that they show on white.
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
"""Opacity of the inside of a sign, by demonstration style."""


@dataclass(frozen=True)
class Look:
    """An arm's colour, sign, line, and how opaque the sign is inside."""

    colour: str
    sign: str
    line: str
    fill: float

    @property
    def marker(self) -> dict[str, Any]:
        """What `plot` of matplotlib takes to draw the sign."""
        return {"marker": self.sign, "markeredgecolor": self.colour, "markerfacecolor": to_rgba(self.colour, self.fill)}


def looks(runs: Sequence[Run], registered: Mapping[str, str]) -> dict[str, Look]:
    """Return the look of every arm, in order of family and name. registered: methods' families; what is not among them comes after.

    It follows from what is registered, not from which runs are there, so that two reports agree. Families beyond the hues get them again, with
    other signs.
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
    """Which of its task's demonstration styles an arm has, from 0; one that the task does not know counts as the second."""
    return int(name) - 1 if name.isdecimal() and name.isascii() else int(bool(name))
