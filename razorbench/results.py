"""Finished runs as the analyses see them: a record with its snapshots, and the points that they make for the law."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from razorbench.errors import UsageError
from razorbench.law import Points
from razorbench.store import read_curve, read_record

STATES = {"new": "new task", "new_instructed": "counterfactual instruction", "random": "random states", "original": "old tasks"}
PREDICTORS = {
    "forward KL, new task": "divergence.kl_forward.new",
    "forward KL, mean part": "divergence.kl_forward.new_mean_part",
    "forward KL, variance part": "divergence.kl_forward.new_variance_part",
    "forward KL, base's sigma": "divergence.kl_forward.new_common_sigma",
    "forward KL per episode": "divergence.kl_forward.new_episode_sum",
    "counterfactual-instruction KL": "divergence.kl_forward.new_instructed",
    "forward KL, random states": "divergence.kl_forward.random",
    "forward KL, old tasks": "divergence.kl_forward.original",
    **{
        f"{name}, {where}": f"divergence.{key}.{states}"
        for key, name in (
            ("kl_reverse", "reverse KL"),
            ("js", "Jensen-Shannon"),
            ("tv", "total variation"),
            ("w2", "Wasserstein-2"),
            ("action_mse", "action MSE"),
            ("moved", "actions moved"),
        )
        for states, where in STATES.items()
    },
    **{
        f"weights, {name}": f"drift.weights.{key}"
        for key, name in (("l1", "L1"), ("l2", "L2"), ("fisher", "Fisher"), ("spectral", "spectral norm"), ("changed", "share changed"), ("rank", "rank"))
    },
    **{
        f"activations, {name}, {where}": f"drift.activations.{states}.{key}"
        for key, name in (("l1", "L1"), ("l2", "L2"), ("cka", "CKA"), ("cknna", "CKNNA"))
        for states, where in (("new", "new task"), ("original", "old tasks"))
    },
}
"""What may predict forgetting, by the name in tables, and where a snapshot holds it."""
HEADLINE = "forward KL, new task"
PARTS = ("forward KL, mean part", "forward KL, variance part", "forward KL, base's sigma", "forward KL per episode")
"""Of the headline predictor, or other units of it, and so no rivals."""
RIVALS = tuple(name for name in PREDICTORS if name not in (HEADLINE, *PARTS))


SECOND = "/2"
"""Ends the name of an arm that learns from its task's second style of demonstrations."""


@dataclass(frozen=True)
class Run:
    """A record and its snapshots, the base's own first; a run whose snapshots were not kept has none. styles: its task's, in order."""

    record: Mapping[str, Any]
    curve: Sequence[Mapping[str, Any]]
    styles: Sequence[str] = ()

    @property
    def task(self) -> str:
        """The new task's name."""
        return str(self.record["task"]).rpartition("-v")[0]

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.record["method"]["name"])

    @property
    def arm(self) -> str:
        """What is compared and never averaged over: the method; with demonstrations of its task's second style `sft/2`, of an unknown one `sft/NAME`."""
        style = self.record["method"]["demos"]
        if not self.record["budget"]["demo_episodes"] or style == next(iter(self.styles), None):
            return self.method
        return f"{self.method}{SECOND if style in self.styles[1:2] else f'/{style}'}"


def read_runs(results: Path, styles: Mapping[str, Sequence[str]]) -> list[Run]:
    """Read every run below a folder, in order of path. styles: of demonstrations, by task's name.

    Raises UsageError if there is no run, FileDamaged for a damaged file.
    """
    paths = sorted(results.rglob("record.json"))
    if not paths:
        raise UsageError(f"{results}: no record.json below this folder; give the folder that `results=` named, or make runs first")
    runs = []
    for path in paths:
        record = read_record(path)
        curve = read_curve(path.parent) if (path.parent / "curve.jsonl").exists() else ()
        runs.append(Run(record, curve, styles.get(str(record["task"]).rpartition("-v")[0], ())))
    return runs


def one_kind(runs: Sequence[Run]) -> list[Run]:
    """Return the runs again; raises UsageError if they may not be pooled: other protocols, versions of a task or of a method, MuJoCo or torch."""
    for what, found in {
        "protocol": {run.record["protocol"] for run in runs},
        "MuJoCo": {run.record["versions"]["mujoco"] for run in runs},
        "torch": {run.record["versions"]["torch"] for run in runs},
        "base": {str(run.record["base"]).rpartition("-s")[0] for run in runs},
        "budget": {run.record["budget"]["name"] for run in runs},
    }.items():
        if len(found) > 1:
            raise UsageError(f"the records are of more than one {what} ({', '.join(map(str, sorted(found)))}), which are never pooled: name one of them")
    return list(runs)


def lookup(snapshot: Mapping[str, Any], path: str) -> Any:
    """Return what lies at a dotted path, None if nothing does."""
    found: Any = snapshot
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def value(snapshot: Mapping[str, Any], path: str) -> float:
    """Return the number that lies at a dotted path, NaN if there is none."""
    found = lookup(snapshot, path)
    return math.nan if found is None else float(found)


def points(runs: Sequence[Run], predictor: str) -> Points:
    """Return the law's points: every snapshot but that before any update, of the runs that have some with a finite predictor.

    predictor: a key of `PREDICTORS`. The sampling variance of forgetting is that of the tuned policy's success, skill by skill.
    """
    run: list[int] = []
    x: list[float] = []
    y: list[float] = []
    noise: list[float] = []
    kept: list[Run] = []
    for each in runs:
        snapshots = [(value(point, PREDICTORS[predictor]), point) for point in each.curve if point["update"] > 0]
        finite = [(at, point) for at, point in snapshots if math.isfinite(at)]
        if not finite:
            continue
        for at, point in finite:
            rates = point["original"].values()
            run.append(len(kept))
            x.append(at)
            y.append(point["forgetting"]["value"])
            noise.append(sum(rate["rate"] * (1 - rate["rate"]) / (rate["episodes"] - 1) for rate in rates) / len(rates) ** 2)
        kept.append(each)
    return Points(
        np.array(run, dtype=np.int64),
        np.array(x),
        np.array(y),
        np.array(noise),
        [each.method for each in kept],
        [str(each.record["method"]["family"]) for each in kept],
        [each.task for each in kept],
    )
