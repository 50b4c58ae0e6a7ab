"""The search for methods' defaults: the same number of configurations, tasks, seed and budget for each, one objective."""

from __future__ import annotations

import gzip
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from razorbench.errors import UsageError
from razorbench.store import content, read_records

Settings = dict[str, float]


@dataclass(frozen=True)
class Study:
    """A declared search. grids: per method, the values of each setting; their product is what is tried."""

    tasks: Sequence[str]
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
        }
        found.append(Choice(settings, **{key: float(np.mean(values)) for key, values in mean.items()}))
    return sorted(found, key=lambda choice: -choice.score)


def runs(study: Study, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the search's own records, in the study's order; raises UsageError if one is missing."""
    return [_run(study, method, task, settings, records) for method in study.grids for settings in study.configurations(method) for task in study.tasks]


def _run(study: Study, method: str, task: str, settings: Settings, records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    for record in records:
        config = record["config"]
        if (
            (record["task"].rpartition("-v")[0], record["method"]["name"], record["seed"], record["budget"]["name"]) == (task, method, study.seed, study.budget)
            and config["eval"]["split"] == "select"
            and all(config["method"].get(key) == value for key, value in settings.items())
        ):
            return record
    raise UsageError(f"the search of {method} is not complete: {task} with {describe(settings)} has no record; do it with `razorbench tune {method}`")


def describe(settings: Settings) -> str:
    """Format settings."""
    return ", ".join(f"{key}={value:g}" for key, value in settings.items())


def table(study: Study, records: Sequence[Mapping[str, Any]], methods: Mapping[str, Any]) -> str:
    """Return the outcome of a whole search as a Markdown table. methods: with their defaults, which decide between equals."""
    lines = ["| method | what was tried | chosen | score | success | retention | forward KL | scores of the others |", "|---|---|---|---|---|---|---|---|"]
    for method in study.grids:
        best, *others = chosen_first(ranking(study, method, records), methods[method])
        tried = "; ".join(f"`{key}` {', '.join(f'{value:g}' for value in values)}" for key, values in study.grid(method).items())
        figures = " | ".join(f"{value:.2f}" for value in (best.score, best.success, best.retention, best.forward_kl))
        lines.append(f"| `{method}` | {tried} | {describe(best.settings)} | {figures} | {', '.join(f'{choice.score:.2f}' for choice in others)} |")
    return "\n".join(lines)


def chosen_first(choices: list[Choice], defaults: Any) -> list[Choice]:
    """Return a ranking that begins with the defaults, if nothing has a better score than they."""
    return sorted(choices, key=lambda choice: (-choice.score, any(getattr(defaults, key) != value for key, value in choice.settings.items())))


def save(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write records as gzipped JSON lines, the same bytes for the same records."""
    path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in records).encode(), mtime=0))


def load(path: Path) -> list[dict[str, Any]]:
    """Read what `save` wrote; raises FileDamaged if it cannot be read."""
    return [json.loads(line) for line in content(path).decode().splitlines()]


def main() -> None:
    """Rewrite the page and, given a folder of results, the file of the search's records before."""
    from razorbench.config import registry
    from razorbench.readme import section

    page, file = Path(sys.argv[1]), Path(sys.argv[2])
    with registry() as registered:
        study = Study(**registered.item("study", "tuning"))
        methods = {name: registered.item("method", name) for name in study.grids}
    if sys.argv[3:]:
        save(runs(study, read_records(Path(sys.argv[3]))), file)
    page.write_text(section(page.read_text(encoding="utf-8"), "search", table(study, load(file), methods)), encoding="utf-8")


if __name__ == "__main__":
    main()
