"""Defaults of classes, filled into yamls that omit them: each default is written once, in its class, and every setting can be overridden."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter, signature
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig

from razorbench.errors import UsageError
from razorbench.runs.spec import EvalSettings
from razorbench.types import Settings

OPEN = "???"
"""Hydra's mark for a required setting without a value."""


class Loader(ConfigLoaderImpl):
    """Hydra's loader, which also fills in defaults, after all yamls are merged and before overrides are applied."""

    def _compose_config_from_defaults_list(self, *given: Any, **named: Any) -> DictConfig:
        config = super()._compose_config_from_defaults_list(*given, **named)
        for name, node in config.items_ex(resolve=False):
            if name != "hydra":
                _fill(node, str(name), EvalSettings if name == "eval" else None)
        return config


def imported(target: str, setting: str) -> Callable[..., Any]:
    """Import the class or function that a setting names. Raises UsageError for any error in its module."""
    try:
        module, _, name = target.rpartition(".")
        factory: Callable[..., Any] = getattr(importlib.import_module(module), name)
        defaults(factory)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{setting}={target} cannot be imported ({error}): give a module.name that Python finds from here") from error
    return factory


@functools.cache
def defaults(factory: Callable[..., Any]) -> Settings:
    """Return the defaults of a dataclass's or a function's settings, by name, as plain data; `OPEN` for a setting without a default.

    Leaves out settings with a default that a yaml cannot hold, such as infinity.
    """
    if is_dataclass(factory):
        held = {field.name: field.default if field.default_factory is MISSING else field.default_factory() for field in fields(factory) if field.init}
    else:
        named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        held = {name: parameter.default for name, parameter in signature(factory).parameters.items() if parameter.kind in named}
    values = {name: OPEN if default is MISSING or default is Parameter.empty else default for name, default in held.items()}
    return {name: _plain(default) for name, default in values.items() if _is_plain(default)}


def usual(node: Settings) -> Settings:
    """Return the settings of a node that equal the defaults of its class. Imports its target."""
    return {name: default for name, default in defaults(imported(node["_target_"], "_target_")).items() if name in node and node[name] == default}


def _fill(node: Any, where: str, factory: Callable[..., Any] | None = None) -> None:
    """Add the defaults of their `_target_` to a node and its inner nodes. factory: the class of a node without a target."""
    if not isinstance(node, DictConfig) or node._is_none() or node._is_missing() or node._is_interpolation():
        return
    for name, inner in node.items_ex(resolve=False):
        _fill(inner, f"{where}.{name!s}")
    keys = set(node.keys())
    if "_target_" in keys:
        factory = imported(str(node["_target_"]), f"{where}._target_")
    for name, default in defaults(factory).items() if factory is not None else ():
        if name not in keys:
            node[name] = default


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_plain(inner) for name, inner in value.items())
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value
