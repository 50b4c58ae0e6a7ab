"""SFT with recall: `sft_rehearse` with goals elsewhere, so that the old skills are at work while the base is asked for them.

In the new task's scenes a goal of the new task's kind means little to most old skills: asked to pull the lever, the base is told to do so at the pad. Here a
goal lies near the object, above it, in the air, or at a thing that can be worked. Objective, budget and what is needed are those of `sft_rehearse`. Ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from razorbench.baselines.sft_rehearse import SFTRehearse
from razorbench.errors import UsageError
from razorbench.method import TaskHandle
from razorbench.task import Goals


@dataclass(frozen=True)
class SFTRecall(SFTRehearse):
    """Hyper-parameters of `sft_rehearse`."""

    learning_rate: float = 3e-4
    """Adam's step, constant; what the search found."""

    def goals(self, task: TaskHandle) -> Goals:
        """Return the goals of every kind that the base's world has."""
        if task.goals is None:
            raise UsageError("the base's recipe does not say where goals may lie, which sft_recall needs: give it `goals`, as conf/base/mlp.yaml does")
        return task.goals
