"""Selection of the runs that may be averaged: one protocol and version, no duplicates, each setting of a method a separate arm."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from razorbench.errors import UsageError
from razorbench.statistics.finished_runs import Run
from razorbench.store.record import Record, Snapshot
from razorbench.types import Settings

ALIKE = {6: 7}
"""Protocols whose numbers mean the same as those of a later protocol. Protocol 7 adds twelve instruction slots, which are zero in every task so far, and
declares identities by version; its measures, splits, harness and bases are those of 6."""


@dataclass(frozen=True)
class Pool:
    """Runs that may be pooled, excluded runs (`apart`) with their reasons, and notes about the pooled runs for the report."""

    runs: Sequence[Run]
    apart: Sequence[tuple[Run, str]] = ()
    notes: Sequence[str] = ()


def pool(runs: Sequence[Run], base: str, budget: str, mixed: bool = False) -> Pool:
    """Return the runs of one base and one budget that may be averaged, and the excluded ones with reasons.

    mixed: pool runs of several kinds, with a note. Raises UsageError if no run is left, if they are of several worlds, if they are of several kinds
    (`kinds`) and mixed is false, or if a run was done twice (`distinct`).
    """
    pooled: list[Run] = []
    apart: list[tuple[Run, str]] = []
    mine = [run for run in runs if run.base == base and run.budget == budget]
    if len(worlds := {run.world for run in mine}) > 1:
        raise UsageError(f"the runs with base={base} are of several worlds ({_listed(worlds)}), which are never pooled: give a folder of one world")
    skills = Counter(tuple(sorted(run.record.original)) for run in mine).most_common(1)
    for run in runs:
        kind = (("base", run.base, base), ("budget", run.budget, budget))
        differ = [f"{what} {value}, not {wanted}" for what, value, wanted in kind if value != wanted]
        fault = f"is of {' and '.join(differ)}" if differ else _fault(run, skills[0][0])
        if fault is None:
            pooled.append(run)
        else:
            apart.append((run, fault))
    if not mine:
        there = sorted({f"base={run.base} budget={run.budget}" for run in runs})
        raise UsageError(f"no run with base={base} budget={budget} among {len(runs)}; there are {', '.join(there)}")
    if not pooled:
        raise UsageError(f"none of the {len(mine)} runs can be used; the first, {mine[0].folder}, {_fault(mine[0], skills[0][0])}: do it again")
    return Pool(distinct(by_setting(pooled)), apart, kinds(pooled, mixed))


def _fault(run: Run, skills: Sequence[str]) -> str | None:
    """Return why a run's numbers cannot be used, None if they can: a number is missing, or its original skills differ from those of most runs."""
    parts: list[tuple[str, Record | Snapshot]] = [("", run.record), *((f" at update {point.update}", point) for point in run.curve)]
    for where, part in parts:
        names = part.original.keys()
        if names != set(skills):
            differ = [f"lacks {', '.join(sorted(set(skills) - names))}"] if set(skills) - names else []
            differ += [f"has {', '.join(sorted(names - set(skills)))}, which most runs lack"] if names - set(skills) else []
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
    """Return notes for averages over these runs: software builds that differ, and kinds that were mixed.

    Protocol, versions of tasks and methods, base, budget, and the minor versions of MuJoCo and torch must be equal. Builds (`2.13.0+cpu`, `+cu130`) and
    patch versions may differ. Raises UsageError for runs of more than one kind, unless mixed.
    """
    must: dict[str, set[str]] = {}
    may: dict[str, set[str]] = {}
    for run in runs:
        record = run.record
        for what, value in {
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
            must.setdefault(what, set()).add(str(value))
        for what, value in {"protocol": record.protocol, **{name: record.versions[name.lower()] for name in ("MuJoCo", "torch")}}.items():
            may.setdefault(what, set()).add(str(value))
    several = {what: _listed(values) for what, values in must.items() if len(values) > 1}
    if several and not mixed:
        what, values = next(iter(several.items()))
        raise UsageError(f"the records are of more than one {what} ({values}): give a folder that holds one of them only, or --mixed to pool them with a note")
    notes = [f"These runs are of more than one {what} ({values}) and were pooled all the same." for what, values in several.items()]
    return notes + [f"Pooled over {what} {_listed(values)}." for what, values in may.items() if len(values) > 1 and what not in several]


def _minor(version: str) -> str:
    """Return major and minor version, `2.13` of `2.13.0+cpu`."""
    return ".".join(version.partition("+")[0].split(".")[:2])


def _listed(values: set[str]) -> str:
    return ", ".join(sorted(values))


def by_setting(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with each setting of a method as a separate arm, named by the settings that differ."""
    settings: dict[str, dict[str, Settings]] = {}
    for run in runs:
        settings.setdefault(run.arm, {})[str(run.folder)] = _setting(run.record)
    named = []
    for run in runs:
        mine, all_of_arm = settings[run.arm][str(run.folder)], settings[run.arm].values()
        differ = sorted({key for theirs in all_of_arm for key in theirs.keys() | mine.keys() if theirs.get(key) != mine.get(key)})
        setting = ", ".join(f"{key}={json.dumps(mine.get(key))}" for key in differ)
        named.append(replace(run, setting=f"[{setting}]") if setting else run)
    return named


def _setting(record: Record) -> Settings:
    """Return a run's settings by dotted name, without task, base, seed and demonstrations."""
    config = record.config
    return {
        **_flat(config.method or {}),
        **_flat(record.budget.caps or {}),
        **{f"eval.{key}": value for key, value in _flat(config.eval or {}).items()},
        "log_std": config.log_std,
        "code": record.method.code,
    }


def _flat(node: Mapping[str, object], path: str = "") -> Settings:
    flat: dict[str, object] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{path}{key}.")
        elif key not in ("_target_", "name"):
            flat[f"{path}{key}"] = value
    return flat


def distinct(runs: Sequence[Run]) -> list[Run]:
    """Return the runs without duplicates. Raises UsageError if two runs with different hashes share arm, task, seed, base and budget."""
    first: dict[tuple[str, str, int, str, str], Run] = {}
    for run in runs:
        twin = first.setdefault((run.arm, run.task, run.seed, run.record.base, run.budget), run)
        if twin.record.hashes.run != run.record.hashes.run:
            raise UsageError(
                f"{run.arm} has two runs of {run.task}, seed {run.seed}: {twin.folder} and {run.folder} have different hashes; "
                "keep them in separate results folders"
            )
    return list(first.values())
