"""Which runs may be averaged: of one kind, each once, each setting of a method an arm of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from razorbench.errors import UsageError
from razorbench.statistics.finished_runs import Run, lookup

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
    mine = [run for run in runs if run.base == base and run.record["budget"]["name"] == budget]
    skills = Counter(tuple(sorted(run.record["original"] or ())) for run in mine).most_common(1)
    for run in runs:
        kind = (("base", run.base, base), ("budget", run.record["budget"]["name"], budget))
        other = [f"{what} {found}, not {wanted}" for what, found, wanted in kind if found != wanted]
        fault = f"is of {' and '.join(other)}" if other else _fault(run, skills[0][0])
        if fault is None:
            kept.append(run)
        else:
            apart.append((run, fault))
    if not mine:
        there = sorted({f"base={run.base} budget={run.record['budget']['name']}" for run in runs})
        raise UsageError(f"no run with base={base} budget={budget} among {len(runs)}; there are {', '.join(there)}")
    if not kept:
        raise UsageError(f"none of the {len(mine)} runs can be used; the first, {mine[0].folder}, {_fault(mine[0], skills[0][0])}: do it again")
    return Pool(distinct(by_setting(kept)), apart, kinds(kept, mixed))


_NEEDED = ("new_task.base.greedy.rate", "new_task.final.greedy.rate", "forgetting.value", "retention.value", "divergence.kl_forward.new")
_NEEDED_ALONG = ("update", "new_task.test.rate", "new_task.select.rate", "forgetting.value", "retention.value")


def _fault(run: Run, skills: Sequence[str]) -> str | None:
    """Say why a run's numbers cannot be used, None if they can: one is missing, or it has other original skills than most runs."""
    parts = [("", run.record, _NEEDED, ".base.greedy.rate", ".final.greedy.rate")]
    parts += [(f" at update {point.get('update')}", point, _NEEDED_ALONG, ".rate", ".episodes") for point in run.curve]
    for where, part, needed, *per_skill in parts:
        found = part.get("original") or {}
        if set(found) != set(skills):
            differ = [f"lacks {', '.join(sorted(set(skills) - set(found)))}"] if set(skills) - set(found) else []
            differ += [f"has {', '.join(sorted(set(found) - set(skills)))}, which most runs lack"] if set(found) - set(skills) else []
            return f"{' and '.join(differ)} among its original skills{where}"
        paths = [*needed, *(f"original.{skill}{end}" for skill in skills for end in per_skill)]
        lacking = [path for path in paths if not _is_number(part, path)]
        if lacking:
            return f"has no number for {lacking[0]}{where}"
    return None


def _is_number(part: Mapping[str, Any], path: str) -> bool:
    found = lookup(part, path)
    return isinstance(found, int | float) and not isinstance(found, bool)


def kinds(runs: Sequence[Run], mixed: bool = False) -> list[str]:
    """Return what readers of averages over these runs should know: builds that differ, and what was mixed.

    Protocol, version of a task and of a method, base, budget, and major and minor version of MuJoCo and torch must be the same. Builds of these
    (`2.13.0+cpu`, `+cu130`) and their patch versions may differ. Raises UsageError for runs of more than one kind, unless they are to be mixed.
    """
    must: dict[str, set[str]] = {}
    may: dict[str, set[str]] = {}
    for run in runs:
        record, hashes = run.record, run.record["hashes"] or {}
        protocol = ALIKE.get(record["protocol"], record["protocol"])
        for what, found in {
            "protocol": protocol,
            "MuJoCo": _minor(record["versions"]["mujoco"]),
            "torch": _minor(record["versions"]["torch"]),
            "base": run.base,
            "budget": record["budget"]["name"],
            f"version of the task {run.task}": record["task"],
            f"specification of the task {run.task} under protocol {record['protocol']}": hashes.get("task_spec"),
            f"set of weights of {record['base']} under protocol {record['protocol']}": hashes.get("base_policy"),
            f"version of the method {run.method}": record["method"]["version"],
        }.items():
            must.setdefault(what, set()).add(str(found))
        for what, found in {"protocol": record["protocol"], **{name: record["versions"][name.lower()] for name in ("MuJoCo", "torch")}}.items():
            may.setdefault(what, set()).add(str(found))
    several = {what: _listed(found) for what, found in must.items() if len(found) > 1}
    if several and not mixed:
        what, found = next(iter(several.items()))
        raise UsageError(f"the records are of more than one {what} ({found}): give a folder that holds one of them only, or --mixed to pool them with a note")
    notes = [f"These runs are of more than one {what} ({found}) and were pooled all the same." for what, found in several.items()]
    return notes + [f"Pooled over {what} {_listed(found)}." for what, found in may.items() if len(found) > 1 and what not in several]


def _minor(version: str) -> str:
    """Major and minor version."""
    return ".".join(str(version).partition("+")[0].split(".")[:2])


def _listed(found: set[str]) -> str:
    return ", ".join(sorted(found))


def by_setting(runs: Sequence[Run]) -> list[Run]:
    """Return the runs, those of a method that was run with several settings as arms of their own, named by where the settings differ."""
    settings: dict[str, dict[str, Mapping[str, Any]]] = {}
    for run in runs:
        settings.setdefault(run.arm, {})[str(run.folder)] = _setting(run.record)
    named = []
    for run in runs:
        mine, all_of_arm = settings[run.arm][str(run.folder)], settings[run.arm].values()
        differ = sorted({key for each in all_of_arm for key in each.keys() | mine.keys() if each.get(key) != mine.get(key)})
        told = ", ".join(f"{key}={json.dumps(mine.get(key))}" for key in differ)
        named.append(replace(run, setting=f"[{told}]") if told else run)
    return named


def _setting(record: Mapping[str, Any]) -> dict[str, Any]:
    """All of a run's settings but its task, base, seed and demonstrations, by dotted name."""
    config = record["config"] or {}
    return {
        **_flat(config.get("method") or {}),
        **_flat(record["budget"].get("caps") or {}),
        **{f"eval.{key}": value for key, value in _flat(config.get("eval") or {}).items()},
        "log_std": config.get("log_std"),
        "code": record["method"].get("code"),
    }


def _flat(node: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{path}{key}.")
        elif key not in ("_target_", "name"):
            found[f"{path}{key}"] = value
    return found


def distinct(runs: Sequence[Run]) -> list[Run]:
    """Return the runs, the same one found twice but once. Raises UsageError for two that share arm, task, seed, base and budget and are not the same."""
    first: dict[tuple[Any, ...], Run] = {}
    for run in runs:
        twin = first.setdefault((run.arm, run.task, run.record["seed"], run.record["base"], run.record["budget"]["name"]), run)
        if lookup(twin.record, "hashes.run") != lookup(run.record, "hashes.run"):
            raise UsageError(
                f"{run.arm} has two runs of {run.task}, seed {run.record['seed']}: {twin.folder} and {run.folder} differ in what they are made of; "
                "keep each in a folder of its own"
            )
    return list(first.values())
