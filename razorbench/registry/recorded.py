"""Look-up of a record's task and base in the registry. A record's content only chooses names; it never imports, calls or opens anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from razorbench.errors import UsageError
from razorbench.store.bounded import shown
from razorbench.types import Settings


class Registered(Protocol):
    """A registry to search."""

    def names(self, group: str) -> list[str]:
        """Return the names of a group."""

    def item(self, group: str, name: str) -> Any:
        """Build one object."""

    def sound(self, group: str) -> Settings:
        """Build a group's objects, by name, without broken ones."""


def find(registered: Registered, group: str, wanted: str, called: Callable[[Any], str]) -> str:
    """Return the registered name of an object that records call `wanted`. called: returns an object's name in records.

    Raises UsageError if there is none.
    """
    name = wanted.rpartition("-v")[0] if group == "task" else wanted
    if name in registered.names(group) and called(registered.item(group, name)) == wanted:
        return name
    # A yaml may have another name than its object.
    known = {called(thing): name for name, thing in registered.sound(group).items()}
    if wanted not in known:
        raise UsageError(
            f"the record is of {group} {shown(wanted)}, which is not registered here; there are {', '.join(sorted(known))}; "
            "if it is one of your own, give its conf folder with --config-dir"
        )
    return known[wanted]


def with_settings(node: Settings, settings: Any, where: str) -> Settings:
    """Return a registered node with a record's plain settings.

    Raises UsageError unless each setting exists in the node with the same type; nested settings must equal the registered ones.
    """
    if not isinstance(settings, Mapping):
        raise UsageError(f"{where} is {shown(settings)}: it must be a mapping; no run wrote this record")
    merged = dict(node)
    for key, value in settings.items():
        if key == "_target_" or value == node.get(key):
            continue
        if key not in node:
            raise UsageError(f"{where}.{shown(key)}: no such registered setting; there are {', '.join(sorted(set(node) - {'_target_'}))}")
        if not isinstance(value, bool | int | float | str) or (node[key] is not None and type(value) is not type(node[key])):
            raise UsageError(f"{where}.{key} is {shown(value)}: it must be a plain value such as {shown(node[key])}")
        merged[key] = value
    return merged
