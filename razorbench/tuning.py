"""The search for methods' defaults: the same number of configurations, tasks, seed and budget for each, one objective."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from razorbench.errors import UsageError

Settings = dict[str, float]


@dataclass(frozen=True)
class Study:
    """A declared search. grids: per method, the values of each setting; their product is what is tried."""

    tasks: tuple[str, ...]
    seed: int
    budget: str
    grids: Mapping[str, Mapping[str, Sequence[float]]]

    def grid(self, method: str) -> Mapping[str, Sequence[float]]:
        """Return a method's grid; raises UsageError if none is declared."""
        if method not in self.grids:
            raise UsageError(f"{method}: the study declares no grid for it; there are grids for {', '.join(self.grids)}")
        return self.grids[method]

    def configurations(self, method: str) -> list[Settings]:
        """Return what is tried for a method, in order."""
        grid = self.grid(method)
        return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]

    def overrides(self, method: str) -> list[str]:
        """Return the overrides of the multirun that does a method's search."""
        settings = [f"method.{key}={','.join(map(str, values))}" for key, values in self.grid(method).items()]
        return [
            f"task={','.join(self.tasks)}",
            f"method={method}",
            *settings,
            f"seed={self.seed}",
            f"budget={self.budget}",
            *("eval.split=select", "eval.snapshots=1"),
        ]


@dataclass(frozen=True)
class Choice:
    """One configuration with the means over the tasks; `score` decides."""

    settings: Settings
    score: float
    success: float
    retention: float
    forward_kl: float
    wall_s: float


def ranking(study: Study, method: str, records: Sequence[Mapping[str, Any]]) -> list[Choice]:
    """Return a method's configurations with all of their runs done, best first.

    Raises UsageError if a run of the search is missing.
    """
    found: list[Choice] = []
    for settings in study.configurations(method):
        runs = [_run(study, method, task, settings, records) for task in study.tasks]
        mean = {
            "score": [run["score"] for run in runs],
            "success": [run["new_task"]["select"]["rate"] for run in runs],
            "retention": [run["retention"]["value"] for run in runs],
            "forward_kl": [run["divergence"]["kl_forward"]["new"] for run in runs],
            "wall_s": [run["wall_s"] for run in runs],
        }
        found.append(Choice(settings, **{key: float(np.mean(values)) for key, values in mean.items()}))
    return sorted(found, key=lambda choice: -choice.score)


def _run(study: Study, method: str, task: str, settings: Settings, records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    for record in records:
        config = record["config"]
        if (
            (record["task"].rpartition("-v")[0], record["method"]["name"], record["seed"], record["budget"]["name"]) == (task, method, study.seed, study.budget)
            and config["eval"]["split"] == "select"
            and all(config["method"][key] == value for key, value in settings.items())
        ):
            return record
    raise UsageError(f"the search of {method} is not complete: {task} with {describe(settings)} has no record; do it with `razorbench tune {method}`")


def describe(settings: Settings) -> str:
    """Format settings."""
    return ", ".join(f"{key}={value:g}" for key, value in settings.items())
