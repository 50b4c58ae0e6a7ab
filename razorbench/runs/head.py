"""The head of a record: its run, its settings and its machine."""

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
    """Return the origin of a run, or of a sequence that begins with it."""
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
    """Return a run's configuration with the method's defaults; demonstrations from a file are named by its digest.

    Folders, files and trackers are left out, and fields that a world leaves out of equality: they do not affect the run and may contain a person's name.
    """
    world = spec.task.world
    local: list[str] = [field.name for field in fields(world) if not field.compare] if is_dataclass(world) else []
    settings: dict[str, Any] = _without({key: value for key, value in config.items() if key not in ("results", "track")}, "world", local)
    if "base" in settings:
        settings["base"] = {key: value for key, value in settings["base"].items() if key not in LOCAL}
    if spec.recorded:
        settings["demos"] = spec.demos
    return settings | {"method": _with_defaults(spec.method, settings.get("method", {}))}


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
    values = {field.name: getattr(method, field.name) for field in fields(method)}
    return {**node, **{name: _with_defaults(value, node[name]) if isinstance(node.get(name), Mapping) else made_of(value) for name, value in values.items()}}
