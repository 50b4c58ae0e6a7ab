"""Checks of one run of a submission: record, curve, episodes and policy, against the registry and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from razorbench.bases.base import LOCAL, Base
from razorbench.errors import UsageError
from razorbench.measures.episodes import Episodes
from razorbench.measures.summary import Subject
from razorbench.method.data import Used
from razorbench.policy import network as policies
from razorbench.registry.filling import usual
from razorbench.runs.run import snapshot_schedule
from razorbench.runs.spec import EvalSettings
from razorbench.statistics.finished_runs import Run
from razorbench.store.folder import PACKED_CURVE, PACKED_EPISODES, PROTOCOL, RECORD, SCHEMA
from razorbench.store.record import FinalSuccess, Record, Snapshot
from razorbench.submissions import hostile, kinds, rows
from razorbench.submissions.hostile import Faults
from razorbench.submissions.identity import FROM_FILE, run_hash, run_spec
from razorbench.submissions.installed import Known, compare, differences
from razorbench.submissions.package import Package
from razorbench.submissions.schema import Submission, run_folder
from razorbench.submissions.weights import measured_anew
from razorbench.task import Task, promises
from razorbench.types import Settings

COSTS = tuple(item.name for item in fields(Used))
_MOST_POINTS = 200


@dataclass(frozen=True)
class Expected:
    """Required task, seed and base of a submission's run."""

    task: Task
    seed: int
    base: Base
    submission: Submission
    known: Known

    @classmethod
    def of(cls, task: str, seed: int, submission: Submission, known: Known) -> Expected:
        """Return the requirements of a submission's run of a task with a seed."""
        return cls(known.tasks[task], seed, known.base(submission.track.base, seed), submission, known)

    @property
    def settings(self) -> EvalSettings:
        """Amount of evaluation."""
        return self.known.settings

    @property
    def subject(self) -> Subject:
        """Owner of the run's episodes."""
        return Subject.of(self.task, self.base.skills, self.submission.method, self.seed, self.settings.split)


@dataclass(frozen=True)
class Declared:
    """A run as its package tells it. plain, points: content of the record's and the curve's file, which are compared value by value."""

    folder: str
    plain: dict[str, Any]
    points: list[dict[str, Any]]

    @cached_property
    def record(self) -> Record:
        """The record by type."""
        return Record.model_validate(self.plain)

    @cached_property
    def curve(self) -> list[Snapshot]:
        """The snapshots by type."""
        return list(map(Snapshot.model_validate, self.points))

    def run(self, task: str, known: Known) -> Run:
        """Return the run of a task as declared."""
        return Run(self.record, self.curve, tuple(known.tasks[task].experts), Path(self.folder))


def check_run(package: Package, name: str, seed: int, submission: Submission, known: Known, faults: Faults) -> Run | None:
    """Check a run of a task with a seed. Return it with recomputed numbers, None if that is impossible."""
    folder, expected, before = run_folder(name, seed), Expected.of(name, seed, submission, known), len(faults)
    declared = read_declared(package, folder, faults)
    if declared is None:
        return None
    check_head(declared, expected, f"{folder}/{RECORD}", faults)
    check_points(declared, expected, f"{folder}/{PACKED_CURVE}", faults)
    if len(faults) > before:
        return None
    record, curve = declared.record, declared.curve
    episodes = _episodes(package, folder, curve, expected, faults)
    if episodes is not None:
        rows.check_base(f"{folder}/{PACKED_EPISODES}", episodes, record, expected.task, expected.base, known, faults)
        if curve[1:]:
            rows.check_last(f"{folder}/{PACKED_EPISODES}", episodes, curve[-1].update, record, faults)
    summary = None if episodes is None else _summary(episodes, declared, expected, folder, faults)
    measured = measured_anew(package, declared.plain, declared.points, expected.task, expected.base, folder, faults)
    if summary is None or measured is None:
        return None
    # From here on only recomputed numbers count.
    return Run(Record.model_validate({**declared.plain, **summary.plain(), **measured.plain()}), curve, tuple(expected.task.experts), Path(folder))


def kept_run(package: Package, name: str, seed: int, submission: Submission, known: Known, faults: Faults) -> Run | None:
    """Check that a run without its policy, of a package validated before, agrees with itself. Return it, None if it cannot be read."""
    folder, expected = run_folder(name, seed), Expected.of(name, seed, submission, known)
    declared = _declared_run(package, name, seed, submission, known, faults)
    if declared is None:
        return None
    if (episodes := _episodes(package, folder, declared.curve, expected, faults)) is not None:
        _summary(episodes, declared, expected, folder, faults)
    return declared.run(name, known)


def declared_run(package: Package, name: str, seed: int, submission: Submission, known: Known, faults: Faults) -> Run | None:
    """Return a run as its package tells it, for a package validated before and unchanged. Checks types, recomputes nothing."""
    declared = _declared_run(package, name, seed, submission, known, faults)
    return None if declared is None else declared.run(name, known)


def _declared_run(package: Package, name: str, seed: int, submission: Submission, known: Known, faults: Faults) -> Declared | None:
    declared = read_declared(package, run_folder(name, seed), faults)
    if declared is None:
        return None
    file = f"{run_folder(name, seed)}/{RECORD}"
    _hold(declared.plain, {"seed": seed, "method.name": submission.method, "budget.name": submission.track.budget}, file, faults)
    if declared.record.task_name != name:
        faults.add(file, "task", declared.record.task, f"a version of {name}")
    return declared


def check_protocol(record: Record, expected: Expected, file: str, faults: Faults) -> None:
    """Compare a run's protocol, task, base, budget and amount of evaluation with the registry."""
    task, base, caps = expected.task, expected.base, expected.known.budgets[expected.submission.track.budget]
    _hold(
        record.plain(),
        {
            "schema": SCHEMA,
            "protocol": PROTOCOL,
            "world": record.world and task.world.version,
            "promises": record.promises and list(promises(task.world)),
            "task": task.id,
            "base": base.id,
            "estimator": record.estimator and policies.distribution(base.policy, base.probes[base.skills[0].name].states[:1]).estimator,
            "budget.caps": asdict(caps),
            "hashes.task_spec": task.fingerprint(),
            "hashes.base_policy": base.sha256,
            "hashes.probe": base.probe_sha256,
            "config.eval": asdict(expected.settings),
        },
        file,
        faults,
    )


def read_declared(package: Package, folder: str, faults: Faults) -> Declared | None:
    """Return a run's record and curve, if every value in them is of its kind."""
    before = len(faults)
    texts = {name: package.text(f"{folder}/{name}", faults) for name in (RECORD, PACKED_CURVE)}
    record = None if (text := texts[RECORD]) is None else hostile.parsed(f"{folder}/{RECORD}", text, faults)
    file = f"{folder}/{PACKED_CURVE}"
    lines = None if (text := texts[PACKED_CURVE]) is None else hostile.lines(file, text, _MOST_POINTS, faults)
    if len(faults) > before or None in texts.values() or lines is None:
        return None
    if not isinstance(record, dict):
        faults.add(f"{folder}/{RECORD}", "content", record, "a mapping")
        return None
    points = [hostile.parsed(f"{file}, line {number}", line, faults) for number, line in enumerate(lines, 1)]
    if not points or not all(isinstance(point, dict) for point in points):
        faults.add(file, "content", f"{len(points)} lines, not each a mapping", "a mapping in each line")
        return None
    checks: list[tuple[str, object, type[BaseModel], type[BaseModel]]] = [(f"{folder}/{RECORD}", record, kinds.Record, Record)]
    checks += [(f"{file}, line {number}", point, kinds.Point, Snapshot) for number, point in enumerate(points, 1)]
    for where, found, strict, kind in checks:
        if kinds.check(strict, found, where, faults):
            kinds.check(kind, found, where, faults)
    return None if len(faults) > before else Declared(folder, record, points)


def check_head(declared: Declared, expected: Expected, file: str, faults: Faults) -> None:
    """Check how the run was made, according to its record."""
    record, config = declared.record, declared.record.config
    task, base, submission, before = expected.task, expected.base, expected.submission, len(faults)
    check_protocol(record, expected, file, faults)
    caps = expected.known.budgets[submission.track.budget]
    method = expected.known.methods.get(submission.method)
    wanted: dict[str, object] = {"seed": expected.seed, "budget.name": caps.name, "method.name": submission.method}
    if method is not None:
        wanted |= {"method.version": method.version, "method.family": method.family, "budget.old_task_data": method.old_task_data}
    _hold(declared.plain, wanted, file, faults)
    demos = record.method.demos
    if demos not in task.experts and not demos.startswith(FROM_FILE):
        faults.add(file, "method.demos", demos, f"one of {', '.join(task.experts)}, or sha256: and a file's digest")
    for cost in COSTS:
        _cost(getattr(record.budget, cost), getattr(caps, cost), f"budget.{cost}", file, faults)
    _config(declared, expected, file, faults)
    if method is not None and len(faults) == before:
        try:
            spec = run_spec(record, task, base, caps, expected.settings, method)
            computed = run_hash(spec)
        except UsageError as error:
            faults.add(file, "config.method", config.method, f"hyper-parameters of {submission.method}: {error}")
        else:
            if record.hashes.run != computed:
                faults.add(file, "hashes.run", record.hashes.run, computed)
            if record.method.code != spec.code:
                faults.add(file, "method.code", record.method.code, spec.code)


def _config(declared: Declared, expected: Expected, file: str, faults: Faults) -> None:
    """Compare the whole configuration with the registry, except the method's own settings, which the submitter chooses."""
    known, config, demos = expected.known, declared.plain["config"], declared.record.method.demos
    style = declared.record.config.demos
    wanted = {
        "task": known.node("task", expected.task.id.rpartition("-v")[0]),
        # Where a base's files are is no part of a run.
        "base": {key: value for key, value in known.node("base", expected.submission.track.base).items() if key not in LOCAL},
        "budget": asdict(known.budgets[expected.submission.track.budget]),
        "seed": expected.seed,
        "log_std": "trained",
        "eval": asdict(expected.settings),
        # By default demonstrations have the task's first style.
        "demos": None if style is None and demos == expected.task.style else demos,
    }
    # Early records lack settings with default values.
    filled = {key: {**usual(wanted[key]), **value} if key in ("task", "base") and isinstance(value, Mapping) else value for key, value in config.items()}
    for where, found, other in differences({key: value for key, value in filled.items() if key != "method"}, wanted, "config", lambda a, b: a == b):
        faults.add(file, where, found, other)
    if not isinstance(config.get("method"), Mapping):
        faults.add(file, "config.method", config.get("method", "missing"), "the method's settings")


def _hold(record: Settings, wanted: Settings, file: str, faults: Faults) -> None:
    for path, value in wanted.items():
        for where, found, other in differences(_at(record, path), value, path, lambda a, b: a == b):
            faults.add(file, where, found, other)


def _at(record: Settings, path: str) -> object:
    """Return the value at a dotted path of plain data, None if there is none."""
    node: object = record
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _cost(found: int, cap: int | None, path: str, file: str, faults: Faults) -> None:
    if cap is not None and found > cap:
        faults.add(file, path, found, f"a whole number, 0 or more, at most {cap}")


def check_points(declared: Declared, expected: Expected, file: str, faults: Faults) -> None:
    """Check the snapshots' updates and costs."""
    curve, start, least = declared.curve, len(faults), {"update": 0, **dict.fromkeys(COSTS, 0)}
    for number, point in enumerate(curve, 1):
        for key, bound in least.items():
            if (value := getattr(point, key)) < bound:
                faults.add(f"{file}, line {number}", key, value, f"a whole number, {bound} or more")
                return
        least = {"update": point.update + 1, **{cost: getattr(point, cost) for cost in COSTS}}
    updates = [point.update for point in curve]
    schedule = sorted(snapshot_schedule(updates[-1], expected.settings.snapshots)) if updates[-1] else []
    if updates != [0, *schedule]:
        faults.add(file, "update", updates, f"{[0, *schedule]}")
    if len(faults) == start:
        for cost in COSTS:
            if (found := getattr(declared.record.budget, cost)) < (last := getattr(curve[-1], cost)):
                faults.add(file, cost, last, f"no more than the record's {found}")


def _episodes(package: Package, folder: str, curve: Sequence[Snapshot], expected: Expected, faults: Faults) -> Episodes | None:
    name = f"{folder}/{PACKED_EPISODES}"
    text = package.text(name, faults)
    wanted = rows.expected_rows([point.update for point in curve[1:]], expected.task, expected.base, expected.known)
    return None if text is None else rows.parse(name, text, wanted, faults)


def _summary(episodes: Episodes, declared: Declared, expected: Expected, folder: str, faults: Faults) -> FinalSuccess:
    """Recompute rates, forgetting, retention and score, compare them with the declared ones, and return the recomputed ones."""
    subject = expected.subject
    final = subject.final(episodes)
    for path, value in final.plain().items():
        compare(declared.plain.get(path), value, path, f"{folder}/record.json", faults)
    for number, point in enumerate(declared.points, 1):
        label = "base" if point["update"] == 0 else f"update{point['update']}"
        for path, value in subject.snapshot(episodes, label, expected.settings.skill_episodes).plain().items():
            compare(point.get(path), value, path, f"{folder}/{PACKED_CURVE}, line {number}", faults)
    return final
