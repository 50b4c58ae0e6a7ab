"""What was run, and every arm's numbers over all tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from razorbench.compare import MEASURES, Numbers, numbers
from razorbench.reporting.material import Folded, Material, Section
from razorbench.reporting.tables import Table, Value, plain
from razorbench.suite import Suite, Undefined, suite

COST = ("env_steps", "demo_episodes", "gradient_steps")


def headline(material: Material) -> Section:
    """Return the section of headline numbers."""
    return Section(
        "Headline numbers",
        [
            "Each number is the mean over tasks of the mean over seeds, of final policies acting greedily on TEST starts; in brackets its two-sided 95% "
            "Student interval over tasks (over seeds where an arm has one task only), which is not cut at 0 or 1. An arm that lacks tasks is not comparable "
            "with those that have them and stands at the end. METHOD/2 is METHOD with each task's second style of demonstrations.",
        ],
        [_kinds(material), arms(material), Folded("Success, retention and forward KL on each task", each_task(material))],
    )


def each_task(material: Material) -> list[Table]:
    """Return a table for success, retention and forward KL each: arms by tasks, means over seeds."""
    note = "Means over seeds with 95% Student intervals over seeds."
    found = []
    for name, title in (("success@end", "Success"), ("retention@end", "Retention"), ("forward_kl@end", "Forward KL, nats per decision")):
        by_arm = {arm: numbers(runs, arm, MEASURES[name]) for arm, runs in material.by_arm.items()}
        rows = [[arm, *(on_task(task, mine) for task in material.tasks)] for arm, mine in by_arm.items()]
        found.append(Table(f"tasks_{name.removesuffix('@end')}", f"{title} on each task", ("arm", *map(plain, material.tasks)), rows, note))
    return found


def _kinds(material: Material) -> Table:
    runs = material.runs
    first = runs[0].record
    rows: list[tuple[Value, Value]] = [
        ("runs", f"{len(runs)}, and {len(material.apart)} set apart" if material.apart else str(len(runs))),
        ("snapshots", f"{sum(len(run.curve) for run in runs):,}"),
        ("tasks", f"{len(material.tasks)}: {', '.join(sorted({run.record['task'] for run in runs}))}"),
        ("arms", f"{len(material.looks)} of {len({run.method for run in runs})} methods"),
        ("base", f"{runs[0].base}, pretraining seeds {', '.join(sorted({str(run.record['base']) for run in runs}))}"),
        ("budget", str(first["budget"]["name"])),
        ("protocol", str(first["protocol"])),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(first["versions"].items()))),
    ]
    return Table("what_was_run", "What was run", ("what", "found"), rows)


def on_task(task: str, mine: Numbers) -> Value:
    """Return an arm's mean over the seeds of one task."""
    return suite({key: number for key, number in mine.items() if key[0] == task}, [task]).value


def arms(material: Material) -> Table:
    """Return the table of suite scores and what they are made of, a row per arm."""
    scores = {arm: material.suite(arm, MEASURES["score@end"]) for arm in material.looks}
    rows = [_row(material, arm, scores[arm]) for arm in sorted(scores, key=lambda arm: _rank(scores[arm]))]
    return Table(
        "arms",
        "Suite score of every arm",
        (
            *("arm", "score", "tasks", "worst task", "score there", "success", "retention", "forward KL, nats per decision"),
            *("IQM of score", "runs", "family", "env steps", "demonstrations", "gradient steps", "seconds, longest run"),
        ),
        rows,
        "Score: max(0, (s - s0) / (1 - s0)) times min(1, retention), s0 the base's success on 500 SELECT starts; undefined where s0 exceeds .5. IQM, the "
        "interquartile mean of all runs, and the worst task have no interval: they show what the mean hides and decide nothing. Cost is the mean per run, "
        "without what its data cost upstream.",
    )


def _rank(score: Suite) -> tuple[int, float]:
    mean = None if isinstance(score.value, Undefined) else score.value.value
    return len(score.lacking), np.inf if mean is None else -mean


def _row(material: Material, arm: str, score: Suite) -> Sequence[Value]:
    runs = material.by_arm[arm]
    tasks = {run.task for run in runs}
    lacking = [task for task in material.tasks if task not in tasks]
    worst: tuple[Value, Value] = (Undefined("no score"), Undefined("no score")) if score.worst is None else score.worst
    return [
        arm,
        score.value,
        f"{len(tasks)} of {len(material.tasks)}" + (f", lacks {', '.join(lacking)}" if lacking else ""),
        *worst,
        *(material.suite(arm, MEASURES[name]).value for name in ("success@end", "retention@end", "forward_kl@end")),
        Undefined("no score") if score.iqm is None else score.iqm,
        len(runs),
        runs[0].family,
        *(_mean([run.record["budget"].get(what) for run in runs]) for what in COST),
        max(float(run.record["wall_s"]) for run in runs),
    ]


def _mean(values: Sequence[float | None]) -> Value:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else Undefined("not in its records")
