"""Does a policy still do what its base does when asked for its old skills in the new task's scenes?

A predictor of forgetting that needs no old task's starts or episodes, only its instruction: the base plays the new task's PROBE starts, asked for each old
skill with goals elsewhere, and divergences are measured where it goes. `python -m razorbench.asked build/study baselines/results/asked.csv` measures the
final policies of a study's runs, and keeps what is in the file already for runs whose policies are not there.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import bounded, policy, seeding
from razorbench.divergence import PER_STATE
from razorbench.errors import FileDamaged, UsageError
from razorbench.evaluate import Cell, play_policy
from razorbench.goals import Goals, with_goals
from razorbench.output import in_a_sentence
from razorbench.record import read_run
from razorbench.store import POLICY, write_atomically
from razorbench.task import Split, Task
from razorbench.types import BoolArray, FloatArray
from razorbench.walk import readable, walk


@dataclass(frozen=True)
class Asking:
    """How old skills are asked for. scenes: PROBE starts of the new task; states: how many are drawn of those visited."""

    use: ClassVar = "make asked"

    scenes: int
    states: int

    def visited(self, base: ActorCriticPolicy, task: Task, skills: Sequence[Task], goals: Goals) -> FloatArray:
        """Return states (M, O) of the base's sampled episodes in the new task's scenes, asked for every old skill with goals of every kind."""
        places = with_goals(replace(task, success=partial(_never, task)), goals)
        index = np.arange(self.scenes)
        cells = [Cell(replace(place, slot=skill.slot), Split.PROBE, index, "sampled") for skill in skills for place in places]
        states = play_policy(base, cells, keep=True).pairs()[0]
        chosen = seeding.generator("asked", task.id).choice(len(states), min(self.states, len(states)), replace=False)
        return states[np.sort(chosen)]


def measure(base: ActorCriticPolicy, tuned: ActorCriticPolicy, states: FloatArray) -> dict[str, float]:
    """Return the divergences between two policies on states (M, O), as `razorbench.probe.Ruler` defines them."""
    p, q = policy.distribution(base, states), policy.distribution(tuned, states)
    return {name: float(per_state(p, q).mean()) for name, per_state in PER_STATE.items()}


def _never(task: Task, readings: Any) -> BoolArray:
    """Episodes go on to their horizon: whether an old skill is done is old-task knowledge."""
    return np.zeros_like(task.success(readings))


def read(path: Path) -> dict[str, dict[str, float]]:
    """Return what was measured, by the run's hash and then by column; nothing if there is no file."""
    if not path.exists():
        return {}
    try:
        rows = csv.DictReader(bounded.text(bounded.read(path)).splitlines())
        return {row.pop("run"): {name: float(value) for name, value in row.items()} for row in rows}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise FileDamaged(f"{path} cannot be read ({error}): it is not what `python -m razorbench.asked` writes; restore or remove it") from error


def _write(path: Path, found: Mapping[str, Mapping[str, float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        columns = ["run", *next(iter(found.values()))]
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({"run": run} | {name: f"{value:.6g}" for name, value in row.items()} for run, row in sorted(found.items()))


def main() -> None:
    """Measure every run of a results folder whose final policy is there."""
    from razorbench.config import registry

    parser = argparse.ArgumentParser(description="Measure how far policies moved where their bases go, asked for old skills in the new task's scenes.")
    parser.add_argument("study", type=Path, help="results folder with runs and their policies")
    parser.add_argument("out", type=Path, help="CSV file to write, or to add to")
    options = parser.parse_args()
    paths = [path for path in walk(options.study).runs if (path.parent / POLICY).exists()] if options.study.is_dir() else []
    if not paths:
        parser.error(f"{options.study}: no run with its {POLICY} below this folder; give the folder that `results=` named")
    found, visited = read(options.out), dict[tuple[str, str], FloatArray]()
    with registry() as registered, policy.one_thread():
        asking: Asking = registered.item("study", "asked")
        for path, record in readable(paths, read_run):
            run = record["hashes"]["run"]
            if run in found:
                continue
            task, base = registered.recorded(record)
            tuned = policy.load(path.parent / POLICY, base.policy)
            key = base.id, task.fingerprint()
            if key not in visited:
                if base.goals is None:
                    raise UsageError(f"{base.id} names no goals, so it cannot be asked for old skills elsewhere: name some in its yaml")
                visited[key] = asking.visited(base.policy, task, base.skills, base.goals)
            found[run] = measure(base.policy, tuned, visited[key])
    write_atomically(options.out, lambda path: _write(path, found))
    print(f"{len(found)} runs measured: {options.out}")


if __name__ == "__main__":
    in_a_sentence(main)
