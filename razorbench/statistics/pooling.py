"""Which runs may be averaged: of one kind, each once, each setting of a method an arm of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from razorbench.errors import UsageError
from razorbench.statistics.finished_runs import Run
from razorbench.store.record import Record, Settings, Snapshot

ALIKE = {6: 7}
"""Protocols whose numbers mean the same as a later one's. 7 has twelve more instruction slots, which are zero in every task so far, and declares
identities by version; its measures, splits, harness and bases are those of 6."""


@dataclass(frozen=True)
class Pool:
    """Runs that may be pooled, those set apart, each with the reason, and what a reader of the page should know of those pooled."""

    runs: Sequence[Run]
    apart: Sequence[tuple[Run, str]] = ()
    notes: Sequence[str] = ()


def pool(runs: Sequence[Run], base: str, budget: str, mixed: bool = False) -> Pool:
    """Return the runs of one base and one budget that may be averaged; the others are set apart, never averaged in.

    mixed: pool runs of several kinds too, with a note. Raises UsageError if none is left, if those left are of several kinds (`kinds`) and are not to
    be mixed, or if one was done twice (`distinct`).
    """
    kept: list[Run] = []
    apart: list[tuple[Run, str]] = []
    mine = [run for run in runs if run.base == base and run.budget == budget]
    skills = Counter(tuple(sorted(run.record.original)) for run in mine).most_common(1)
    for run in runs:
        kind = (("base", run.base, base), ("budget", run.budget, budget))
        other = [f"{what} {found}, not {wanted}" for what, found, wanted in kind if found != wanted]
        fault = f"is of {' and '.join(other)}" if other else _fault(run, skills[0][0])
        if fault is None:
            kept.append(run)
        else:
            apart.append((run, fault))
    if not mine:
        there = sorted({f"base={run.base} budget={run.budget}" for run in runs})
        raise UsageError(f"no run with base={base} budget={budget} among {len(runs)}; there are {', '.join(there)}")
    if not kept:
        raise UsageError(f"none of the {len(mine)} runs can be used; the first, {mine[0].folder}, {_fault(mine[0], skills[0][0])}: do it again")
    return Pool(distinct(by_setting(kept)), apart, kinds(kept, mixed))


def _fault(run: Run, skills: Sequence[str]) -> str | None:
    """Say why a run's numbers cannot be used, None if they can: one is missing, or it has other original skills than most runs."""
    parts: list[tuple[str, Record | Snapshot]] = [("", run.record), *((f" at update {point.update}", point) for point in run.curve)]
    for where, part in parts:
        found = part.original.keys()
        if found != set(skills):
            differ = [f"lacks {', '.join(sorted(set(skills) - found))}"] if set(skills) - found else []
            differ += [f"has {', '.join(sorted(found - set(skills)))}, which most runs lack"] if found - set(skills) else []
            return f"{' and '.join(differ)} among its original skills{where}"
        needed = {"forgetting.value": part.forgetting.value, "retention.value": part.retention.value}
        if isinstance(part, Snapshot):
            needed = {"new_task.test.rate": part.success, "new_task.select.rate": part.select_success} | needed
        else:
            needed["divergence.kl_forward.new"] = part.forward_kl
        for path, value in needed.items():
            if value is None:
                return f"has no number for {path}{where}"
    return None


def kinds(runs: Sequence[Run], mixed: bool = False) -> list[str]:
    """Return what readers of averages over these runs should know: builds that differ, and what was mixed.

    Protocol, version of a task and of a method, base, budget, and major and minor version of MuJoCo and torch must be the same. Builds of these
    (`2.13.0+cpu`, `+cu130`) and their patch versions may differ. Raises UsageError for runs of more than one kind, unless they are to be mixed.
    """
    must: dict[str, set[str]] = {}
    may: dict[str, set[str]] = {}
    for run in runs:
        record = run.record
        for what, found in {
            "protocol": ALIKE.get(record.protocol, record.protocol),
            "MuJoCo": _minor(record.versions["mujoco"]),
            "torch": _minor(record.versions["torch"]),
            "base": run.base,
            "budget": run.budget,
            f"version of the task {run.task}": record.task,
            f"specification of the task {run.task} under protocol {record.protocol}": record.hashes.task_spec,
            f"set of weights of {record.base} under protocol {record.protocol}": record.hashes.base_policy,
            f"version of the method {run.method}": record.method.version,
        }.items():
            must.setdefault(what, set()).add(str(found))
        for what, found in {"protocol": record.protocol, **{name: record.versions[name.lower()] for name in ("MuJoCo", "torch")}}.items():
            may.setdefault(what, set()).add(str(found))
    several = {what: _listed(found) for what, found in must.items() if len(found) > 1}
    if several and not mixed:
        what, found = next(iter(several.items()))
        raise UsageError(f"the records are of more than one {what} ({found}): give a folder that holds one of them only, or --mixed to pool them with a note")
    notes = [f"These runs are of more than one {what} ({found}) and were pooled all the same." for what, found in several.items()]
    return notes + [f"Pooled over {what} {_listed(found)}." for what, found in may.items() if len(found) > 1 and what not in several]


def _minor(version: str) -> str:
    """Major and minor version."""
    return ".".join(version.partition("+")[0].split(".")[:2])


def _listed(found: set[str]) -> str:
    return ", ".join(sorted(found))


def by_setting(runs: Sequence[Run]) -> list[Run]:
    """Return the runs, those of a method that was run with several settings as arms of their own, named by where the settings differ."""
    settings: dict[str, dict[str, Settings]] = {}
    for run in runs:
        settings.setdefault(run.arm, {})[str(run.folder)] = _setting(run.record)
    named = []
    for run in runs:
        mine, all_of_arm = settings[run.arm][str(run.folder)], settings[run.arm].values()
        differ = sorted({key for each in all_of_arm for key in each.keys() | mine.keys() if each.get(key) != mine.get(key)})
        told = ", ".join(f"{key}={json.dumps(mine.get(key))}" for key in differ)
        named.append(replace(run, setting=f"[{told}]") if told else run)
    return named


def _setting(record: Record) -> Settings:
    """All of a run's settings but its task, base, seed and demonstrations, by dotted name."""
    config = record.config
    return {
        **_flat(config.method or {}),
        **_flat(record.budget.caps or {}),
        **{f"eval.{key}": value for key, value in _flat(config.eval or {}).items()},
        "log_std": config.log_std,
        "code": record.method.code,
    }


def _flat(node: Mapping[str, object], path: str = "") -> Settings:
    found: Settings = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{path}{key}.")
        elif key not in ("_target_", "name"):
            found[f"{path}{key}"] = value
    return found


def distinct(runs: Sequence[Run]) -> list[Run]:
    """Return the runs, the same one found twice but once. Raises UsageError for two that share arm, task, seed, base and budget and are not the same."""
    first: dict[tuple[str, str, int, str, str], Run] = {}
    for run in runs:
        twin = first.setdefault((run.arm, run.task, run.seed, run.record.base, run.budget), run)
        if twin.record.hashes.run != run.record.hashes.run:
            raise UsageError(
                f"{run.arm} has two runs of {run.task}, seed {run.seed}: {twin.folder} and {run.folder} differ in what they are made of; "
                "keep each in a folder of its own"
            )
    return list(first.values())
