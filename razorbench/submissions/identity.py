"""The run of a submitted record, rebuilt from the record and the registry. Nothing that the record names is imported or called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from razorbench.bases.base import Base
from razorbench.errors import RazorbenchError, UsageError
from razorbench.method.data import Budget
from razorbench.method.protocol import Method
from razorbench.registry.building import typed
from razorbench.runs.spec import EvalSettings, RunSpec
from razorbench.store.folder import digest
from razorbench.store.record import Record
from razorbench.task import Task

FROM_FILE = "sha256:"
"""Prefix of a record's demonstrations if they came from a file."""


def run_spec(record: Record, task: Task, base: Base, budget: Budget, settings: EvalSettings, registered: Method) -> RunSpec:
    """Return the run of a registered method with the hyperparameters of the record's configuration.

    Demonstrations from a file are known by their digest only. Raises UsageError if the hyperparameters do not fit the method.
    """
    demos = record.method.demos
    first = task.style
    from_file = demos.startswith(FROM_FILE)
    method = _method(record.config.method, registered, "config.method")
    spec = RunSpec(
        task=task,
        method_name=record.method.name,
        method=method,
        base=base,
        seed=record.seed,
        budget=budget,
        style=first if from_file else demos,
        eval=settings,
        recorded=cast(Any, (None, demos.removeprefix(FROM_FILE))) if from_file else None,
    )
    if (upstream := getattr(method, "upstream", None)) is not None:
        upstream_name = str(record.upstream and record.upstream.method)
        spec = replace(spec, upstream=replace(spec, method=upstream, method_name=upstream_name, style=first, recorded=None))
    return spec


def run_hash(spec: RunSpec) -> str:
    """Return the hash of a record's run. Raises UsageError if its hyperparameters are not plain values."""
    try:
        return digest(spec.identity())
    except (TypeError, ValueError) as error:
        raise UsageError(f"config.method holds what is no plain value ({error})") from error


def _method(node: Any, registered: Method, where: str) -> Method:
    """Return the registered method's class with a node's hyperparameters. Raises UsageError if the node names another class."""
    cls = type(registered)
    target = f"{cls.__module__}.{cls.__qualname__}"
    if not isinstance(node, Mapping) or node.get("_target_") != target:
        raise UsageError(f"{where} is not of {target}")
    values = {key: value for key, value in node.items() if key not in ("_target_", "upstream")}
    if (upstream := getattr(registered, "upstream", None)) is not None:
        values["upstream"] = _method(node.get("upstream"), upstream, f"{where}.upstream")
    try:
        made: Method = typed(cls, {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}, where)
    except RazorbenchError:
        raise
    except Exception as error:
        raise UsageError(f"{where} is refused by {target} ({type(error).__name__})") from error
    return made
