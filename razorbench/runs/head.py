"""The head of a record: the run that it is of, its settings, and where it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from razorbench.bases.base import LOCAL
from razorbench.identity.parts import made_of
from razorbench.runs.spec import RunSpec
from razorbench.store import provenance
from razorbench.store.folder import PROTOCOL, SCHEMA
from razorbench.store.record import Config, Origin
from razorbench.task import World, promises, world_versions
from razorbench.types import Identity, Settings


def origin(spec: RunSpec, config: Settings) -> Origin:
    """Return how a run, or a sequence that begins with it, is made."""
    return Origin(
        schema_=SCHEMA,
        protocol=PROTOCOL,
        world=spec.task.world.version,
        promises=list(promises(spec.task.world)),
        base=spec.base.id,
        seed=spec.seed,
        config=Config(**_settings(spec, config)),
        versions=versions(spec.task.world),
        machine=provenance.machine(),
        git=provenance.git(),
    )


def versions(world: World) -> dict[str, str]:
    """Return the versions of Python and packages that results in a world depend on."""
    return {**provenance.versions(), **world_versions(world)}


def code(spec: RunSpec) -> Identity:
    """Return what may continue a run's unfinished work."""
    return {**provenance.code(spec.method), "versions": versions(spec.task.world)}


def _settings(spec: RunSpec, config: Settings) -> Settings:
    """A run's configuration as its objects have it: a method's defaults are in it, demonstrations from a file go by its content.

    Where files lie and who looks on is no part of a run, and may name a person's folders. Nor is what a world's fields leave out of equality.
    """
    world = spec.task.world
    local: list[str] = [each.name for each in fields(world) if not each.compare] if is_dataclass(world) else []
    kept: dict[str, Any] = _without({key: value for key, value in config.items() if key not in ("results", "track")}, "world", local)
    if "base" in kept:
        kept["base"] = {key: value for key, value in kept["base"].items() if key not in LOCAL}
    if spec.recorded:
        kept["demos"] = spec.demos
    return kept | {"method": _with_defaults(spec.method, kept.get("method", {}))}


def _without(node: Any, inside: str, keys: Sequence[str]) -> Any:
    """Return plain data without some keys of every mapping that is called `inside`."""
    if isinstance(node, list):
        return [_without(each, inside, keys) for each in node]
    if not isinstance(node, Mapping):
        return node
    return {
        name: _without({key: each for key, each in value.items() if key not in keys} if name == inside and isinstance(value, Mapping) else value, inside, keys)
        for name, value in node.items()
    }


def _with_defaults(method: Any, node: Settings) -> Settings:
    values = {each.name: getattr(method, each.name) for each in fields(method)}
    return {**node, **{name: _with_defaults(value, node[name]) if isinstance(node.get(name), Mapping) else made_of(value) for name, value in values.items()}}
