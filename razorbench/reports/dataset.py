"""One tidy table of finished runs: `runs.csv` and `runs.parquet`, one row a run, everything else can be averaged from it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from razorbench.statistics.finished_runs import Run
from razorbench.statistics.stops import STOPS, Stop, stop

NAME = "runs"
"""Of both files, without the ending."""
Value = str | int | float | None
_DECIMALS, _DIGITS = 3, 4
"""That are kept of a number, the fewer of the two: one run's retention has a standard error of .0035, over 800 episodes of which one in 100 fails."""
_HASH = 8
"""Digits of a run's hash that are kept: the first of those in its folder's name."""
_DIVERGENCES = {
    "kl_new": "divergence.kl_forward.new",
    "kl_old": "divergence.kl_forward.original",
    "moved_new": "divergence.moved.new",
    "moved_old": "divergence.moved.original",
}


def row(run: Run) -> Mapping[str, Value]:
    """Return a run's row.

    Columns that end in `_best` or `_end` are of that stop (`statistics.stops`), on TEST starts; None where a number is undefined. arm: a method, and after
    a slash which style of demonstrations if not its task's first. s0: the base's success. kl: forward KL from base to tuned policy, nats per decision;
    moved: share of greedy actions that change; new: on the new task's states, old: on those of the original skills. update, env_steps, gradient_steps:
    until the stop; select_episodes: played to find it. seconds: wall time of the whole run, measuring included. run_hash: of all that decides the run.
    """
    record = run.record
    found: dict[str, Value] = {
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
        found |= {f"{column}_{name}": value for column, value in _stopped(stop(run, name)).items()}
    # A run that stops at its end looks at no SELECT episode.
    del found["select_episodes_end"]
    found |= {
        "demo_episodes": record.budget.demo_episodes,
        "seconds": record.wall_s,
        "protocol": record.protocol,
        **{name: record.versions[name] for name in ("mujoco", "torch")},
        "run_hash": record.hashes.run[:_HASH],
    }
    return {column: float(f"{round(value, _DECIMALS):.{_DIGITS}g}") if isinstance(value, float) else value for column, value in found.items()}


_OF_STOP = ("success", "retention", "forgetting", *_DIVERGENCES, "score", "update", "env_steps", "gradient_steps", "select_episodes")


def _stopped(there: Stop | None) -> Mapping[str, Value]:
    """The columns of a stop; all None if the run does not stop there."""
    if there is None:
        return dict.fromkeys(_OF_STOP)
    at = there.snapshot
    found: dict[str, Value] = {"success": there.success, "retention": there.retention, "forgetting": there.forgetting}
    found |= {column: at.number(path) for column, path in _DIVERGENCES.items()}
    costs = {"update": at.update, "env_steps": at.env_steps, "gradient_steps": at.gradient_steps, "select_episodes": there.select_episodes}
    return {**found, "score": there.score, **costs}


def write(runs: Sequence[Run], out: Path) -> None:
    """Write `runs.csv` and `runs.parquet` with a row for every run, in the same order and with the same values. Raises ValueError without a run."""
    if not runs:
        raise ValueError("a table of runs needs a run")
    rows = [row(run) for run in sorted(runs, key=lambda run: (run.base, run.task, run.arm, run.seed, run.record.hashes.run))]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:g}" if isinstance(value, float) else value for name, value in each.items()} for each in rows)
    (out / f"{NAME}.csv").write_text(text.getvalue(), encoding="utf-8")
    # Needed to make the files, never to read a result: an extra of those who develop.
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), out / f"{NAME}.parquet", compression="zstd")
