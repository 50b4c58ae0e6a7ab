"""Declared searches: that for methods' defaults, the same number of configurations, tasks, seed and budget for each, one objective; and ablations."""

from __future__ import annotations

import gzip
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from razorbench import bounded
from razorbench.errors import UsageError
from razorbench.guess import among
from razorbench.output import in_a_sentence
from razorbench.store import content
from razorbench.walk import read_records

Settings = dict[str, Any]
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
        return "; ".join(f"`{key}` {', '.join(map(_text, values))}" for grid in self._grids(method) for key, values in grid.items())

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


def _set(config: Mapping[str, Any], setting: str) -> Any:
    """Return what a record's config has a setting at."""
    found: Any = config
    for key in _OF_THE_RUN.get(setting, ("method", setting)):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


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
        config = record["config"] or {}
        if (
            (record["task"].rpartition("-v")[0], record["method"]["name"], record["seed"], record["budget"]["name"]) == (task, method, study.seed, study.budget)
            and (config.get("eval") or {}).get("split") == "select"
            and all(_set(config, key) == value for key, value in settings.items())
        ):
            return record
    raise UsageError(f"the search of {method} is not complete: {task} with {describe(settings)} has no record; do it with `razorbench tune {method}`")


def describe(settings: Settings) -> str:
    """Format settings."""
    return ", ".join(f"{key}={_text(value)}" for key, value in settings.items())


def table(study: Study, records: Sequence[Mapping[str, Any]], methods: Mapping[str, Any]) -> str:
    """Return the outcome of a whole search as a Markdown table. methods: with their defaults, which decide between equals."""
    lines = ["| method | what was tried | chosen | score | success | retention | forward KL | scores of the others |", "|---|---|---|---|---|---|---|---|"]
    for method in study.grids:
        best, *rest = chosen_first(ranking(study, method, records), methods[method])
        others = ", ".join(f"{choice.score:.2f}" for choice in rest)
        figures = " | ".join(f"{value:.2f}" for value in (best.score, best.success, best.retention, best.forward_kl))
        lines.append(f"| `{method}` | {study.tried(method)} | {describe(best.settings)} | {figures} | {others} |")
    return "\n".join(lines)


def chosen_first(choices: list[Choice], defaults: Any) -> list[Choice]:
    """Return a ranking that begins with the defaults, if nothing has a better score than they."""
    return sorted(choices, key=lambda choice: (-choice.score, any(getattr(defaults, key) != value for key, value in choice.settings.items())))


def ablations(study: Study, records: Sequence[Mapping[str, Any]]) -> str:
    """Return a study's ablations of every method, each under its name if there are several."""
    several = len(study.grids) > 1
    return "\n\n".join((f"`{method}`:\n\n" if several else "") + effects(study, method, records) for method in study.grids)


def effects(study: Study, method: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Return an ablation of one method as a Markdown table: success, retention and new-task forward KL of each configuration on each task."""
    configurations = study.configurations(method)
    keys = list(configurations[0])
    lines = [f"| {' | '.join(f'`{key}`' for key in keys)} |", "|" + "---|" * len(keys)]
    for task in study.tasks:
        lines[0] += f" `{task}`: success | retention | forward KL |"
        lines[1] += "---|---|---|"
    for settings in configurations:
        cells = [_text(settings[key]) for key in keys]
        for task in study.tasks:
            run = _run(study, method, task, settings, records)
            rate, kept = run["new_task"]["select"], run["retention"]
            cells += [_estimate(rate["rate"], rate["ci95"]), _estimate(kept["value"], kept["ci95"]), f"{run['divergence']['kl_forward']['new']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _estimate(value: float, bounds: Sequence[float]) -> str:
    return f"{value:.2f} [{bounds[0]:.2f}, {bounds[1]:.2f}]"


def save(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write records as gzipped JSON lines, the same bytes for the same records."""
    path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in records).encode(), mtime=0))


def load(path: Path) -> list[dict[str, Any]]:
    """Read what `save` wrote; raises FileDamaged if it cannot be read."""
    return bounded.parsed_lines(bounded.text(content(path)))


def main() -> None:
    """`python -m razorbench.tuning STUDY PAGE FILE [RESULTS]`: rewrite a study's table on the page and, given results, its file of records before."""
    from razorbench.config import registry
    from razorbench.readme import section

    name, page, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    with registry() as registered:
        study = registered.item("study", name)
        methods = {method: registered.item("method", method) for method in study.grids}
    if sys.argv[4:]:
        save(runs(study, read_records(Path(sys.argv[4]))), file)
    records = load(file)
    found = table(study, records, methods) if name == "tuning" else ablations(study, records)
    page.write_text(section(page.read_text(encoding="utf-8"), name, found), encoding="utf-8")


if __name__ == "__main__":
    in_a_sentence(main)
