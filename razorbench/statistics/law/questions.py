"""What the law is asked, and of which methods: declared in `conf/study/questions.yaml`, so that the library knows no method by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from razorbench.statistics.law.points import Points
from razorbench.types import BoolArray


@dataclass(frozen=True)
class Questions:
    """papers: families that the paper compares; ours: families designed in this repository; protecting: methods with a term for old behaviour.

    examples: pairs of arms of which the first may move further and lose less, or the reverse; found: pairs compared while a method was being designed.
    """

    use: ClassVar = "razorbench report RESULTS --out DIR"

    papers: Sequence[str]
    ours: Sequence[str]
    protecting: Sequence[str]
    examples: Sequence[tuple[str, str]]
    found: Sequence[tuple[str, str]]

    def subsets(self, points: Points) -> dict[str, BoolArray]:
        """Return the runs (R,) of all arms, without methods designed here, and without methods that have a term for old behaviour, by name."""
        methods = np.array([arm.partition("/")[0] for arm in points.arm])
        return {
            "all": np.ones(len(points.arm), dtype=bool),
            "without methods designed here": ~np.isin(points.family, self.ours),
            "without a term for old behavior": ~np.isin(methods, self.protecting),
        }

    def of_the_paper(self, points: Points) -> BoolArray:
        """Return which runs (R,) are of the paper's families."""
        return np.isin(points.family, self.papers)
