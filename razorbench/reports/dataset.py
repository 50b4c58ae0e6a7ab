"""One tidy table of finished runs, `runs.csv` and `runs.parquet`: one row per run, from which all averages follow."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from razorbench.statistics.finished_runs import Run
from razorbench.statistics.stops import STOPS, Stop, stop

NAME = "runs"
"""Name of both files, without the suffix."""
Value = str | int | float | None
_DECIMALS, _DIGITS = 3, 4
"""Decimals and significant digits of a number; the coarser applies. A run's retention has a standard error of at least .0035 (800 episodes, 1% failures)."""
_HASH = 8
"""Digits of a run's hash, the first ones, as in its folder's name."""
_DIVERGENCES = {
    "kl_new": "divergence.kl_forward.new",
    "kl_old": "divergence.kl_forward.original",
    "moved_new": "divergence.moved.new",
    "moved_old": "divergence.moved.original",
}


def row(run: Run) -> Mapping[str, Value]:
    """Return a run's row.

    Columns that end in `_best` or `_end` belong to that stop (`statistics.stops`), on TEST starts; None if undefined. world: its name and version. arm: a
    method, with the demonstration style after a slash if not its task's first. s0: the base's success. kl: forward KL from base to fine-tuned policy, nats
    per decision; moved: share of greedy actions that change; new: on the new task's states, old: on old-task states. update, env_steps, gradient_steps:
    until the stop; select_episodes: spent to choose it. seconds: wall time of the whole run, evaluation included. run_hash: identifies everything that
    decides the run.
    """
    record = run.record
    columns: dict[str, Value] = {
        "world": run.world,
        "task": run.task,
        "arm": run.arm,
        "family": run.family,
        "demos": record.method.demos if record.budget.demo_episodes else None,
        "base": run.base,
        "base_seed": record.base_seed,
        "seed": run.seed,
        "budget": run.budget,
        "s0": run.base_success,
    }
    for name in STOPS:
        columns |= {f"{column}_{name}": value for column, value in _stopped(stop(run, name)).items()}
    # Stopping at the end needs no SELECT episode.
    del columns["select_episodes_end"]
    columns |= {
        "demo_episodes": record.budget.demo_episodes,
        "seconds": record.wall_s,
        "protocol": record.protocol,
        **{name: record.versions[name] for name in ("mujoco", "torch")},
        "run_hash": record.hashes.run[:_HASH],
    }
    return {column: float(f"{round(value, _DECIMALS):.{_DIGITS}g}") if isinstance(value, float) else value for column, value in columns.items()}


_OF_STOP = ("success", "retention", "forgetting", *_DIVERGENCES, "score", "update", "env_steps", "gradient_steps", "select_episodes")


def _stopped(there: Stop | None) -> Mapping[str, Value]:
    """Return the columns of a stop; all None if the run has no such stop."""
    if there is None:
        return dict.fromkeys(_OF_STOP)
    at = there.snapshot
    columns: dict[str, Value] = {"success": there.success, "retention": there.retention, "forgetting": there.forgetting}
    columns |= {column: at.number(path) for column, path in _DIVERGENCES.items()}
    costs = {"update": at.update, "env_steps": at.env_steps, "gradient_steps": at.gradient_steps, "select_episodes": there.select_episodes}
    return {**columns, "score": there.score, **costs}


def write(runs: Sequence[Run], out: Path) -> None:
    """Write `runs.csv` and `runs.parquet` with the same rows, one per run. Raises ValueError if there are no runs."""
    if not runs:
        raise ValueError("a table of runs needs a run")
    rows = [row(run) for run in sorted(runs, key=lambda run: (run.base, run.task, run.arm, run.seed, run.record.hashes.run))]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:g}" if isinstance(value, float) else value for name, value in cells.items()} for cells in rows)
    (out / f"{NAME}.csv").write_text(text.getvalue(), encoding="utf-8")
    # A development dependency: only this function needs it.
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), out / f"{NAME}.parquet", compression="zstd")
