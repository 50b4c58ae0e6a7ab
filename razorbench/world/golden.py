"""Golden trajectories: 20 decisions of a fixed open-loop sequence per task, to tell whether physics is what it was.

On the platform and MuJoCo version that the file names, states must be equal to the last bit. Elsewhere contacts may
part: there states must agree within 1e-4 over the first decisions, in which the arm moves freely, and so must the
verdict on success. `razorbench check NAME --golden FILE` compares; `python -m razorbench.world.golden FILE` writes ours anew.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np

from razorbench import seeding
from razorbench.errors import FileDamaged
from razorbench.store import provenance
from razorbench.task import Split, Task
from razorbench.types import FloatArray
from razorbench.world.engine import MujocoEngine

DECISIONS = 20
FREE_DECISIONS = 2
TOLERANCE = 1e-4


def platform() -> str:
    """What decides the last bit, as canonical JSON."""
    machine = provenance.machine()
    return json.dumps({"mujoco": mujoco.__version__, **{key: machine[key] for key in ("system", "architecture", "processor", "simd")}}, sort_keys=True)


def trajectory(task: Task) -> tuple[FloatArray, bool]:
    """Play the fixed sequence from TEST start 0; returns states (21, nstate) and whether the task was ever solved."""
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
    """Return how the task's trajectory differs from the one in a golden file, or None.

    Raises `FileDamaged` if the file cannot be read.
    """
    try:
        with file.open("rb") as handle, np.load(handle, allow_pickle=False) as golden:
            if task.id not in golden:
                return f"it has no golden trajectory in {file}: delete the file and check again to write it anew"
            there, then, solved_then = str(golden["platform"]), golden[task.id], bool(golden[f"{task.id}/solved"])
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise FileDamaged(f"{file} is not a file of golden trajectories ({error}): give another name, or delete it and check again to write it anew") from error
    now, solved = trajectory(task)
    if there == platform():
        if np.array_equal(now, then) and solved == solved_then:
            return None
        first = np.flatnonzero((now != then).any(axis=1))
        return f"the golden trajectory differs from decision {first[0] if len(first) else DECISIONS} on, on the very platform of its file"
    gap = float(np.abs(now[: FREE_DECISIONS + 1] - then[: FREE_DECISIONS + 1]).max())
    if gap > TOLERANCE or solved != solved_then:
        return (
            f"the golden trajectory is off by {gap:.2g} in the first {FREE_DECISIONS} decisions ({TOLERANCE} are allowed); "
            f"solved: {solved}, then: {solved_then}"
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
