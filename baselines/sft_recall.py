"""SFT with recall: `sft_rehearse` with goals elsewhere, so that the old skills are at work while the base is asked for them.

In the new task's scenes a goal of the new task's kind means little to most old skills: asked to pull the lever, the base is told to do so at the pad. Here a
goal lies near the object, above it, in the air, or at a thing that can be worked. Objective, budget and what is needed are those of `sft_rehearse`. Ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from razorbench.baselines.sft_rehearse import SFTRehearse
from razorbench.method import Need, TaskHandle
from razorbench.task import Goals


@dataclass(frozen=True)
class SFTRecall(SFTRehearse):
    """Hyper-parameters of `sft_rehearse`."""

    learning_rate: float = 3e-4
    """Adam's step, constant; what the search found."""

    needs: ClassVar[frozenset[Need]] = SFTRehearse.needs | {Need.GOALS}

    def goals(self, task: TaskHandle) -> Goals | None:
        """Return the goals of every kind that the base's world has."""
        return task.goals
