"""The runs of the report, and every arm's numbers over all tasks at both stops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from razorbench.reports.content import Folded, Material, Section
from razorbench.reports.tables import Table, Value, plain
from razorbench.statistics.comparison import MEASURES, Numbers, numbers, paired
from razorbench.statistics.finished_runs import Run
from razorbench.statistics.stops import STOPS
from razorbench.statistics.suite_score import suite
from razorbench.store.estimate import Undefined

LEVEL = 0.9
"""Success on the new task at which the arms' table also shows retention."""
_TOLD = {"score": "score", "success": "success", "retention": "retention", "forward_kl": "forward KL"}
_COSTS = {"update": "updates", "env_steps": "env steps", "gradient_steps": "gradient steps"}


def headline(material: Material) -> Section:
    """Return the section of headline numbers."""
    return Section(
        "Headline numbers",
        [
            "A run stops at its best, the first snapshot with the highest SELECT success, or at the end of its budget. Each number is the mean over tasks of "
            "the mean over seeds, for policies acting greedily on TEST starts. Brackets are two-sided 95% Student intervals over tasks (over seeds for an arm "
            "with only one task), not clipped to [0, 1]. Arms are sorted by score at best; an arm that lacks tasks is not comparable and comes last. METHOD/2 "
            "is METHOD with each task's second style of demonstrations.",
        ],
        [
            _kinds(material),
            arms(material),
            stopping_saves(material),
            costs(material),
            Folded("Success, retention and forward KL on each task", each_task(material)),
        ],
    )


def each_task(material: Material) -> list[Table]:
    """Return a table for each of success, retention and forward KL at each stop: arms by tasks, means over seeds."""
    note = "Means over seeds with 95% Student intervals over seeds."
    tables = []
    for name in ("success", "retention", "forward_kl"):
        for stop in STOPS:
            by_arm = {arm: numbers(runs, arm, MEASURES[f"{name}@{stop}"]) for arm, runs in material.by_arm.items()}
            rows = [[arm, *(on_task(task, mine) for task in material.tasks)] for arm, mine in by_arm.items()]
            title = f"{_TOLD[name][0].upper()}{_TOLD[name][1:]} at {stop}, by task"
            tables.append(Table(f"tasks_{name}_{stop}", title, ("arm", *map(plain, material.tasks)), rows, note))
    return tables


def _kinds(material: Material) -> Table:
    runs = material.runs
    rows: list[tuple[Value, Value]] = [
        ("runs", f"{len(runs)}, and {len(material.apart)} set apart" if material.apart else str(len(runs))),
        ("snapshots", f"{sum(len(run.curve) for run in runs):,}"),
        ("tasks", f"{len(material.tasks)}: {', '.join(sorted({run.record.task for run in runs}))}"),
        ("arms", f"{len(material.looks)} of {len({run.method for run in runs})} methods"),
        ("base", f"{runs[0].base}, pretraining seeds {', '.join(sorted({run.record.base for run in runs}))}"),
        ("budget", runs[0].budget),
        ("protocol", _every(run.record.protocol for run in runs)),
        ("versions", "; ".join(f"{name} {_every(run.record.versions.get(name) for run in runs)}" for name in sorted(runs[0].record.versions))),
    ]
    return Table("what_was_run", "Runs in this report", ("property", "value"), rows, " ".join(material.notes))


def _every(values: Iterable[object]) -> str:
    """Return the distinct values as text."""
    return ", ".join(sorted({str(value) for value in values}))


def on_task(task: str, mine: Numbers) -> Value:
    """Return an arm's mean over the seeds of one task."""
    return suite({key: number for key, number in mine.items() if key[0] == task}, [task]).value


def arms(material: Material) -> Table:
    """Return a row per arm: score, success, retention and forward KL at both stops, and retention at a success of `LEVEL`."""
    rows: list[Sequence[Value]] = []
    for arm, runs in material.by_arm.items():
        crossed = material.suite(arm, MEASURES[f"retention@{LEVEL:g}"])
        values = [material.suite(arm, MEASURES[f"{name}@{stop}"]).value for name in _TOLD for stop in STOPS]
        retained: Value = Undefined("never reached") if isinstance(crossed.value, Undefined) else crossed.value
        rows.append([arm, *values, retained, f"{crossed.runs} of {len(runs)}"])
    return Table(
        "arms",
        "All arms at both stops",
        ("arm", *(f"{label} at {stop}" for label in _TOLD.values() for stop in STOPS), f"retention at success {LEVEL:g}", f"runs that reach {LEVEL:g}"),
        rows,
        "Score is max(0, (s - s0) / (1 - s0)) times min(1, retention), where s is success and s0 is the base's success on 500 SELECT starts; runs with s0 "
        "above .5 have no score. Forward KL is in nats per decision, on the new task's states. Retention uses 25 episodes per skill at best and 100 at the "
        "end, so the standard error of one run is up to .035 and .018.",
    )


def stopping_saves(material: Material) -> Table:
    """Return each arm's gain from stopping at its best SELECT success instead of the end, a row per arm."""
    rows: list[Sequence[Value]] = []
    for arm, runs in material.by_arm.items():
        saved: list[Value] = []
        for name in ("retention", "success", "score"):
            best, end = (numbers(runs, arm, MEASURES[f"{name}@{stop}"]) for stop in STOPS)
            saved.append(paired(best, end).difference or Undefined("too few runs"))
        rows.append([arm, *saved])
    return Table(
        "stopping_saves",
        "Gain from early stopping",
        ("arm", "retention, best minus end", "success, best minus end", "score, best minus end"),
        rows,
        "Differences are paired by run: means over tasks of means over seeds, with 95% Student intervals over tasks. Above 0, the arm loses this much after "
        "its best SELECT success.",
    )


def costs(material: Material) -> Table:
    """Return the costs of each arm's runs until both stops, with the worst task and the interquartile mean, a row per arm."""
    rows: list[Sequence[Value]] = []
    for arm, runs in material.by_arm.items():
        score = material.suite(arm, MEASURES["score@best"])
        tasks = {run.task for run in runs}
        lacking = [task for task in material.tasks if task not in tasks]
        worst: tuple[Value, Value] = (Undefined("no score"), Undefined("no score")) if score.worst is None else score.worst
        rows.append(
            [
                arm,
                runs[0].family,
                len(runs),
                f"{len(tasks)} of {len(material.tasks)}" + (f", lacks {', '.join(lacking)}" if lacking else ""),
                *(_mean(runs, f"{name}@{stop}") for name in _COSTS for stop in STOPS),
                _mean(runs, "select_episodes@best"),
                _mean(runs, "demo_episodes@end"),
                round(max(run.record.wall_s for run in runs)),
                *worst,
                Undefined("no score") if score.iqm is None else score.iqm,
            ]
        )
    return Table(
        "costs",
        "Costs",
        (
            *("arm", "family", "runs", "tasks", *(f"{label} to {stop}" for label in _COSTS.values() for stop in STOPS), "SELECT episodes to find best"),
            *("demonstrations", "seconds, longest run", "worst task at best", "its score", "IQM of score at best"),
        ),
        rows,
        "Means per run, without the upstream cost of its data. The best snapshot is known only after the run, so `best` counts every SELECT episode of the "
        "run; `end` counts none. Each method defines its own update. The worst task and the interquartile mean (IQM) of all runs have no interval: they show "
        "what the mean hides, and no verdict uses them.",
    )


def _mean(runs: Sequence[Run], name: str) -> Value:
    known = [number.value for run in runs if (number := MEASURES[name].number(run)) is not None]
    return round(float(np.mean(known))) if known else Undefined("not in its records")
