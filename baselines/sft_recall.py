"""SFT with recall: `sft_rehearse` with goals that suit the old skills, so that the base performs them.

In the new task's scenes, the new task's goals mean little to most old skills: pulling the lever gets a goal on the pad. Here a goal lies near the object,
above it, in the air, or at a fixture. Objective, budget and requirements are those of `sft_rehearse`. Ours.
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
    """Adam's learning rate, constant; chosen by the search."""

    needs: ClassVar[frozenset[Need]] = SFTRehearse.needs | {Need.GOALS}

    def goals(self, task: TaskHandle) -> Goals | None:
        """Return the goals of every kind that the base's world has."""
        return task.goals
