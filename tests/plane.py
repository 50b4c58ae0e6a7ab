"""A world that is no MuJoCo model, in one file as a user would write it: points on a plane that go to a place. It has no instructions and no goals."""

from functools import partial

import numpy as np

from razorbench.errors import NotFinite
from razorbench.task import Start, Task


class Plane:
    version = "plane-1"
    observation_size, action_size, goal_size = 4, 2, 0
    instruction = None
    start_uniforms, width = 4, 64

    def engine(self, tasks, size, threads):
        return Points(tasks, size)

    def digest(self):
        return ""


PLANE = Plane()


class Points:
    world = PLANE

    def __init__(self, tasks, size):
        self.tasks, self.task, self.state = tuple(tasks), np.zeros(size, dtype=int), np.zeros((size, 4))

    def begin(self, ids, task, start):
        self.task[ids], self.state[ids] = task, start.state

    def step(self, ids, actions):
        if not np.isfinite(actions).all():
            raise NotFinite("actions must be finite")
        self.state[ids, :2] += 0.05 * np.clip(actions, -1.0, 1.0)

    def readings(self, ids):
        return self.state[ids]

    def observe(self, ids):
        return self.state[ids].astype(np.float32)

    def success(self, ids):
        return self._of_each(ids, lambda task: task.success, np.zeros(len(ids), dtype=bool))

    def shaped(self, ids):
        return np.zeros(len(ids))

    def expert(self, ids, style=None):
        return self._of_each(ids, lambda task: task.experts[style or task.style], np.zeros((len(ids), 2)))

    def _of_each(self, ids, chosen, values):
        for k in np.unique(self.task[ids]):
            mine = self.task[ids] == k
            values[mine] = chosen(self.tasks[k])(self.readings(ids[mine]))
        return values


def start(u, *, side):
    """The point in the middle, its place on a side."""
    place = np.stack([side * (0.5 + 0.5 * u[:, 2]), 2 * u[:, 3] - 1], axis=1)
    return Start(np.concatenate([0.4 * u[:, :2] - 0.2, place], axis=1), np.zeros((len(u), 0)))


def arrived(state):
    return np.linalg.norm(state[:, :2] - state[:, 2:], axis=1) < 0.12


def straight(state):
    return np.clip(10 * (state[:, 2:] - state[:, :2]), -1.0, 1.0)


def make(id, side, scripted=True):
    experts = {"straight": straight} if scripted else {}
    return Task(id=id, world=PLANE, slot=0, horizon=30, start=partial(start, side=side), success=arrived, experts=experts)
