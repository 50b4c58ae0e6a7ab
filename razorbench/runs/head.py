"""The head of a record: the run that it is of, its settings, and where it was made."""

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
    """Return how a run, or a sequence that begins with it, is made."""
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
    """A run's configuration as its objects have it: a method's defaults are in it, demonstrations from a file go by its content.

    Where files lie and who looks on is no part of a run, and may name a person's folders.
    """
    kept = {key: value for key, value in config.items() if key not in ("results", "track")}
    if "base" in kept:
        kept["base"] = {key: value for key, value in kept["base"].items() if key not in ("directory", "policy")}
    if spec.recorded:
        kept["demos"] = spec.demos
    return kept | {"method": _with_defaults(spec.method, kept.get("method", {}))}


def _with_defaults(method: Any, node: Settings) -> Settings:
    values = {each.name: getattr(method, each.name) for each in fields(method)}
    return {**node, **{name: _with_defaults(value, node[name]) if isinstance(node.get(name), Mapping) else made_of(value) for name, value in values.items()}}
