"""Every fit of the law that the report shows, done side by side on the processors that there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from razorbench.cores import threads
from razorbench.law import Law, Points, law, laws
from razorbench.results import HEADLINE, Run, Snapshots, final_points
from razorbench.seeding import generator

MIDDLE = (0.02, 0.6)
"""Forgetting between these is neither noise around none nor near all."""
FEWEST = 3
"""Runs that a fit takes at least; with two, every resample is one of three."""
PER_TASK = 1000
"""Resamples of each task's fits, which are twelve times as many as the pooled ones."""


@dataclass(frozen=True)
class Fits:
    """Fits of every comparable predictor, over all tasks and per task, by its name.

    points: what the pooled ones are fitted to; notes: which predictors are not comparable, and why; parts: the headline's on some of the points.
    """

    points: Mapping[str, Points]
    notes: Sequence[str]
    pooled: Mapping[str, Law]
    tasks: Mapping[str, Mapping[str, Law]]
    parts: Mapping[str, Law | None]


def fits(runs: Sequence[Run], snapshots: Snapshots) -> Fits | None:
    """Return all fits, None where fewer than three runs have snapshots with the headline's predictor."""
    points, notes = comparable({name: snapshots.points(name) for name in snapshots.x})
    if HEADLINE not in points or len(points[HEADLINE].method) < FEWEST:
        return None
    rivals = [name for name in points if name != HEADLINE]
    # Every batch fits the headline's anew, to compare with.
    batches = [[HEADLINE, *rivals[k :: threads()]] for k in range(threads())]
    head = points[HEADLINE]
    middle = head.where((head.y >= MIDDLE[0]) & (head.y <= MIDDLE[1]))
    parts = {
        f"forgetting {MIDDLE[0]:g} to {MIDDLE[1]:g}": middle,
        "final policies, greedy": final_points(runs, "greedy"),
        "final policies, sampled": final_points(runs, "sampled"),
    }
    tasks = sorted(set(head.task)) if len(set(head.task)) > 1 else []
    # One thread per fit: on small matrices a second one costs more than it gives.
    with threadpool_limits(1), ThreadPoolExecutor(threads()) as workers:
        pooled = [workers.submit(laws, {name: points[name] for name in batch}, HEADLINE, generator("report", "pooled")) for batch in batches]
        alone = {name: workers.submit(law, part, generator("report", name)) if len(part.method) >= FEWEST else None for name, part in parts.items()}
        each = {task: workers.submit(_of_task, points, task) for task in tasks}
        return Fits(
            points,
            notes,
            {name: found for batch in pooled for name, found in batch.result().items()},
            {task: found for task, job in each.items() if (found := job.result())},
            {name: job.result() if job is not None else None for name, job in alone.items()},
        )


def comparable(points: Mapping[str, Points]) -> tuple[dict[str, Points], list[str]]:
    """Return the predictors that were measured in the very runs that have the headline's, and a sentence about the others."""
    runs = len(points[HEADLINE].method)
    kept = {name: each for name, each in points.items() if len(each.method) == runs > 0}
    partly = [f"{name} (in {len(each.method)})" for name, each in points.items() if name not in kept and len(each.method)]
    never = [name for name, each in points.items() if not len(each.method)]
    notes = [f"Not measured in these runs, hence not here: {'; '.join(never)}."] if never else []
    notes += [f"Measured in some of the {runs} runs only, hence not comparable and not here: {'; '.join(partly)}."] if partly else []
    return kept, notes


def _of_task(points: Mapping[str, Points], task: str) -> dict[str, Law]:
    mine = {name: each.where(np.array([own == task for own in each.task])[each.run]) for name, each in points.items()}
    if len(mine[HEADLINE].method) < FEWEST:
        return {}
    return laws(mine, HEADLINE, generator("report", "task", task), PER_TASK)
