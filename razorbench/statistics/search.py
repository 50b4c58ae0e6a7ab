"""Declared hyper-parameter searches and ablations: each method gets the same number of configurations, tasks, seed, budget and objective."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from razorbench.errors import UsageError, among
from razorbench.store.record import Config, Record
from razorbench.types import Settings

Grid = Mapping[str, Sequence[Any]]
_OF_THE_RUN = {"demos": ("demos",), "log_std": ("log_std",), "base": ("base", "name"), "instruction": ("task", "instruction")}
"""Settings of a run rather than of its method, with their path in a record's config."""


@dataclass(frozen=True)
class Study:
    """A declared search. grids: values of each setting, by method; the search tries their product.

    A setting is a hyper-parameter, `demos`, `log_std`, `base` or the task's `instruction`. A method may have several grids; they must set the same keys,
    so that no run belongs to two grids.
    """

    use: ClassVar = "razorbench tune --study {}"

    tasks: Sequence[str]
    seed: int
    budget: str
    grids: Mapping[str, Grid | Sequence[Grid]]

    def _grids(self, method: str) -> Sequence[Grid]:
        if method not in self.grids:
            raise UsageError(f"{method}: the study declares no grid for it{among(method, self.grids)}")
        declared = self.grids[method]
        grids = [declared] if isinstance(declared, Mapping) else list(declared)
        if len({frozenset(grid) for grid in grids}) != 1:
            raise UsageError(f"{method}: its grids in the study set different keys; name the same keys in each, with one value for a fixed key")
        return grids

    def configurations(self, method: str) -> list[Settings]:
        """Return a method's configurations, in order. Raises UsageError if the study declares no grid for it."""
        return [dict(zip(grid, values, strict=True)) for grid in self._grids(method) for values in itertools.product(*grid.values())]

    def tried(self, method: str) -> str:
        """Format a method's grids."""
        return "; ".join(f"`{key}` {', '.join(map(value_text, values))}" for grid in self._grids(method) for key, values in grid.items())

    def sweeps(self, method: str) -> list[list[str]]:
        """Return the overrides of the multiruns that make a method's search, one list per grid."""
        return [
            [
                f"task={','.join(self.tasks)}",
                f"method={method}",
                *(f"{_key(key)}={','.join(map(str, values))}" for key, values in grid.items()),
                f"seed={self.seed}",
                f"budget={self.budget}",
                *("eval.split=select", "eval.snapshots=1"),
            ]
            for grid in self._grids(method)
        ]


def _key(setting: str) -> str:
    if setting not in _OF_THE_RUN:
        return f"method.{setting}"
    return "task.instruction" if setting == "instruction" else setting


def _set(config: Config, setting: str) -> object:
    """Return the value of a setting in a record's config, None if it is not set."""
    part, *keys = _OF_THE_RUN.get(setting, ("method", setting))
    value = getattr(config, part)
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def value_text(value: Any) -> str:
    """Format the value of a setting."""
    return f"{value:g}" if isinstance(value, int | float) else str(value)


@dataclass(frozen=True)
class Choice:
    """One configuration with its means over the tasks; the highest `score` wins."""

    settings: Settings
    score: float
    success: float
    retention: float
    forward_kl: float


def ranking(study: Study, method: str, records: Sequence[Record]) -> list[Choice]:
    """Return a method's configurations, best first. Raises UsageError if a run of the search is missing."""
    choices: list[Choice] = []
    for settings in study.configurations(method):
        runs = [recorded(study, method, task, settings, records) for task in study.tasks]
        mean = {
            "score": [run.score for run in runs],
            "success": [run.final(None).select_success for run in runs],
            "retention": [run.retention.value for run in runs],
            "forward_kl": [run.forward_kl for run in runs],
        }
        choices.append(Choice(settings, **{key: float(np.mean(np.array(values, dtype=float))) for key, values in mean.items()}))
    return sorted(choices, key=lambda choice: -choice.score)


def runs(study: Study, records: Sequence[Record]) -> list[Record]:
    """Return the records of a search, in the study's order. Raises UsageError if one is missing."""
    return [recorded(study, method, task, settings, records) for method in study.grids for settings in study.configurations(method) for task in study.tasks]


def recorded(study: Study, method: str, task: str, settings: Settings, records: Sequence[Record]) -> Record:
    """Return the record of one run of a search. Raises UsageError if it is missing."""
    for record in records:
        if (
            (record.task_name, record.method.name, record.seed, record.budget.name) == (task, method, study.seed, study.budget)
            and (record.config.eval or {}).get("split") == "select"
            and all(_set(record.config, key) == value for key, value in settings.items())
        ):
            return record
    raise UsageError(f"the search of {method} is not complete: {task} with {describe(settings)} has no record; run `razorbench tune {method}`")


def describe(settings: Settings) -> str:
    """Format settings."""
    return ", ".join(f"{key}={value_text(value)}" for key, value in settings.items())
