"""Does a policy still act as its base does when it gets the instructions of old skills in the new task's scenes?

A predictor of forgetting that needs no starts or episodes of old tasks, only their instructions: the base plays the PROBE starts of the new task,
with the instruction of each old skill and goals elsewhere, and divergences are measured on the states it visits.
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
    """How states are collected. scenes: PROBE starts of the new task; states: how many are drawn of those visited."""

    use: ClassVar = "python docs/make/recall_file.py"

    scenes: int
    states: int

    def visited(self, base: ActorCriticPolicy, task: Task, skills: Sequence[Task], goals: Goals) -> FloatArray:
        """Return states (M, O) of the base's sampled episodes in the new task's scenes, under every old skill's instruction with goals of every kind."""
        places = with_goals(replace(task, success=partial(_never, task)), goals)
        index = np.arange(self.scenes)
        cells = [Cell(replace(place, slot=skill.slot), Split.PROBE, index, "sampled") for skill in skills for place in places]
        states = play_policy(base, cells, keep=True).pairs()[0]
        chosen = seeding.generator("asked", task.id).choice(len(states), min(self.states, len(states)), replace=False)
        return states[np.sort(chosen)]


def measure(base: ActorCriticPolicy, tuned: ActorCriticPolicy, states: FloatArray) -> dict[str, float]:
    """Return the divergences between two policies on states (M, O), as `razorbench.measures.probe_states.Ruler` defines them."""
    p, q = network.distribution(base, states), network.distribution(tuned, states)
    return {name: float(per_state(p, q).mean()) for name, per_state in PER_STATE.items()}


def _never(task: Task, readings: Any) -> BoolArray:
    """Episodes go on to their horizon: whether an old skill is done is old-task knowledge."""
    return np.zeros_like(task.success(readings))
