"""Packages for the leaderboard: all runs of one method over a suite, with everything needed to check them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from razorbench.errors import UsageError
from razorbench.statistics.finished_runs import SECOND, Run
from razorbench.statistics.missing_runs import Wanted, sweeps
from razorbench.statistics.pooling import by_setting, distinct, kinds
from razorbench.store.packing import compact
from razorbench.submissions import hostile
from razorbench.submissions.installed import Known
from razorbench.submissions.package import Package
from razorbench.submissions.schema import FILE, SCHEMA, SUMS, Submission, run_folder
from razorbench.submissions.validate import scores, track, validate


def pack(runs: Sequence[Run], arm: str, suite: str, base: str, budget: str, about: dict[str, Any], known: Known, out: Path, sweep: str) -> Submission:
    """Write a package of an arm's runs over a suite and its seeds, and validate it.

    about: name, authors, description, licence, code and paper; sweep: beginning of a command that adds runs.

    Raises UsageError if runs are missing, doubled or of several kinds, if the folder is not empty, or if the package is not valid.
    """
    tasks, seeds = known.suites[suite]
    mine = [run for run in runs if (run.arm, run.base, run.budget) == (arm, base, budget) and run.task in tasks and run.seed in seeds]
    kinds(mine)
    if len(settings := {run.arm for run in by_setting(mine)}) > 1:
        raise UsageError(f"the runs of {arm} differ in their settings ({'; '.join(sorted(settings))}), and a package is one method with one setting: keep one")
    by_key = {(run.task, run.seed): run for run in distinct(mine)}
    missing = [(task, seed) for task in tasks for seed in seeds if (task, seed) not in by_key]
    if missing:
        method, _, style = arm.partition("/")
        wanted = [Wanted(base, _demonstrations(known, task, style), method, task, seed) for task, seed in missing]
        commands = " and ".join(f"`{command}`" for command in sweeps(wanted, sweep))
        raise UsageError(f"{len(missing)} of {len(tasks) * len(seeds)} runs of {arm} on {suite} are missing: do them with {commands}, then pack again")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"--out {out}: the folder is not empty; give a new one")
    ordered = [by_key[task, seed] for task in tasks for seed in seeds]
    try:
        submission = Submission.model_validate(
            {"schema": SCHEMA, **about, "suite": suite, "method": ordered[0].method, "track": track(ordered), "scores": scores(ordered, tasks)}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))} is {first['input']!r}: {first['msg'].lower()}; see docs/submission.schema.json") from error
    for (task, seed), run in by_key.items():
        compact(run.folder, out / run_folder(task, seed), policy=True)
    (out / FILE).write_text(submission.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")
    files = sorted(path for path in out.rglob("*") if path.is_file())
    lines = [f"{hostile.sha256(path.read_bytes())}  {path.relative_to(out).as_posix()}\n" for path in files]
    (out / SUMS).write_text("".join(lines), encoding="utf-8")
    _, _, faults = validate(Package(out), known)
    if faults:
        raise UsageError(f"the package of these runs is not valid; the first fault: {faults[0]}")
    return submission


def _demonstrations(known: Known, task: str, style: str) -> str:
    """Return the name of the style in an arm: `2` is the task's second style; the first has no name."""
    return "".join(list(known.tasks[task].experts)[1:2]) if style == SECOND.removeprefix("/") else style
