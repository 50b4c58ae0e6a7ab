"""Declared searches: that for methods' defaults, the same number of configurations, tasks, seed and budget for each, one objective; and ablations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from razorbench.errors import UsageError, among
from razorbench.store.record import Config, Record, Settings

Grid = Mapping[str, Sequence[Any]]
_OF_THE_RUN = {"demos": ("demos",), "log_std": ("log_std",), "base": ("base", "name"), "instruction": ("task", "instruction")}
"""Settings of a run, not of its method, and where they stand in a record's config."""


@dataclass(frozen=True)
class Study:
    """A declared search. grids: per method, the values of each setting; their product is what is tried.

    A setting is a hyper-parameter, or `demos`, `log_std`, `base` or the task's `instruction`.
    Several grids for one method are tried one after the other; they must then set the same keys, so that no run belongs to two.
    """

    use: ClassVar = "razorbench tune --study {}"

    tasks: Sequence[str]
    seed: int
    budget: str
    grids: Mapping[str, Grid | Sequence[Grid]]

    def _grids(self, method: str) -> Sequence[Grid]:
        if method not in self.grids:
            raise UsageError(f"{method}: the study declares no grid for it{among(method, self.grids)}")
        found = self.grids[method]
        grids = [found] if isinstance(found, Mapping) else list(found)
        if len({frozenset(grid) for grid in grids}) != 1:
            raise UsageError(f"{method}: its grids in the study set different keys; name the same ones in each, those left alone with one value")
        return grids

    def configurations(self, method: str) -> list[Settings]:
        """Return what is tried for a method, in order; raises UsageError if no grid is declared."""
        return [dict(zip(grid, values, strict=True)) for grid in self._grids(method) for values in itertools.product(*grid.values())]

    def tried(self, method: str) -> str:
        """Format a method's grids."""
        return "; ".join(f"`{key}` {', '.join(map(value_text, values))}" for grid in self._grids(method) for key, values in grid.items())

    def sweeps(self, method: str) -> list[list[str]]:
        """Return the overrides of the multiruns that do a method's search."""
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
    """Return the value of a setting in a record's configuration, None if it has none."""
    part, *keys = _OF_THE_RUN.get(setting, ("method", setting))
    found = getattr(config, part)
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def value_text(value: Any) -> str:
    """Format the value of a setting."""
    return f"{value:g}" if isinstance(value, int | float) else str(value)


@dataclass(frozen=True)
class Choice:
    """One configuration with the means over the tasks; `score` decides."""

    settings: Settings
    score: float
    success: float
    retention: float
    forward_kl: float


def ranking(study: Study, method: str, records: Sequence[Record]) -> list[Choice]:
    """Return a method's configurations with all of their runs done, best first.

    Raises UsageError if a run of the search is missing.
    """
    found: list[Choice] = []
    for settings in study.configurations(method):
        runs = [recorded(study, method, task, settings, records) for task in study.tasks]
        mean = {
            "score": [run.score for run in runs],
            "success": [run.final(None).select_success for run in runs],
            "retention": [run.retention.value for run in runs],
            "forward_kl": [run.forward_kl for run in runs],
        }
        found.append(Choice(settings, **{key: float(np.mean(np.array(values, dtype=float))) for key, values in mean.items()}))
    return sorted(found, key=lambda choice: -choice.score)


def runs(study: Study, records: Sequence[Record]) -> list[Record]:
    """Return the search's own records, in the study's order; raises UsageError if one is missing."""
    return [recorded(study, method, task, settings, records) for method in study.grids for settings in study.configurations(method) for task in study.tasks]


def recorded(study: Study, method: str, task: str, settings: Settings, records: Sequence[Record]) -> Record:
    """Return the record of one run of a search; raises UsageError if there is none."""
    for record in records:
        if (
            (record.task_name, record.method.name, record.seed, record.budget.name) == (task, method, study.seed, study.budget)
            and (record.config.eval or {}).get("split") == "select"
            and all(_set(record.config, key) == value for key, value in settings.items())
        ):
            return record
    raise UsageError(f"the search of {method} is not complete: {task} with {describe(settings)} has no record; do it with `razorbench tune {method}`")


def describe(settings: Settings) -> str:
    """Format settings."""
    return ", ".join(f"{key}={value_text(value)}" for key, value in settings.items())
