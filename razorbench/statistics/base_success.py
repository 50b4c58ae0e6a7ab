"""What a base policy can do on a new task before any training, from its card: 500 SELECT starts, five times the episodes that a run plays."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

from razorbench.store.record import Record
from razorbench.types import Settings

NEARLY_SOLVED = 0.5
"""Success of the base above which a score is undefined: it divides by 1 less that success, and would be mostly noise."""


def base_success(record: Record) -> float:
    """Return the greedy success of a record's base on its new task.

    By the base's card, if it is a shipped one that describes the very weights and task of the record. Otherwise by the record's own TEST starts. No
    folder that a record names is opened: records come from strangers too.
    """
    task, hashes = record.task_name, record.hashes
    card = _card(record.base)
    if task in card.get("tasks", ()):
        # Under protocol 6 the same base and the same tasks had other digests.
        before = card.get("protocol_6", {"policy": None, "tasks": {}})
        known = ((card["sha256"]["policy"], card["tasks"][task]), (before["policy"], before["tasks"].get(task)))
        if (hashes.base_policy, hashes.task_spec) in known:
            return float(card["success"]["select"][task]["greedy"]["rate"])
    return record.new_task.base.greedy.rate


@cache
def _card(name: str) -> Settings:
    """A shipped card's content, empty if there is none. name: from a record, hence never trusted as a path."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return {}
    try:
        found: Settings = json.loads(files("razorbench.baselines").joinpath("policies", f"{name}.json").read_text(encoding="utf-8"))
    except OSError:
        return {}
    return found
