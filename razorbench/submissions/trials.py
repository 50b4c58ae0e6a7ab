"""May told, replayed and fresh rates be of one policy? Tests of single cells and of their sums, so that no slack adds up.

A policy that plays the same starts on another machine ends some episodes otherwise, by rounding, and as many for the better as for the worse: of n that
differ, the surplus of either kind has a standard deviation of the root of n (McNemar 1947).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from razorbench.submissions.hostile import Faults
from razorbench.submissions.schema import FILE
from razorbench.task import Split
from razorbench.types import BoolArray

CELL = 4.0
"""Standard deviations that a single cell may be off: of the 324 of a package one in fifty is by chance alone."""
SUM = 3.0
"""The same of a sum over all cells of a kind."""


@dataclass(frozen=True)
class Played:
    """A cell played again. base, told: success rates by the package; replayed: by the policy here; up: told a success, replayed a failure; down: contrary."""

    task: str
    split: str
    mode: str
    starts: int
    base: float
    told: float
    replayed: float
    up: int
    down: int

    @classmethod
    def of(cls, cell: tuple[str, str, str], base: BoolArray, told: BoolArray, replayed: BoolArray) -> Played:
        """Compare rows of the same starts, (E,) each."""
        up, down = int((told & ~replayed).sum()), int((replayed & ~told).sum())
        return cls(*cell, len(told), float(base.mean()), float(told.mean()), float(replayed.mean()), up, down)

    @property
    def greedy(self) -> bool:
        """Whether it is of those that success and retention are made of."""
        return self.mode == "greedy" and self.split == Split.TEST.value


def single(file: str, cells: Sequence[Played], faults: Faults) -> None:
    """Add cells whose told rate is not that of the policy."""
    for cell in cells:
        if abs(cell.up - cell.down) > (allowed := CELL * math.sqrt(cell.up + cell.down)):
            what = f"success on {cell.task}, {cell.split}, {cell.mode}"
            faults.add(file, what, f"{cell.told:.2f}", f"{cell.replayed:.2f} give or take {allowed / cell.starts:.2f}, as replayed")


def pooled(runs: Sequence[tuple[str, Sequence[Played]]], faults: Faults) -> None:
    """Add kinds of cells of which more over all runs are told better than they are than chance allows. runs: the new task and its cells."""
    kinds: dict[str, list[Played]] = {}
    for task, cells in runs:
        for cell in cells:
            kinds.setdefault(f"{'new tasks' if cell.task == task else 'original skills'}, {cell.split}, {cell.mode}", []).append(cell)
    for kind, cells in kinds.items():
        up, down, starts = (sum(getattr(cell, name) for cell in cells) for name in ("up", "down", "starts"))
        if up - down > SUM * math.sqrt(up + down):
            told = f"{up} successes that fail here, {down} failures that succeed here, of {starts}"
            faults.add(
                FILE, f"success on {kind}, all runs together", told, f"as many of the one as of the other, give or take {SUM * math.sqrt(up + down):.0f}"
            )


def against_fresh(runs: Sequence[tuple[str, Sequence[Played], Mapping[str, Mapping[str, float]]]], episodes: int, faults: Faults) -> None:
    """Add what is better on published starts than on fresh ones by more than chance: that was made for the published ones.

    runs: the new task, its cells, and success rates on that many fresh starts. Runs of one task share the starts, so that they count as one.
    """
    for kind, new in (("new tasks", True), ("original skills", False)):
        published: dict[str, list[float]] = {}
        fresh: dict[str, list[float]] = {}
        starts = 0
        for task, cells, rates in runs:
            for cell in cells:
                if cell.greedy and (cell.task == task) == new:
                    published.setdefault(cell.task, []).append(cell.told)
                    fresh.setdefault(cell.task, []).append(rates[cell.task]["final"])
                    starts = cell.starts
        pairs = [(float(np.mean(published[name])), float(np.mean(fresh[name]))) for name in published]
        gap = sum(one - other for one, other in pairs)
        error = math.sqrt(sum(_variance(one, starts, other, episodes) for one, other in pairs))
        if gap > SUM * error:
            one, other = (float(np.mean([pair[k] for pair in pairs])) for k in (0, 1))
            faults.add(FILE, f"success on {kind}, published starts", f"{one:.3f}", f"{other:.3f} as on fresh ones, at most {SUM * error / len(pairs):.3f} more")


def _variance(one: float, starts: int, other: float, episodes: int) -> float:
    """Of a difference of two rates, a success and a failure added to each (Agresti and Caffo 2000)."""
    p = (one * starts + other * episodes + 2) / (starts + episodes + 4)
    return p * (1 - p) * (1 / (starts + 2) + 1 / (episodes + 2))
