"""Tests whether declared, replayed and fresh rates can belong to one policy, in single cells and in sums, so that no tolerance adds up.

By rounding, a policy ends some episodes differently on another machine, as many for the better as for the worse. If n differ, the surplus of either kind has
the standard deviation sqrt(n) (McNemar 1947).
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
"""Tolerance of a single cell, in standard deviations: with 324 cells, one package in fifty exceeds it by chance."""
SUM = 3.0
"""Tolerance of a sum over all cells of a kind, in standard deviations."""


@dataclass(frozen=True)
class Played:
    """A replayed cell. base, declared: the package's success rates; replayed: the rate here; up: declared successes that fail here; down: the reverse."""

    task: str
    split: str
    mode: str
    starts: int
    base: float
    declared: float
    replayed: float
    up: int
    down: int

    @classmethod
    def of(cls, cell: tuple[str, str, str], base: BoolArray, declared: BoolArray, replayed: BoolArray) -> Played:
        """Compare the success of the same starts, (E,) each."""
        up, down = int((declared & ~replayed).sum()), int((replayed & ~declared).sum())
        return cls(*cell, len(declared), float(base.mean()), float(declared.mean()), float(replayed.mean()), up, down)

    @property
    def greedy(self) -> bool:
        """Whether success and retention use the cell."""
        return self.mode == "greedy" and self.split == Split.TEST.value


def single(file: str, cells: Sequence[Played], faults: Faults) -> None:
    """Add the cells whose declared rate differs from the policy's."""
    for cell in cells:
        if abs(cell.up - cell.down) > (allowed := CELL * math.sqrt(cell.up + cell.down)):
            what = f"success on {cell.task}, {cell.split}, {cell.mode}"
            faults.add(file, what, f"{cell.declared:.2f}", f"{cell.replayed:.2f} give or take {allowed / cell.starts:.2f}, as replayed")


def pooled(runs: Sequence[tuple[str, Sequence[Played]]], faults: Faults) -> None:
    """Add the kinds of cells that, over all runs, are declared better than chance allows. runs: the new task and its cells."""
    kinds: dict[str, list[Played]] = {}
    for task, cells in runs:
        for cell in cells:
            kinds.setdefault(f"{'new tasks' if cell.task == task else 'original skills'}, {cell.split}, {cell.mode}", []).append(cell)
    for kind, cells in kinds.items():
        up, down, starts = (sum(getattr(cell, name) for cell in cells) for name in ("up", "down", "starts"))
        if up - down > SUM * math.sqrt(up + down):
            declared = f"{up} successes that fail here, {down} failures that succeed here, of {starts}"
            faults.add(
                FILE, f"success on {kind}, all runs together", declared, f"as many of the one as of the other, give or take {SUM * math.sqrt(up + down):.0f}"
            )


def against_fresh(runs: Sequence[tuple[str, Sequence[Played], Mapping[str, Mapping[str, float]]]], episodes: int, faults: Faults) -> None:
    """Add success that is higher on published starts than on fresh ones by more than chance: the policies were fitted to the published ones.

    runs: the new task, its cells, and success rates on fresh starts; episodes: number of fresh starts. Runs of a task share starts, so they count as one.
    """
    for kind, new in (("new tasks", True), ("original skills", False)):
        published: dict[str, list[float]] = {}
        fresh: dict[str, list[float]] = {}
        starts = 0
        for task, cells, rates in runs:
            for cell in cells:
                if cell.greedy and (cell.task == task) == new:
                    published.setdefault(cell.task, []).append(cell.declared)
                    fresh.setdefault(cell.task, []).append(rates[cell.task]["final"])
                    starts = cell.starts
        pairs = [(float(np.mean(published[name])), float(np.mean(fresh[name]))) for name in published]
        gap = sum(one - other for one, other in pairs)
        error = math.sqrt(sum(_variance(one, starts, other, episodes) for one, other in pairs))
        if gap > SUM * error:
            one, other = (float(np.mean([pair[k] for pair in pairs])) for k in (0, 1))
            faults.add(FILE, f"success on {kind}, published starts", f"{one:.3f}", f"{other:.3f} as on fresh ones, at most {SUM * error / len(pairs):.3f} more")


def _variance(one: float, starts: int, other: float, episodes: int) -> float:
    """Return the variance of a difference of two rates, with a success and a failure added to each (Agresti and Caffo 2000)."""
    p = (one * starts + other * episodes + 2) / (starts + episodes + 4)
    return p * (1 - p) * (1 / (starts + 2) + 1 / (episodes + 2))
