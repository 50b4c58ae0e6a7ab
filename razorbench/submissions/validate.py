"""Validation of a submission: recomputes everything that follows from its rows and weights, and lists all faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from razorbench.statistics.comparison import MEASURES, Number, Numbers, numbers
from razorbench.statistics.finished_runs import Run
from razorbench.statistics.suite_score import suite
from razorbench.store.estimate import Estimate
from razorbench.store.folder import POLICY, PROTOCOL, RECORD
from razorbench.submissions import hostile, schema
from razorbench.submissions.check_run import Expected, check_protocol, check_run, declared_run, kept_run
from razorbench.submissions.hostile import Fault, Faults
from razorbench.submissions.installed import Known, differences
from razorbench.submissions.package import Package
from razorbench.submissions.schema import FILE, RUN_FILES, SUMS, Submission, Track, run_folder

Reader = Callable[[Package, str, int, Submission, Known, Faults], Run | None]
_SUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_./-]+)")


def validate(package: Package, known: Known) -> tuple[Submission | None, list[Run], Faults]:
    """Return a package's submission and runs, as far as they are readable, and all its faults."""
    return _read(package, known, check_run)


def vouched(package: Package, known: Known) -> tuple[Submission | None, list[Run], Faults]:
    """Return the same for a package with a level of the board: checks by its checksums that it is still the validated one.

    Its policies, most of its bytes, may be missing. Its numbers are of the protocol of its time: see `off_protocol`.
    """
    return _read(package, known, declared_run, left_out=POLICY)


def kept(package: Package, known: Known) -> tuple[Submission | None, list[Run], Faults]:
    """Return the same for a package without policies, with rates, forgetting, retention and scores recomputed from the rows."""
    return _read(package, known, kept_run, left_out=POLICY)


def without_policies(package: Package) -> bool:
    """Whether a package has no policies."""
    return not any(Path(name).name == POLICY for name in hostile.listing(package.root, Faults()))


def off_protocol(submission: Submission, runs: Sequence[Run], known: Known) -> Fault | None:
    """Return the first fault of runs whose tasks, bases or protocol differ from the installed ones, None if there is none."""
    faults = Faults()
    for run in runs:
        if not faults:
            check_protocol(run.record, Expected.of(run.task, run.seed, submission, known), f"{run.folder.as_posix()}/{RECORD}", faults)
    return faults[0] if faults else None


def _read(package: Package, known: Known, read: Reader, left_out: str | None = None) -> tuple[Submission | None, list[Run], Faults]:
    faults = Faults()
    sizes = hostile.listing(package.root, faults)
    submission = _submission(package, faults)
    if submission is None:
        return None, [], faults
    before = len(faults)
    for field, found, allowed in (
        ("suite", submission.suite, known.suites),
        ("track.base", submission.track.base, known.bases),
        ("track.budget", submission.track.budget, known.budgets),
    ):
        if found not in allowed:
            faults.add(FILE, field, found, f"one of {', '.join(sorted(allowed))}")
    if len(faults) > before:
        return submission, [], faults
    tasks, seeds = known.suites[submission.suite]
    wanted = [f"{run_folder(task, seed)}/{file}" for task in tasks for seed in seeds for file in RUN_FILES]
    for name in sorted(set(sizes) - {FILE, SUMS, *wanted}):
        faults.add(name, "presence", "there", "nothing: it belongs to no run of the suite and its published seeds")
    _sums(package, [FILE, *wanted], [name for name in wanted if Path(name).name == left_out and name not in sizes], faults)
    if left_out is not None and faults:
        return submission, [], faults
    runs = [run for task in tasks for seed in seeds if (run := read(package, task, seed, submission, known, faults)) is not None]
    if len(runs) == len(tasks) * len(seeds):
        _one_setting(runs, faults)
        _totals(submission, runs, tasks, faults)
    return submission, runs, faults


def track(runs: Sequence[Run]) -> Track:
    """Return what the runs' method was given, upstream included."""

    def used(cost: str) -> bool:
        return any(getattr(run.record.budget, cost) or getattr(run.record.upstream, cost, 0) for run in runs)

    return Track(
        base=runs[0].base,
        budget=runs[0].budget,
        old_task_data=any(run.record.budget.old_task_data for run in runs),
        demonstrations=used("demo_episodes"),
        environment_steps=used("env_steps"),
        expert_queries=used("expert_queries"),
    )


def scores(runs: Sequence[Run], tasks: Sequence[str]) -> dict[str, schema.Estimate | None]:
    """Return the runs' scores over a suite's tasks."""
    estimates = {}
    for name in schema.MEASURES:
        value = suite(_declared(runs, name), tasks).value
        estimates[name] = schema.Estimate(value=value.value, ci95=(value.low, value.high)) if isinstance(value, Estimate) else None
    return estimates


def _declared(runs: Sequence[Run], name: str) -> Numbers:
    """Return a measure of the final policies from their records, whose score may differ from the analysis's (`stops.Stop.score`)."""
    if name != "score":
        return numbers(runs, runs[0].arm, MEASURES[f"{name}@end"])
    return {(run.task, run.seed): Number.exact(run.record.score) for run in runs if run.record.score is not None}


def _submission(package: Package, faults: Faults) -> Submission | None:
    text = package.text(FILE, faults)
    if text is None or hostile.parsed(FILE, text, faults) is None:
        return None
    try:
        return Submission.model_validate_json(text)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            faults.add(FILE, ".".join(map(str, each["loc"])) or "content", each["input"], each["msg"])
        return None


def _sums(package: Package, wanted: Sequence[str], absent: Sequence[str], faults: Faults) -> None:
    text = package.text(SUMS, faults)
    if text is None:
        return
    declared: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _SUM.fullmatch(line)
        if match is None or match[2] in declared or match[2] not in wanted:
            faults.add(SUMS, f"line {number}", line, "the SHA-256 of a file of the package, two spaces, its path; each file once")
            continue
        declared[match[2]] = match[1]
    for name in wanted:
        if name not in declared:
            faults.add(SUMS, name, "missing", "its SHA-256")
        elif name not in absent and (content := package.read(name, faults)) is not None and hostile.sha256(content) != declared[name]:
            faults.add(name, "SHA-256", hostile.sha256(content), declared[name])


def _totals(submission: Submission, runs: Sequence[Run], tasks: Sequence[str], faults: Faults) -> None:
    """Compare the submission's track and scores with those of its runs."""
    arms = sorted({run.arm for run in runs})
    if len(arms) > 1:
        faults.add(FILE, "demonstration styles of its runs", ", ".join(arms), "one arm: each task's first style, or each task's second")
        return
    totals: Mapping[str, Any] = {
        "track": track(runs).model_dump(),
        "scores": {name: None if value is None else value.model_dump() for name, value in scores(runs, tasks).items()},
    }
    declared = submission.model_dump(include={"track", "scores"})
    # Programs of an earlier protocol computed slightly different ends of narrow intervals, because they included less sampling noise.
    slack = 1e-9 if all(run.record.protocol == PROTOCOL for run in runs) else 1e-4
    for path, found, expected in differences(_plain(declared), totals, "submission", lambda a, b: abs(a - b) <= slack * max(1.0, abs(b))):
        faults.add(FILE, path.removeprefix("submission."), found, expected)


def _one_setting(runs: Sequence[Run], faults: Faults) -> None:
    """Check that all runs have the same method version, hyperparameters, protocol, and versions of MuJoCo and torch."""

    def setting(run: Run) -> dict[str, Any]:
        record = run.record
        return {
            "protocol": record.protocol,
            "method": record.method.model_dump(exclude={"demos"}),
            "upstream.method": record.upstream and record.upstream.method,
            "config": {key: value for key, value in record.config.plain().items() if key not in ("task", "seed", "demos")},
            "versions": {name: ".".join(record.versions.get(name, "missing").split(".")[:2]) for name in ("mujoco", "torch")},
        }

    first = setting(runs[0])
    for run in runs[1:]:
        for where, found, other in differences(setting(run), first, "", lambda a, b: a == b):
            faults.add(f"{run.folder.as_posix()}/{RECORD}", where.lstrip("."), found, f"{other}, as in {runs[0].folder.as_posix()}: a package has one setting")


def _plain(node: Any) -> Any:
    """Return plain data with lists instead of tuples, as in JSON."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(value) for value in node] if isinstance(node, list | tuple) else node
