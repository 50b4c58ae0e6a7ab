"""Groups of methods for the law's tables, declared in `conf/study/questions.yaml`: the library names no method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from razorbench.statistics.law.points import Points
from razorbench.types import BoolArray


@dataclass(frozen=True)
class Questions:
    """papers: families that the paper compares; ours: families designed in this repository; protecting: methods with a term for old behavior.

    examples: pairs of arms where the first may have more KL and less forgetting, or the reverse; found: pairs compared while a method was designed.
    """

    use: ClassVar = "razorbench report RESULTS --out DIR"

    papers: Sequence[str]
    ours: Sequence[str]
    protecting: Sequence[str]
    examples: Sequence[tuple[str, str]]
    found: Sequence[tuple[str, str]]

    def subsets(self, points: Points) -> dict[str, BoolArray]:
        """Return three masks of runs (R,) by name: all arms, without methods designed here, without methods that have a term for old behavior."""
        methods = np.array([arm.partition("/")[0] for arm in points.arm])
        return {
            "all": np.ones(len(points.arm), dtype=bool),
            "without methods designed here": ~np.isin(points.family, self.ours),
            "without a term for old behavior": ~np.isin(methods, self.protecting),
        }

    def of_the_paper(self, points: Points) -> BoolArray:
        """Return which runs belong to the paper's families, (R,)."""
        return np.isin(points.family, self.papers)
