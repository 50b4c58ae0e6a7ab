"""What a record names, found among what is registered: its words choose, and never import, call or open anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from razorbench.errors import UsageError
from razorbench.store.bounded import shown
from razorbench.types import Settings


class Registered(Protocol):
    """What is looked through."""

    def names(self, group: str) -> list[str]:
        """Return the names of a group."""

    def item(self, group: str, name: str) -> Any:
        """Return one thing."""

    def sound(self, group: str) -> Settings:
        """Return what a group holds, by name, without what is broken."""


def find(registered: Registered, group: str, wanted: str, called: Callable[[Any], str]) -> str:
    """Return the name under which a group holds what records call `wanted`; called: how records call a thing.

    Raises UsageError if there is none.
    """
    name = wanted.rpartition("-v")[0] if group == "task" else wanted
    if name in registered.names(group) and called(registered.item(group, name)) == wanted:
        return name
    # A yaml may have another name than the thing in it.
    known = {called(thing): name for name, thing in registered.sound(group).items()}
    if wanted not in known:
        raise UsageError(
            f"the record is of {group} {shown(wanted)}, which is not registered here; there are {', '.join(sorted(known))}; "
            "if it is one of your own, give its conf folder with --config-dir"
        )
    return known[wanted]


def with_settings(node: Settings, told: Any, where: str) -> Settings:
    """Return a registered thing's node with the plain settings that a record tells of it.

    A setting has to be one that the node has, and of the same kind; what holds settings of its own has to be as registered.
    """
    if not isinstance(told, Mapping):
        raise UsageError(f"{where} is {shown(told)}: it must be a mapping; the record is not one that a run wrote")
    merged = dict(node)
    for key, value in told.items():
        if key == "_target_" or value == node.get(key):
            continue
        if key not in node:
            raise UsageError(f"{where}.{shown(key)}: no setting of what is registered; there are {', '.join(sorted(set(node) - {'_target_'}))}")
        if not isinstance(value, bool | int | float | str) or (node[key] is not None and type(value) is not type(node[key])):
            raise UsageError(f"{where}.{key} is {shown(value)}: it must be a plain value such as {shown(node[key])}")
        merged[key] = value
    return merged
