"""Measures the divergences of a study's final policies on the states that their bases visit under the instructions of old skills.

`python docs/make/recall_file.py build/study baselines/results/asked.csv` measures all runs with a policy and keeps the rows of all others.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

from razorbench.errors import FileDamaged, UsageError
from razorbench.measures.recall_states import Asking, measure
from razorbench.policy import network
from razorbench.registry.config import registry
from razorbench.store import bounded
from razorbench.store.folder import POLICY, write_atomically
from razorbench.store.output import in_a_sentence
from razorbench.store.reading import read_run
from razorbench.store.walk import readable, walk
from razorbench.types import FloatArray


def read(path: Path) -> dict[str, dict[str, float]]:
    """Return the measurements by run hash and column; empty if there is no file."""
    if not path.exists():
        return {}
    try:
        rows = csv.DictReader(bounded.text(bounded.read(path)).splitlines())
        return {row.pop("run"): {name: float(value) for name, value in row.items()} for row in rows}
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise FileDamaged(f"{path} cannot be read ({error}): it is not what `docs/make/recall_file.py` writes; restore or remove it") from error


def _write(path: Path, found: Mapping[str, Mapping[str, float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        columns = ["run", *next(iter(found.values()))]
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({"run": run} | {name: f"{value:.6g}" for name, value in row.items()} for run, row in sorted(found.items()))


def main() -> None:
    """Measure all runs of a results folder that have their final policy."""
    parser = argparse.ArgumentParser(description="Measure how far policies moved on states that their bases visit under old skills' instructions.")
    parser.add_argument("study", type=Path, help="results folder with runs and their policies")
    parser.add_argument("out", type=Path, help="CSV file to write, or to add to")
    options = parser.parse_args()
    paths = [path for path in walk(options.study).runs if (path.parent / POLICY).exists()] if options.study.is_dir() else []
    if not paths:
        parser.error(f"{options.study}: no run with its {POLICY} below this folder; give the folder that `results=` named")
    found, visited = read(options.out), dict[tuple[str, str], FloatArray]()
    with registry() as registered, network.one_thread():
        asking: Asking = registered.item("study", "asked")
        for path, record in readable(paths, read_run):
            run = record.hashes.run
            if run in found:
                continue
            task, base = registered.recorded(record)
            tuned = network.load(path.parent / POLICY, base.policy)
            key = base.id, task.fingerprint()
            if key not in visited:
                if base.goals is None:
                    raise UsageError(f"{base.id} names no goals, so old skills cannot be placed in other scenes: name some in its yaml")
                visited[key] = asking.visited(base.policy, task, base.skills, base.goals)
            found[run] = measure(base.policy, tuned, visited[key])
    write_atomically(options.out, lambda path: _write(path, found))
    print(f"{len(found)} runs measured: {options.out}")


if __name__ == "__main__":
    in_a_sentence(main)
