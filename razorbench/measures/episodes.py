"""The table of episodes: one row per played episode, kept beside every record."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from razorbench.errors import FileDamaged
from razorbench.measures.success import wilson
from razorbench.store.folder import EPISODES, PACKED_EPISODES, content, turned
from razorbench.store.record import Rate
from razorbench.types import BoolArray
from razorbench.world.rollout import Cell, Played

COLUMNS = ("policy", "task", "split", "mode", "start", "success", "length")
_MOST_ROWS = 5_000_000
"""Episodes of a file; a run of ten thousand snapshots has four million."""
Row = tuple[str, str, str, str, int, bool, int]


@dataclass(frozen=True)
class Episodes:
    """Rows of (policy, task, split, mode, start, success, length in decisions)."""

    rows: tuple[Row, ...] = ()

    @classmethod
    def of(cls, policy: str, cells: Sequence[Cell], played: Played) -> Episodes:
        """Table what was played."""
        return cls(
            tuple(
                (policy, cells[k].task.name, cells[k].split.value, cells[k].mode, int(start), bool(success), int(length))
                for k, start, success, length in zip(played.cell, played.start, played.success, played.length, strict=True)
            )
        )

    def __add__(self, other: Episodes) -> Episodes:
        return Episodes(self.rows + other.rows)

    def success(self, policy: str, task: str, split: str, mode: str = "greedy", first: int | None = None) -> BoolArray:
        """Return success per start, in order of start index, (E,); `first` keeps the starts below it."""
        # The policy's name alone rules out nearly every row.
        mine = (row for row in self.rows if row[0] == policy and row[1] == task)
        chosen = [(row[4], row[5]) for row in mine if row[2:4] == (split, mode) and (first is None or row[4] < first)]
        return np.array([solved for _, solved in sorted(chosen)], dtype=bool)

    def write(self, path: Path) -> None:
        """Write gzipped CSV, the same bytes for the same rows."""
        path.write_bytes(gzip.compress(self.text().encode(), mtime=0))

    def text(self) -> str:
        """Return CSV with a line of column names."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((*row[:5], int(row[5]), row[6]) for row in self.rows)
        return text.getvalue()

    @classmethod
    def read(cls, path: Path) -> Episodes:
        """Read what `write` wrote, or the same as `compact` keeps it; raises FileDamaged if it is anything else."""
        try:
            data = content(path, "delete its folder and run again")
            if data.count(b",") > _MOST_ROWS * (len(COLUMNS) - 1):
                raise ValueError(f"more than {_MOST_ROWS} episodes")
            text = data.decode()
            return cls.parsed(turned(text) if path.name == PACKED_EPISODES else text)
        except (ValueError, StopIteration, csv.Error) as error:
            raise FileDamaged(
                f"episodes {path} cannot be read ({error}): expected CSV with columns {', '.join(COLUMNS)}; delete its folder and run again"
            ) from error

    @classmethod
    def parsed(cls, text: str) -> Episodes:
        """Return what `text` told; raises ValueError or StopIteration if it is anything else."""
        lines = csv.reader(io.StringIO(text))
        if tuple(next(lines)) != COLUMNS:
            raise ValueError("other columns")
        return cls(tuple((p, t, sp, m, int(st), bool(int(ok)), int(n)) for p, t, sp, m, st, ok, n in lines))

    @classmethod
    def of_run(cls, folder: Path) -> Episodes:
        """Read a run's episodes, as the run left them or packed; raises FileDamaged if the file is missing or damaged."""
        return cls.read(folder / (PACKED_EPISODES if (folder / PACKED_EPISODES).exists() else EPISODES))


def rate(success: BoolArray) -> Rate:
    """Return the success rate with its Wilson interval. success: (E,)."""
    k, n = int(np.sum(success)), len(success)
    return Rate(successes=k, episodes=n, rate=k / n, ci95=list(wilson(k, n)))
