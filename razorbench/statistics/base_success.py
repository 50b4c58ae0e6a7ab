"""Zero-shot success of a base policy on a new task, from its card: 500 SELECT starts, five times the episodes of a run."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

from razorbench.store.record import Record
from razorbench.types import Settings

NEARLY_SOLVED = 0.5
"""Above this success of the base, the score is undefined: it divides by 1 minus that success and would be mostly noise."""


def base_success(record: Record) -> float:
    """Return the greedy success of a record's base on its new task.

    Reads the base's card if the base is shipped and the card has the record's weights and task; otherwise uses the record's own TEST starts. Opens no
    folder that a record names: a record may come from a stranger.
    """
    task, hashes = record.task_name, record.hashes
    card = _card(record.base)
    if task in card.get("tasks", ()):
        # Protocol 6 hashed the same base and the same tasks differently.
        protocol_6 = card.get("protocol_6", {"policy": None, "tasks": {}})
        known = ((card["sha256"]["policy"], card["tasks"][task]), (protocol_6["policy"], protocol_6["tasks"].get(task)))
        if (hashes.base_policy, hashes.task_spec) in known:
            return float(card["success"]["select"][task]["greedy"]["rate"])
    return record.new_task.base.greedy.rate


@cache
def _card(name: str) -> Settings:
    """Return the content of a shipped card, empty if there is none. name: from a record, so never trusted as a path."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return {}
    try:
        card: Settings = json.loads(files("razorbench.baselines").joinpath("policies", f"{name}.json").read_text(encoding="utf-8"))
    except OSError:
        return {}
    return card
