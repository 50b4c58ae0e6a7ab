"""SFT with recall: `sft_rehearse` with goals that suit the old skills, so that the base performs them.

In the new task's scenes, the new task's goals mean little to most old skills: pulling the lever gets a goal on the pad. Here a goal lies near the object,
above it, in the air, or at a fixture. Objective, budget and requirements are those of `sft_rehearse`. Ours.
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
    """Adam's learning rate, constant; chosen by the search."""

    def goals(self, task: TaskHandle) -> Goals:
        """Return the base's goals of every kind. Raises UsageError if the base's recipe has none."""
        if task.goals is None:
            raise UsageError("the base's recipe has no `goals`, which sft_recall needs: add them as in conf/base/mlp.yaml")
        return task.goals
