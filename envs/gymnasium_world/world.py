"""Any Gymnasium environment as a task, in a Python of its own: see docs/worlds/gymnasium.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from razorbench.envs.gymnasium_world.engine import Readings, WorkerEngine
from razorbench.envs.gymnasium_world.workers import Pool, pool
from razorbench.errors import UsageError
from razorbench.task import PROMISES, Start, Task
from razorbench.types import BoolArray, FloatArray

_SEEDS = 2**32


@dataclass
class GymnasiumWorld:
    """What the environments of several tasks share. Fields with compare=False concern this machine: they are in no hash and no record.

    Raises UsageError for values that are not allowed.
    """

    version: str
    """Name and version, `fetch-1`; raise it with every change that could move a result, such as other packages in the worker's Python."""
    observation_size: int
    action_size: int
    python: str = field(default="", compare=False)
    """Path of the interpreter; `$NAME` stands for an environment variable, nothing for this Python."""
    modules: tuple[str, ...] = ()
    """Modules to import there first, which register environments."""
    packages: tuple[str, ...] = ()
    """Packages there whose versions a record names, besides gymnasium and numpy."""
    processes: int = field(default=2, compare=False)
    width: int = field(default=16, compare=False)
    """Episodes that an evaluation plays at once, so also the number of environments that it makes of each task."""
    patience: float = field(default=60.0, compare=False)
    """Seconds that a worker may take to answer."""
    seeding: str = "reset"
    """`reset` for reset(seed=...), `method` for env.unwrapped.seed(...)."""
    success: str | float = "is_success"
    """A key of `info`, or the return that an episode must have when it ends."""
    keys: tuple[str, ...] = ()
    """Parts of a dictionary observation to join, in this order."""
    rescale_observations: bool = False
    """Whether observations are mapped from their box to [-1, 1]."""
    promises: tuple[str, ...] = PROMISES
    """What holds of its episodes; `razorbench check TASK` measures it."""

    goal_size: int = field(default=0, init=False)
    instruction: None = field(default=None, init=False)
    start_uniforms: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        for name in ("observation_size", "action_size", "processes", "width", "patience"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} is {getattr(self, name)}: it must be above 0")
        if self.seeding not in ("reset", "method"):
            raise UsageError(f"seeding is {self.seeding!r}: it must be reset or method")
        if unknown := sorted(set(self.promises) - set(PROMISES)):
            raise UsageError(f"promises name {', '.join(unknown)}: there are {', '.join(PROMISES)}")
        if "seeded" not in self.promises:
            raise UsageError("promises lack seeded: an environment whose seeds do not decide its starts has no TEST starts, and cannot be used")

    def engine(self, tasks: Sequence[Task], size: int, threads: int | None) -> WorkerEngine:
        """Return an engine for some of the world's tasks. threads: number of processes, by default the world's."""
        return WorkerEngine(tasks, size, self._pool(self.processes if threads is None else threads))

    def versions(self) -> Mapping[str, str]:
        """Return versions of the workers' Python and packages."""
        return self._pool(self.processes).versions

    def digest(self) -> str:
        """Only worlds that ship have a digest in the lock."""
        return ""

    def _pool(self, processes: int) -> Pool:
        return pool(self.version, self.python, self.modules, self.packages, processes, self.patience)


def make(
    id: str,
    world: GymnasiumWorld,
    env: str,
    horizon: int,
    arguments: Mapping[str, Any] | None = None,
    success: str | float | None = None,
    reward: str = "sparse",
) -> Task:
    """Return the task to solve an environment.

    env, arguments: id and keyword arguments of `gymnasium.make`; horizon: in decisions; success: if it differs from the world's; reward: `sparse`, 1 on
    success, or `shaped`, plus the environment's own.
    """
    rule = world.success if success is None else success
    given = {"env": env, "arguments": dict(arguments or {}), "keys": list(world.keys), "seeding": world.seeding, "success": rule, "horizon": horizon}
    sizes = {"observation_size": world.observation_size, "action_size": world.action_size, "rescale_observations": world.rescale_observations}
    variant = json.dumps({**given, **sizes}, sort_keys=True)
    return Task(id=id, world=world, slot=0, horizon=horizon, start=_seeds, success=_solved, experts={}, variant=variant, reward=reward)


def _seeds(u: FloatArray) -> Start:
    return Start(np.floor(u * _SEEDS), np.zeros((len(u), 0)))


def _solved(readings: Readings) -> BoolArray:
    return readings.solved
