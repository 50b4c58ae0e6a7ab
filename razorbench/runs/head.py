"""The head of a record: its run, its settings and its machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from razorbench.identity.parts import made_of
from razorbench.runs.spec import RunSpec
from razorbench.store import provenance
from razorbench.store.folder import PROTOCOL, SCHEMA
from razorbench.store.record import Config, Origin
from razorbench.types import Settings


def origin(spec: RunSpec, config: Settings) -> Origin:
    """Return the origin of a run, or of a sequence that begins with it."""
    return Origin(
        schema_=SCHEMA,
        protocol=PROTOCOL,
        world=spec.task.world.version,
        base=spec.base.id,
        seed=spec.seed,
        config=Config(**_settings(spec, config)),
        versions=provenance.versions(),
        machine=provenance.machine(),
        git=provenance.git(),
    )


def _settings(spec: RunSpec, config: Settings) -> Settings:
    """Return a run's configuration with the method's defaults; demonstrations from a file are named by its digest.

    Folders and trackers are left out: they do not affect the run and may contain a person's name.
    """
    settings = {key: value for key, value in config.items() if key not in ("results", "track")}
    if "base" in settings:
        settings["base"] = {key: value for key, value in settings["base"].items() if key not in ("directory", "policy")}
    if spec.recorded:
        settings["demos"] = spec.demos
    return settings | {"method": _with_defaults(spec.method, settings.get("method", {}))}


def _with_defaults(method: Any, node: Settings) -> Settings:
    values = {field.name: getattr(method, field.name) for field in fields(method)}
    return {**node, **{name: _with_defaults(value, node[name]) if isinstance(node.get(name), Mapping) else made_of(value) for name, value in values.items()}}
