"""The installed suites, tasks, bases, budgets and methods, with which a submission is compared."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from razorbench.bases import base
from razorbench.bases.base import Base
from razorbench.method.data import Budget
from razorbench.method.protocol import Method
from razorbench.registry.building import typed
from razorbench.registry.config import Registry
from razorbench.runs.spec import EvalSettings
from razorbench.submissions.hostile import Faults
from razorbench.task import Task


@dataclass(frozen=True)
class Known:
    """Registered objects. suites: tasks and seeds by name; load: returns a base by its name and a run's seed; settings: amount of evaluation.

    node: returns a yaml's content by group and name, as in records. played: cached episodes of the bases, see `rows`.
    """

    suites: Mapping[str, tuple[Sequence[str], Sequence[int]]]
    tasks: Mapping[str, Task]
    budgets: Mapping[str, Budget]
    methods: Mapping[str, Method]
    bases: Sequence[str]
    load: Callable[[str, int], Base]
    node: Callable[[str, str], Any]
    settings: EvalSettings = field(default_factory=EvalSettings)
    played: dict[tuple[Any, ...], dict[Any, Any]] = field(default_factory=dict)
    _loaded: dict[tuple[str, int], Base] = field(default_factory=dict)

    def base(self, name: str, seed: int) -> Base:
        """Return the base from which a run with this seed starts."""
        if (name, seed) not in self._loaded:
            self._loaded[name, seed] = self.load(name, seed)
        return self._loaded[name, seed]


def differences(found: Any, wanted: Any, path: str, near: Callable[[float, float], bool]) -> list[tuple[str, Any, Any]]:
    """Return the differences of two pieces of plain data: path, found, wanted. near: whether two numbers count as equal."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        keys = [*wanted, *(key for key in found if key not in wanted)]
        missing = object()
        pairs = [(f"{path}.{key}", found.get(key, missing), wanted.get(key, missing)) for key in keys]
        return [fault for where, a, b in pairs for fault in ([(where, *_presence(a, missing))] if missing in (a, b) else differences(a, b, where, near))]
    if isinstance(wanted, list | tuple) and isinstance(found, list) and len(found) == len(wanted):
        return [fault for k, (a, b) in enumerate(zip(found, wanted, strict=True)) for fault in differences(a, b, f"{path}[{k}]", near)]
    if _number(found) and _number(wanted):
        return [] if near(float(found), float(wanted)) else [(path, found, wanted)]
    return [] if type(found) is type(wanted) and found == wanted else [(path, found, wanted)]


ADDED = ("there", "nothing")
"""Words of `differences` for a key that is found and not wanted."""


def compare(found: Any, wanted: Any, path: str, file: str, faults: Faults, loosely: bool = False) -> None:
    """Add the differences. loosely: whether to tolerate sums in another order, as on another processor."""
    relative, absolute = (1e-3, 1e-4) if loosely else (1e-9, 1e-9)
    for where, one, other in differences(found, wanted, path, lambda a, b: abs(a - b) <= absolute + relative * abs(b)):
        faults.add(file, where, one, other)


def _presence(found: Any, missing: object) -> tuple[Any, Any]:
    return ("missing", "something") if found is missing else ADDED


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def known(registered: Registry) -> Known:
    """Return the registered objects with which a submission is compared."""
    suites = registered.sound("suite")
    recipes = registered.sound("base")
    return Known(
        suites={name: (found["tasks"], found["seeds"]) for name, found in suites.items() if "seeds" in found},
        tasks=registered.sound("task"),
        budgets={name: typed(Budget, budget, "budget") for name, budget in registered.sound("budget").items()},
        methods=registered.sound("method"),
        bases=list(recipes),
        load=lambda name, seed: base.load(recipes[name], seed),
        node=functools.cache(registered.node),
    )
