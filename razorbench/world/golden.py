"""Golden trajectories: 20 decisions of a fixed open-loop sequence per task, a regression test of the physics.

On the file's platform and MuJoCo version, states must be bit-equal. Elsewhere contacts may differ: states must agree within 1e-4 over the first
decisions, in which the arm moves freely, and success must agree. `razorbench check NAME --golden FILE` compares; `python docs/make/golden_file.py`
writes the shipped file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np

from razorbench import seeding
from razorbench.errors import FileDamaged
from razorbench.store import bounded, provenance
from razorbench.task import Split, Task
from razorbench.types import FloatArray
from razorbench.world.engine import MujocoEngine

DECISIONS = 20
FREE_DECISIONS = 2
TOLERANCE = 1e-4


def platform() -> str:
    """Return the versions and hardware that decide the last bit, as canonical JSON."""
    machine = provenance.machine()
    return json.dumps({"mujoco": mujoco.__version__, **{key: machine[key] for key in ("system", "architecture", "processor", "simd")}}, sort_keys=True)


def trajectory(task: Task) -> tuple[FloatArray, bool]:
    """Play the fixed sequence from TEST start 0. Returns states (21, nstate) and whether the task was ever solved."""
    engine, ids = MujocoEngine([task], 1, threads=1), np.zeros(1, dtype=np.int64)
    engine.begin(ids, 0, task.starts(Split.TEST, ids))
    actions = 2 * seeding.uniforms(seeding.key("golden", task.id), np.arange(DECISIONS), task.world.action_size) - 1
    states, solved = [engine.state[0].copy()], False
    for action in actions:
        engine.step(ids, action[None])
        states.append(engine.state[0].copy())
        solved = solved or bool(engine.success(ids)[0])
    return np.array(states), solved


def difference(task: Task, file: Path) -> str | None:
    """Return how the task's trajectory differs from the golden file, or None. Raises FileDamaged if the file cannot be read."""
    try:
        golden = bounded.arrays(bounded.read(file))
        if task.id not in golden:
            return f"it has no golden trajectory in {file}: delete the file and check again to rewrite it"
        golden_platform, golden_states, golden_solved = str(golden["platform"]), golden[task.id], bool(golden[f"{task.id}/solved"])
    except (ValueError, KeyError) as error:
        raise FileDamaged(f"{file} is not a file of golden trajectories ({error}): give another name, or delete it and check again to rewrite it") from error
    states, solved = trajectory(task)
    if golden_platform == platform():
        if np.array_equal(states, golden_states) and solved == golden_solved:
            return None
        first = np.flatnonzero((states != golden_states).any(axis=1))
        return f"the golden trajectory differs from decision {first[0] if len(first) else DECISIONS} on, on the very platform of its file"
    gap = float(np.abs(states[: FREE_DECISIONS + 1] - golden_states[: FREE_DECISIONS + 1]).max())
    if gap > TOLERANCE or solved != golden_solved:
        return (
            f"the golden trajectory is off by {gap:.2g} in the first {FREE_DECISIONS} decisions ({TOLERANCE} are allowed); "
            f"solved: {solved}, then: {golden_solved}"
        )
    return None


def write(tasks: Sequence[Task], file: Path) -> None:
    """Write a golden file for these tasks."""
    arrays: dict[str, FloatArray] = {}
    for task in tasks:
        states, solved = trajectory(task)
        arrays |= {task.id: states, f"{task.id}/solved": np.array(solved)}
    with file.open("wb") as out:
        np.savez_compressed(out, allow_pickle=False, platform=np.array(platform()), **arrays)
