"""One run of a submission: its record, curve, episodes and policy, each against the registry and against one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import policy as policies
from razorbench.base import Base
from razorbench.drift import DriftRuler
from razorbench.episodes import COLUMNS, Episodes, Row
from razorbench.errors import UsageError
from razorbench.method import Used
from razorbench.probe import Ruler
from razorbench.results import Run, lookup
from razorbench.run import snapshot_schedule
from razorbench.spec import EvalSettings
from razorbench.store import PACKED_CURVE, PACKED_EPISODES, PROTOCOL, RECORD, REQUIRED, SCHEMA, read_curve, read_record, turned
from razorbench.submission import hostile
from razorbench.submission.hostile import Faults
from razorbench.submission.identity import FROM_FILE, run_hash, run_spec
from razorbench.submission.known import Known, differences
from razorbench.submission.schema import Submission, run_folder
from razorbench.summary import MODES, Subject
from razorbench.task import Split, Task

VISITED = "new_tuned_states"
COSTS = tuple(item.name for item in fields(Used))
_MOST_TEXT = 8_000_000
_MOST_POINTS = 200


@dataclass(frozen=True)
class Expected:
    """What a run of a submission has to be."""

    task: Task
    seed: int
    base: Base
    submission: Submission
    known: Known

    @classmethod
    def of(cls, task: str, seed: int, submission: Submission, known: Known) -> Expected:
        """What a submission's run of a task with a seed has to be."""
        return cls(known.tasks[task], seed, known.base(submission.track.base, seed), submission, known)

    @property
    def settings(self) -> EvalSettings:
        """How much is measured."""
        return self.known.settings

    @property
    def subject(self) -> Subject:
        """Whose episodes they are."""
        return Subject(self.task.id, [skill.name for skill in self.base.skills], self.submission.method, self.seed, self.settings.split)


def check_run(root: Path, name: str, seed: int, submission: Submission, known: Known, faults: Faults) -> Run | None:
    """Check a run of a task with a seed; return it if its record and curve can be read at all."""
    folder, expected, before = run_folder(name, seed), Expected.of(name, seed, submission, known), len(faults)
    record = _json(root, f"{folder}/record.json", faults)
    curve = _curve(root, f"{folder}/{PACKED_CURVE}", faults)
    if record is None or curve is None:
        return None
    _head(record, expected, f"{folder}/record.json", faults)
    _points(curve, record, expected, f"{folder}/{PACKED_CURVE}", faults)
    if len(faults) > before:
        return None
    episodes = _episodes(root, f"{folder}/{PACKED_EPISODES}", [point["update"] for point in curve[1:]], expected, faults)
    summary = None if episodes is None else _summary(episodes, record, curve, expected, folder, faults)
    measured = _measured(root, f"{folder}/policy.safetensors", record, expected, folder, faults)
    if summary is None or measured is None:
        return None
    # What was computed is what counts from here on, whatever was told.
    return Run({**record, **summary, **measured}, curve, tuple(expected.task.experts), Path(folder))


def told_run(root: Path, name: str, seed: int, submission: Submission, known: Known, faults: Faults) -> Run | None:
    """Return a run as a package tells it, of one that was found good before and is still the same."""
    folder = run_folder(name, seed)
    return Run(read_record(root / folder / RECORD), read_curve(root / folder), tuple(known.tasks[name].experts), Path(folder))


def check_protocol(record: Mapping[str, Any], expected: Expected, file: str, faults: Faults) -> None:
    """Hold against the registry what a run was of: protocol, task, base, budget, and how much was measured."""
    task, base, caps = expected.task, expected.base, expected.known.budgets[expected.submission.track.budget]
    _hold(
        record,
        {
            "schema": SCHEMA,
            "protocol": PROTOCOL,
            "task": task.id,
            "base": base.id,
            "budget.caps": asdict(caps),
            "hashes.task_spec": task.fingerprint(),
            "hashes.base_policy": base.sha256,
            "hashes.probe": base.probe_sha256,
            "config.eval": asdict(expected.settings),
        },
        file,
        faults,
    )


def _json(root: Path, name: str, faults: Faults) -> dict[str, Any] | None:
    data = hostile.read(root, name, _MOST_TEXT, faults)
    text = None if data is None else hostile.text(name, data, faults)
    found = None if text is None else hostile.parsed(name, text, faults)
    if text is not None and found is not None and not isinstance(found, dict):
        faults.add(name, "content", found, "a mapping")
        return None
    return found


def _unpacked(root: Path, name: str, faults: Faults) -> str | None:
    data = hostile.read(root, name, _MOST_TEXT, faults)
    content = None if data is None else hostile.unpacked(name, data, _MOST_TEXT, faults)
    return None if content is None else hostile.text(name, content, faults)


def _curve(root: Path, name: str, faults: Faults) -> list[dict[str, Any]] | None:
    text = _unpacked(root, name, faults)
    lines = None if text is None else hostile.lines(name, text, _MOST_POINTS, faults)
    if lines is None:
        return None
    points = [hostile.parsed(f"{name}, line {number}", line, faults) for number, line in enumerate(lines, 1)]
    if not points or not all(isinstance(point, dict) for point in points):
        faults.add(name, "content", f"{len(points)} lines, not each a mapping", "a mapping in each line")
        return None
    return points


def _head(record: Mapping[str, Any], expected: Expected, file: str, faults: Faults) -> None:
    """What the record says of how the run was made."""
    task, base, submission, before = expected.task, expected.base, expected.submission, len(faults)
    missing = [key for key in (*REQUIRED, "notes", "drift", "threads", "resumed_elsewhere", "measuring_s") if key not in record]
    for key in missing:
        faults.add(file, key, "missing", "there")
    if missing:
        return
    check_protocol(record, expected, file, faults)
    caps = expected.known.budgets[submission.track.budget]
    method = expected.known.methods.get(submission.method)
    wanted: dict[str, Any] = {
        "seed": expected.seed,
        "budget.name": caps.name,
        "method.name": submission.method,
        "config.seed": expected.seed,
        "config.log_std": "trained",
    }
    if method is not None:
        wanted |= {"method.version": method.version, "method.family": method.family, "budget.old_task_data": method.old_task_data}
    _hold(record, wanted, file, faults)
    for path, kind in (("method.demos", str), ("method.family", str), ("method.version", int), ("budget.old_task_data", bool), ("wall_s", float)):
        if type(lookup(record, path)) not in ((int, float) if kind is float else (kind,)):
            faults.add(file, path, lookup(record, path), f"a {kind.__name__}")
    if (
        isinstance(lookup(record, "method.demos"), str)
        and record["method"]["demos"] not in task.experts
        and not record["method"]["demos"].startswith(FROM_FILE)
    ):
        faults.add(file, "method.demos", record["method"]["demos"], f"one of {', '.join(task.experts)}, or sha256: and a file's digest")
    for cost in COSTS:
        _cost(lookup(record, f"budget.{cost}"), getattr(caps, cost), f"budget.{cost}", file, faults)
        if record["upstream"] is not None:
            _cost(lookup(record, f"upstream.{cost}"), None, f"upstream.{cost}", file, faults)
    if not isinstance(record["versions"], dict) or not all(isinstance(value, str) for value in record["versions"].values()):
        faults.add(file, "versions", record["versions"], "versions by package")
    if method is not None and len(faults) == before:
        try:
            computed = run_hash(run_spec(record, task, base, caps, expected.settings, method))
        except UsageError as error:
            faults.add(file, "config.method", record["config"].get("method"), f"hyper-parameters of {submission.method}: {error}")
        else:
            if lookup(record, "hashes.run") != computed:
                faults.add(file, "hashes.run", lookup(record, "hashes.run"), computed)


def _hold(record: Mapping[str, Any], wanted: Mapping[str, Any], file: str, faults: Faults) -> None:
    for path, value in wanted.items():
        for where, found, other in differences(lookup(record, path), value, path, lambda a, b: a == b):
            faults.add(file, where, found, other)


def _cost(found: Any, cap: int | None, path: str, file: str, faults: Faults) -> None:
    if not isinstance(found, int) or isinstance(found, bool) or found < 0 or (cap is not None and found > cap):
        faults.add(file, path, found, "a whole number, 0 or more" + ("" if cap is None else f", at most {cap}"))


def _points(curve: Sequence[Mapping[str, Any]], record: Mapping[str, Any], expected: Expected, file: str, faults: Faults) -> None:
    """The snapshots' numbers: when they were taken, and what had been used by then."""
    before: Mapping[str, Any] = {"update": -1, **dict.fromkeys(COSTS, 0)}
    start = len(faults)
    for number, point in enumerate(curve, 1):
        for key in ("update", *COSTS):
            value = point.get(key)
            if not isinstance(value, int) or isinstance(value, bool) or value < before[key] + (key == "update"):
                faults.add(f"{file}, line {number}", key, value, f"a whole number, {before[key] + (key == 'update')} or more")
                return
        before = point
    updates = [int(point["update"]) for point in curve]
    schedule = sorted(snapshot_schedule(updates[-1], expected.settings.snapshots)) if updates[-1] else []
    if updates != [0, *schedule]:
        faults.add(file, "update", updates, f"{[0, *schedule]}")
    if len(faults) == start:
        for cost in COSTS:
            if (found := lookup(record, f"budget.{cost}")) is not None and isinstance(found, int) and found < curve[-1][cost]:
                faults.add(file, cost, curve[-1][cost], f"no more than the record's {found}")


def _episodes(root: Path, name: str, updates: Sequence[int], expected: Expected, faults: Faults) -> Episodes | None:
    """The table of episodes: exactly the rows that the run had to play, each once."""
    text = _unpacked(root, name, faults)
    wanted = _cells(updates, expected)
    columns = None if text is None else hostile.lines(name, text, len(COLUMNS), faults)
    if columns is None:
        return None
    try:
        header, *lines = turned("\n".join(columns)).splitlines() or [""]
    except ValueError:
        faults.add(name, "lengths of its columns", [column.count(",") for column in columns], "all the same")
        return None
    if header != ",".join(COLUMNS):
        faults.add(name, "columns", header, ",".join(COLUMNS))
        return None
    if len(lines) > len(wanted):
        faults.add(name, "number of episodes", len(lines), len(wanted))
        return None
    rows: list[Row] = []
    seen: set[tuple[str, str, str, str, int]] = set()
    for number, line in enumerate((line.split(",") for line in lines), 1):
        if not all(word.isascii() and word.isdecimal() and len(word) < 7 for word in line[4:]) or line[5] not in ("0", "1"):
            faults.add(name, f"episode {number}", ",".join(line), "policy, task, split, mode, start, success (0 or 1), length")
            return None
        key, solved, length = (line[0], line[1], line[2], line[3], int(line[4])), line[5] == "1", int(line[6])
        horizon = wanted.get(key)
        if horizon is None or key in seen:
            faults.add(name, f"episode {number}", ",".join(line), "an episode that the run plays" if horizon is None else "each episode once")
            return None
        if not 1 <= length <= horizon or (not solved and length != horizon):
            faults.add(name, f"episode {number}, length", length, f"1 to {horizon}" if solved else f"{horizon}, as it failed")
            return None
        seen.add(key)
        rows.append((*key, solved, length))
    if len(rows) != len(wanted):
        missing = next(key for key in wanted if key not in seen)
        faults.add(name, "number of episodes", len(rows), f"{len(wanted)}; the first that is missing is {','.join(map(str, missing))}")
        return None
    return Episodes(tuple(rows))


def _cells(updates: Sequence[int], expected: Expected) -> dict[tuple[str, str, str, str, int], int]:
    """Every episode that a run plays, with its horizon."""
    settings, task, skills = expected.settings, expected.task, expected.base.skills
    snapshots = [(f"update{update}", settings.skill_episodes, MODES[:1]) for update in updates]
    played = [("base", settings.episodes, MODES), *snapshots, ("final", settings.episodes, MODES)]
    found: dict[tuple[str, str, str, str, int], int] = {}
    for label, of_skill, modes in played:
        for mode in modes:
            for each, number in ((task, settings.episodes), *((skill, of_skill) for skill in skills)):
                found |= {(label, each.name, settings.split, mode, start): each.horizon for start in range(number)}
        found |= {(label, task.name, Split.SELECT.value, "greedy", start): task.horizon for start in range(settings.episodes)}
    return found


def _summary(
    episodes: Episodes, record: Mapping[str, Any], curve: Sequence[Mapping[str, Any]], expected: Expected, folder: str, faults: Faults
) -> dict[str, Any]:
    """Compare rates, forgetting, retention and score with those computed anew, and return the record's part of these."""
    subject = expected.subject
    final = subject.final(episodes)
    for path, value in final.items():
        _compare(record.get(path), value, path, f"{folder}/record.json", faults)
    for number, point in enumerate(curve, 1):
        label = "base" if point["update"] == 0 else f"update{point['update']}"
        for path, value in subject.snapshot(episodes, label, expected.settings.skill_episodes).items():
            _compare(point.get(path), value, path, f"{folder}/{PACKED_CURVE}, line {number}", faults)
    return final


def _measured(root: Path, name: str, record: Mapping[str, Any], expected: Expected, folder: str, faults: Faults) -> dict[str, Any] | None:
    """Compare divergences and drift with those of the policy in the package, and return these, if it is one of the base's shape."""
    base = expected.base.policy
    tuned = read_policy(root, name, base, faults)
    if tuned is None:
        return None
    probes, task, skills = expected.base.probes, expected.task, expected.base.skills
    with policies.one_thread():
        measured = {"divergence": Ruler(base, probes, task, skills).measure(tuned), "drift": DriftRuler(base, probes, task, skills).measure(tuned)}
    for name, values in measured["divergence"].items():
        # On states that the policy itself visits: these need its physics, and are checked by replay.
        told = lookup(record, f"divergence.{name}.{VISITED}")
        if not isinstance(told, float) or told < 0:
            faults.add(f"{folder}/record.json", f"divergence.{name}.{VISITED}", told, "a number, 0 or more")
            return None
        values[VISITED] = told
    for path, value in measured.items():
        _compare(record.get(path), value, path, f"{folder}/record.json", faults, loosely=True)
    return measured


def read_policy(root: Path, name: str, base: ActorCriticPolicy, faults: Faults) -> ActorCriticPolicy | None:
    """Return the policy in a file, if it is one of the base's shape with a log-std that methods keep to."""
    data = hostile.read(root, name, hostile.MOST_FILE, faults)
    found = None if data is None else hostile.tensors(name, data, base.state_dict(), faults)
    if found is None:
        return None
    low, high = policies.LOG_STD_RANGE
    if "log_std" in found and not bool(((found["log_std"] >= low) & (found["log_std"] <= high)).all()):
        faults.add(name, "log_std", found["log_std"].tolist(), f"values in {[low, high]}")
        return None
    tuned = policies.clone(base).eval()
    tuned.load_state_dict(found)
    return tuned


def _compare(found: Any, wanted: Any, path: str, file: str, faults: Faults, loosely: bool = False) -> None:
    """Add what differs; loosely: sums in another order, on another processor, still agree."""
    relative, absolute = (1e-3, 1e-4) if loosely else (1e-9, 1e-9)
    for where, one, other in differences(found, wanted, path, lambda a, b: abs(a - b) <= absolute + relative * abs(b)):
        faults.add(file, where, one, other)
