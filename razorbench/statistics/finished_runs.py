"""Finished runs for the analyses: a record with its snapshots, and its points for the law."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from razorbench.errors import UsageError
from razorbench.statistics.base_success import base_success
from razorbench.statistics.law import Points
from razorbench.store.reading import read_run, read_snapshots
from razorbench.store.record import Rate, Record, Snapshot
from razorbench.store.walk import readable, tell, walk
from razorbench.types import BoolArray, FloatArray, IntArray

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
        for key, name in (("l1", "L1"), ("l2", "L2"), ("cka", "1 - CKA"), ("cknna", "1 - CKNNA"))
        for states, where in (("new", "new task"), ("original", "old tasks"))
    },
}
"""Predictors of forgetting: name in tables, and key in a snapshot. A similarity enters as 1 minus its value, so 0 is no change."""
HEADLINE = "forward KL, new task"
PARTS = ("forward KL, mean part", "forward KL, variance part", "forward KL, base's sigma", "forward KL per episode")
"""Parts of the headline predictor, or the same in other units, so not rivals."""
CEILING = tuple(name for name in PREDICTORS if name.endswith(STATES["original"]) or name == "weights, Fisher")
"""Predictors measured on old-task states, the tasks whose loss they predict: a ceiling, not rivals. The Fisher weights use these states too."""

SECOND = "/2"
"""Suffix of an arm that uses its task's second demonstration style."""
_SIMILAR = "activations, 1 - "


_FIRST_WORLD = "workcell-2"


@dataclass(frozen=True)
class Run:
    """A record and its snapshots, the base first; no snapshots if they were not saved.

    styles: demonstration styles of its task, in order; folder: where it lies; setting: the hyper-parameters that differ between runs of its method.
    """

    record: Record
    curve: Sequence[Snapshot]
    styles: Sequence[str] = ()
    folder: Path = Path()
    setting: str = ""

    @cached_property
    def task(self) -> str:
        """The new task's name."""
        return self.record.task_name

    @property
    def base(self) -> str:
        """The base's name without its pretraining seed."""
        return self.record.base_name

    @property
    def world(self) -> str:
        """The world's name and version; a record that names none is from before there were two."""
        return self.record.world or _FIRST_WORLD

    @property
    def method(self) -> str:
        """The method's name."""
        return self.record.method.name

    @property
    def family(self) -> str:
        """The method's family."""
        return self.record.method.family

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.record.seed

    @property
    def budget(self) -> str:
        """The budget's name."""
        return self.record.budget.name

    @cached_property
    def base_success(self) -> float:
        """Greedy success of the base on the new task, see `base_success`."""
        return base_success(self.record)

    @cached_property
    def arm(self) -> str:
        """The unit of comparison: the method, with `/2` for its task's second demonstration style and `/NAME` for an unknown style, as in `sft/2`.

        If one method was run with several settings, each setting is an arm, as in `sft[epochs=3]`.
        """
        style = self.record.method.demos
        if not self.record.budget.demo_episodes or style == next(iter(self.styles), None):
            return f"{self.method}{self.setting}"
        return f"{self.method}{SECOND if style in self.styles[1:2] else f'/{style}'}{self.setting}"


def read_runs(results: Path, styles: Mapping[str, Sequence[str]]) -> list[Run]:
    """Read every run below a folder, in order of path. styles: demonstration styles by task name.

    Skips unreadable and malformed runs and names them on stderr. Raises UsageError if there is no readable run.
    """
    folders = walk(results)
    tell(folders)
    if not folders.runs:
        raise UsageError(f"{results}: no record.json below this folder; give the folder that `results=` named, or make runs first")
    with _no_collections():
        return [run for _, run in readable(folders.runs, partial(_read, styles=styles))]


def _read(path: Path, styles: Mapping[str, Sequence[str]]) -> Run:
    record = read_run(path)
    return Run(record, read_snapshots(path.parent), styles.get(record.task_name, ()), path.parent)


def chosen(runs: Sequence[Run], base: str | None, budget: str | None) -> tuple[str, str]:
    """Return the base and the budget to analyze: the given ones, else the usual ones (`mlp`, `standard`) if present, else the only ones.

    Raises UsageError if there are several without the usual one.
    """
    budget = budget or only("budget", {run.budget for run in runs if base in (None, run.base)}, "standard")
    return base or only("base", {run.base for run in runs if run.budget == budget}, "mlp"), budget


def by_world(runs: Sequence[Run], base: str | None) -> dict[str, list[Run]]:
    """Return the runs by world, or all of them under one name if a base is given, which has one world."""
    worlds: dict[str, list[Run]] = {}
    for run in runs:
        worlds.setdefault(run.world if base is None else "", []).append(run)
    return worlds


def only(what: str, there: set[str], usual: str) -> str:
    """Return the usual value if it is present or nothing is, else the only value. Raises UsageError if there are several. what: the option's name."""
    if usual in there or not there:
        return usual
    if len(there) > 1:
        raise UsageError(f"the runs are of more than one {what}: choose one of {', '.join(sorted(there))} with --{what}")
    return there.pop()


@contextmanager
def _no_collections() -> Iterator[None]:
    """Pause the garbage collector: it would rescan every number read so far, half of the time of reading a thousand runs."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class Snapshots:
    """All snapshots after the first update.

    run (N,), indices into the runs; update (N,); y (N,), forgetting; noise (N,), its sampling variance; kept (N, 2), success on the new task's TEST
    starts and retention; x: by predictor, (N,), NaN where it was not measured. The sampling variance is that of the tuned policy's success per skill.
    """

    runs: Sequence[Run]
    run: IntArray
    update: IntArray
    y: FloatArray
    noise: FloatArray
    kept: FloatArray
    x: Mapping[str, FloatArray]

    @property
    def last(self) -> BoolArray:
        """Whether each snapshot is the last of its run, (N,)."""
        return np.append(self.run[1:] != self.run[:-1], True)[: len(self.run)]

    def points(self, predictor: str, keep: BoolArray | None = None) -> Points:
        """Return the law's points: the snapshots in keep (N,) with a finite predictor, and their runs."""
        finite = np.isfinite(self.x[predictor])
        return Points(self.run, self.x[predictor], self.y, self.noise, **labels(self.runs)).where(finite if keep is None else finite & keep)


def snapshots(runs: Sequence[Run], predictors: Iterable[str] = PREDICTORS) -> Snapshots:
    """Return the snapshots of runs with their predictors, keys of `PREDICTORS`."""
    points = [(k, point) for k, run in enumerate(runs) for point in run.curve if point.update > 0]
    x = {name: np.array([point.number(PREDICTORS[name]) for _, point in points], dtype=float) for name in predictors}
    return Snapshots(
        runs,
        np.array([k for k, _ in points], dtype=np.int64),
        np.array([point.update for _, point in points], dtype=np.int64),
        np.array([point.forgetting.value for _, point in points], dtype=float),
        np.array([_variance(point.original.values()) for _, point in points], dtype=float),
        np.array([(point.success, point.retention.value) for _, point in points], dtype=float).reshape(-1, 2),
        {name: 1.0 - values if name.startswith(_SIMILAR) else values for name, values in x.items()},
    )


def updated(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with a snapshot after an update."""
    return [run for run in runs if any(point.update > 0 for point in run.curve)]


def common_arms(runs: Mapping[str, Sequence[Run]]) -> set[str]:
    """Return the arms that every group has; none if there is no group."""
    return set.intersection(*({run.arm for run in group} for group in runs.values())) if runs else set()


def final_points(runs: Sequence[Run]) -> Points:
    """Return one point for each updated run: its final policy, the headline predictor, forgetting of greedy success."""
    runs = updated(runs)
    rates = [[(skill.base.greedy.rate, skill.final.greedy) for skill in run.record.original.values()] for run in runs]
    return Points(
        np.arange(len(runs)),
        np.array([run.record.number(PREDICTORS[HEADLINE]) for run in runs], dtype=float),
        np.array([np.mean([base - final.rate for base, final in skills]) for skills in rates], dtype=float),
        np.array([_variance([final for _, final in skills]) for skills in rates], dtype=float),
        **labels(runs),
    )


def labels(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the labels of runs for the law's points, (R,) each."""
    return {
        "arm": [run.arm for run in runs],
        "family": [run.family for run in runs],
        "task": [run.task for run in runs],
        "base": [run.record.base for run in runs],
    }


def _variance(rates: Collection[Rate]) -> float:
    """Return the sampling variance of the mean of success rates; a rate of one episode gets the largest possible variance, 1/4."""
    return float(sum(rate.rate * (1 - rate.rate) / (rate.episodes - 1) if rate.episodes > 1 else 0.25 for rate in rates)) / len(rates) ** 2
