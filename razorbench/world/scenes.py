"""A task's own scenes with other goals, for the instructions of other skills."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from razorbench.task import Goals, Start, Task
from razorbench.types import FloatArray
from razorbench.world.engine import engine_for


def with_goals(task: Task, goals: Goals) -> list[Task]:
    """Return copies of the task, one for each kind of goals, with these instead of its own."""
    kinds = len(_goals(task, goals, np.zeros((1, task.world.start_uniforms))))
    return [replace(task, start=partial(_start, task, goals, kind)) for kind in range(kinds)]


def _start(task: Task, goals: Goals, kind: int, u: FloatArray) -> Start:
    return Start(task.start(u).state, _goals(task, goals, u)[kind])


def _goals(task: Task, goals: Goals, u: FloatArray) -> list[FloatArray]:
    engine, ids = engine_for([task], len(u), 1), np.arange(len(u))
    engine.begin(ids, 0, task.start(u))
    return goals(engine.readings(ids), u)
