"""The input of a report, and its parts: sections, tables, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from razorbench.reports.drawing import Picture
from razorbench.reports.looks import Look, looks
from razorbench.reports.tables import Table
from razorbench.statistics.comparison import MEASURES, Measure, Number, numbers
from razorbench.statistics.finished_runs import Run
from razorbench.statistics.pooling import Pool
from razorbench.statistics.suite_score import Suite, suite
from razorbench.store.estimate import Undefined


@dataclass(frozen=True)
class Material:
    """Input of a report. runs: pooled; apart: excluded runs with reasons; looks: of the arms, in display order; out: the page's folder.

    notes: sentences about the pooling.
    """

    runs: Sequence[Run]
    apart: Sequence[tuple[Run, str]]
    looks: Mapping[str, Look]
    out: Path
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, pool: Pool, families: Mapping[str, str], out: Path) -> Material:
        """Return the input of a report, with the arms sorted by score at `best`; arms without a score on every task come last.

        families: of registered methods, by name.
        """
        unsorted = cls(pool.runs, pool.apart, looks(pool.runs, families), out)
        scores = {arm: unsorted.suite(arm, MEASURES["score@best"]) for arm in unsorted.looks}
        order = sorted(scores, key=lambda arm: _rank(scores[arm]))
        return cls(pool.runs, pool.apart, {arm: unsorted.looks[arm] for arm in order}, out, pool.notes)

    @cached_property
    def tasks(self) -> list[str]:
        """Names of the new tasks, sorted."""
        return sorted({run.task for run in self.runs})

    @cached_property
    def by_arm(self) -> dict[str, list[Run]]:
        """Every arm's runs, in the order of `looks`."""
        return {arm: [run for run in self.runs if run.arm == arm] for arm in self.looks}

    def suite(self, arm: str, measure: Measure | Callable[[Run], float | None]) -> Suite:
        """Return an arm's number over tasks."""
        runs = self.by_arm[arm]
        if isinstance(measure, Measure):
            return suite(numbers(runs, arm, measure), self.tasks)
        values = {(run.task, run.seed): measure(run) for run in runs}
        return suite({key: Number.exact(number) for key, number in values.items() if number is not None}, self.tasks)


def _rank(score: Suite) -> tuple[int, float]:
    return len(score.lacking), np.inf if isinstance(score.value, Undefined) else -score.value.value


@dataclass(frozen=True)
class Gallery:
    """Pictures, side by side if there is room."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Folded:
    """Blocks that a click on their title shows."""

    title: str
    blocks: Sequence[Table | Gallery]


Block = Table | Gallery | Folded


@dataclass(frozen=True)
class Section:
    """A part of the page. text: paragraphs under its title."""

    title: str
    text: Sequence[str]
    blocks: Sequence[Block]


def tables(sections: Sequence[Section]) -> list[Table]:
    """Return every table of a report, without those of pictures."""
    return [block for block in _flat(sections) if isinstance(block, Table)]


def pictures(sections: Sequence[Section]) -> list[Picture]:
    """Return every picture of a report."""
    return [picture for block in _flat(sections) if isinstance(block, Gallery) for picture in block.pictures]


def _flat(sections: Sequence[Section]) -> list[Table | Gallery]:
    blocks: list[Table | Gallery] = []
    for block in (block for section in sections for block in section.blocks):
        blocks += block.blocks if isinstance(block, Folded) else [block]
    return blocks
