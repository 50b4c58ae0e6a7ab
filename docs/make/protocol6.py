"""Hashes of runs under protocol 6, which hashed source text. They identify the runs of the study that was made then."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from razorbench.runs.sequence import SequenceSpec
from razorbench.runs.spec import RunSpec
from razorbench.store.folder import digest


def run_hash(spec: RunSpec | SequenceSpec) -> str | None:
    """Return the old hash of a run or a sequence with shipped tasks and a shipped base; None for any other."""
    parts = [_identity(each) for each in (spec.runs if isinstance(spec, SequenceSpec) else (spec,))]
    if any(part is None for part in parts):
        return None
    return digest({"sequence": parts} if isinstance(spec, SequenceSpec) else parts[0])


def _identity(spec: RunSpec) -> dict[str, Any] | None:
    before, upstream = spec.base.card.get("protocol_6"), None if spec.upstream is None else run_hash(spec.upstream)
    if before is None or spec.base.card["tasks"].get(spec.task.name) != spec.task.fingerprint():
        return None
    return {
        "schema": 1,
        "protocol": 6,
        "task": before["tasks"][spec.task.name],
        "method": {"name": spec.method_name, "version": spec.method.version, **asdict(spec.method)},  # type: ignore[call-overload]
        "base": before["policy"],
        "probe": before["probe"],
        "seed": spec.seed,
        "budget": asdict(spec.budget),
        "demos": spec.demos,
        "eval": asdict(spec.eval),
        "log_std": spec.log_std,
        "upstream": upstream,
    }
