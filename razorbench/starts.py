"""What a base policy can do on a new task before any training, from its card: 500 SELECT starts, five times the episodes that a run plays."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

NEARLY_SOLVED = 0.5
"""Success of the base above which a score is undefined: it divides by 1 less that success, and would be mostly noise."""


def base_success(record: Mapping[str, Any]) -> float:
    """Return the greedy success of a record's base on its new task.

    By the base's card, if it lies where bases are shipped or where the record's configuration had it, and describes the very weights and task of the
    record. Otherwise by the record's own TEST starts.
    """
    task, hashes = str(record["task"]).rpartition("-v")[0], record["hashes"] or {}
    for folder in _folders(record):
        card = _card(folder, str(record["base"]))
        if card and (card["sha256"]["policy"], card["tasks"].get(task)) == (hashes.get("base_policy"), hashes.get("task_spec")):
            return float(card["success"]["select"][task]["greedy"]["rate"])
    return float(record["new_task"]["base"]["greedy"]["rate"])


def _folders(record: Mapping[str, Any]) -> list[Path]:
    own = ((record.get("config") or {}).get("base") or {}).get("directory")
    return [Path(str(files("razorbench.baselines").joinpath("policies"))), *([Path(own)] if own else [])]


@cache
def _card(folder: Path, name: str) -> Mapping[str, Any]:
    """A card's content, empty if there is none. name: from a record, hence never trusted as a path."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return {}
    try:
        found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and {"sha256", "tasks", "success"} <= found.keys() else {}
