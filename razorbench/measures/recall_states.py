"""Recall states: divergence of a policy from its base under the old skills' instructions in the new task's scenes.

A predictor of forgetting that needs only the instructions of old tasks, not their starts or episodes. The base plays the PROBE starts of the new task
with each old skill's instruction and with goals elsewhere; divergences are measured on the states that it visits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.measures.divergence import PER_STATE
from razorbench.policy import network
from razorbench.task import Goals, Split, Task
from razorbench.types import BoolArray, FloatArray
from razorbench.world.rollout import Cell, play_policy
from razorbench.world.scenes import with_goals


@dataclass(frozen=True)
class Asking:
    """Collection of recall states. scenes: number of PROBE starts of the new task; states: number drawn from the visited states."""

    use: ClassVar = "python docs/make/recall_file.py"

    scenes: int
    states: int

    def visited(self, base: ActorCriticPolicy, task: Task, skills: Sequence[Task], goals: Goals) -> FloatArray:
        """Return states (M, O) of the base's sampled episodes in the new task's scenes, under every old skill's instruction and every kind of goal."""
        places = with_goals(replace(task, success=partial(_never, task)), goals)
        index = np.arange(self.scenes)
        cells = [Cell(replace(place, slot=skill.slot), Split.PROBE, index, "sampled") for skill in skills for place in places]
        states = play_policy(base, cells, keep=True).pairs()[0]
        chosen = seeding.generator("asked", task.id).choice(len(states), min(self.states, len(states)), replace=False)
        return states[np.sort(chosen)]


def measure(base: ActorCriticPolicy, tuned: ActorCriticPolicy, states: FloatArray) -> dict[str, float]:
    """Return the per-state divergences between two policies, mean over states (M, O), see `probe_states.Ruler`."""
    p, q = network.distribution(base, states), network.distribution(tuned, states)
    return {name: float(per_state(p, q).mean()) for name, per_state in PER_STATE.items()}


def _never(task: Task, readings: Any) -> BoolArray:
    """Return False for every environment, so that episodes last to the horizon: success on an old skill is old-task knowledge."""
    return np.zeros_like(task.success(readings))
