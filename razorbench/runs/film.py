"""Films of base and tuned policy side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.bases.base import Base
from razorbench.errors import UsageError
from razorbench.policy import network as policies
from razorbench.policy.network import distribution
from razorbench.store.folder import POLICY, RECORD, write_atomically
from razorbench.store.reading import read_run
from razorbench.store.record import Record
from razorbench.task import Split, Task
from razorbench.world.camera import Camera, Picture, caption, write
from razorbench.world.engine import MujocoEngine

_HOLD = 10
"""Number of frames that show an episode's last picture."""


def film(folder: Path, named: Callable[[Record], tuple[Task, Base]], kind: str, episodes: int) -> list[Path]:
    """Film base and tuned policy side by side on the new task and the most forgotten skill. Returns the files. named: returns a record's task and base."""
    record = read_run(folder / RECORD)
    task, base = named(record)
    tuned = policies.load(folder / POLICY, base.policy)
    skills = {skill.name: skill for skill in base.skills}
    lost = {name: rates.base.greedy.rate - rates.final.greedy.rate for name, rates in record.original.items()}
    worst = max(skills, key=lambda name: lost.get(name, -2.0))
    (videos := folder / "videos").mkdir(exist_ok=True)
    if videos.is_symlink():
        raise UsageError(f"{videos} is a link, and films belong in the run's own folder; remove the link")
    paths = []
    for filmed in (task, skills[worst]):
        path = videos / f"{filmed.name}.{kind}"
        frames = _side_by_side(filmed, {"base": base.policy, f"after {record.method.name}": tuned}, episodes)
        write_atomically(path, partial(write, frames=frames))
        paths.append(path)
    return paths


def _side_by_side(task: Task, policies_by_name: Mapping[str, ActorCriticPolicy], episodes: int) -> Iterator[Picture]:
    camera = Camera(task)
    try:
        for start in range(episodes):
            takes = [list(_take(task, policy, start, camera, f"{task.name}, {name}")) for name, policy in policies_by_name.items()]
            length = max(map(len, takes)) + _HOLD
            for frame in range(length):
                yield np.concatenate([take[min(frame, len(take) - 1)] for take in takes], axis=1)
    finally:
        camera.close()


def _take(task: Task, policy: ActorCriticPolicy, start: int, camera: Camera, title: str) -> Iterator[Picture]:
    """Yield the pictures of one greedy episode on a TEST start, with a caption."""
    engine, ids = MujocoEngine([task], 1, threads=1), np.zeros(1, dtype=np.int64)
    engine.begin(ids, 0, task.starts(Split.TEST, np.array([start])))
    goal = engine.goal[0, :3]
    yield caption(camera.picture(engine.state[0], goal), title, "")
    for _ in range(task.horizon):
        engine.step(ids, distribution(policy, engine.observe(ids)).mode())
        solved = bool(engine.success(ids)[0])
        yield caption(camera.picture(engine.state[0], goal), title, "solved" if solved else "")
        if solved:
            return
    yield caption(camera.picture(engine.state[0], goal), title, "not solved")
