"""Arms side by side on several sets of runs: what changes in KL and in retention, and how much of a change reaches old tasks' states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from razorbench.measures.success import RESAMPLES, percentile
from razorbench.reports.tables import Table, Value
from razorbench.seeding import generator
from razorbench.statistics.comparison import MEASURES, Measure, Number, Numbers, Quantity, numbers, paired
from razorbench.statistics.finished_runs import HEADLINE, Run, updated
from razorbench.statistics.law import Curve
from razorbench.statistics.law.points import FEWEST
from razorbench.store.estimate import Estimate, Undefined
from razorbench.types import FloatArray

RunSets = Mapping[str, Sequence[Run]]
"""Runs by the name of their set: those on which something was found first, then those that had no part in it."""
_KL_OLD = "divergence.kl_forward.original"
_MEASURES = {
    HEADLINE: MEASURES["forward_kl@end"],
    "forward KL, old tasks": Measure(Quantity(lambda there: there.number(_KL_OLD)), "end"),
    "retention at best": MEASURES["retention@best"],
    "retention": MEASURES["retention@end"],
    "success": MEASURES["success@end"],
}
_HOW = (
    "Final policies, but for retention at best SELECT success; the first arm minus the second, paired by task and seed; 95% Student intervals over tasks of "
    "means over seeds."
)


def counter_examples(sets: RunSets, pairs: Sequence[tuple[str, str]], curves: Mapping[str, Curve]) -> Table:
    """Return pairs of arms whose difference in retention may not be what their forward KL says. curves: by set, of those that have a fit."""
    note = (
        f"{_HOW} By the curve: the difference in retention that the set's fit of forward KL predicts for these very policies. A pair is a counter-example "
        "where the interval of retention excludes that, all the more where KL and retention have the same sign: the arm that moves further keeps more."
    )
    return _table("law_counter_examples", "Counter-examples", sets, pairs, note, curves)


def design_and_test(sets: RunSets, pairs: Sequence[tuple[str, str]]) -> Table:
    """Return pairs of arms that were compared while a method was designed, on the runs of then and on others."""
    return _table("law_design_and_test", "Where it was found, and where it had no part", sets, pairs, _HOW)


def _table(name: str, title: str, sets: RunSets, pairs: Sequence[tuple[str, str]], note: str, curves: Mapping[str, Curve] | None = None) -> Table:
    rows: list[Sequence[Value]] = []
    for first, second in pairs:
        for of, runs in sets.items():
            if not {first, second} <= {run.arm for run in runs}:
                continue
            both = {measured: (numbers(runs, first, measure), numbers(runs, second, measure)) for measured, measure in _MEASURES.items()}
            found = {measured: paired(*each) for measured, each in both.items()}
            kept = found["retention"]
            tasks = kept.n if kept.unit == "tasks" else 1
            few = tasks < FEWEST["tasks"]
            row: list[Value] = [Undefined("too few runs") if few or each.difference is None else each.difference for each in found.values()]
            if curves is not None:
                one, other = both[HEADLINE]
                told = paired(_told(one, curves[of]), _told(other, curves[of])).difference if of in curves and not few else None
                row.append(Undefined("no fit") if told is None else told.value)
            rows.append([f"{first} - {second}", of, *row, tasks, kept.pairs])
    return Table(name, title, ("arms", "set", *_MEASURES, *(() if curves is None else ("retention by the curve",)), "tasks", "pairs"), rows, note)


def _told(kl: Numbers, curve: Curve) -> Numbers:
    """The retention that the curve predicts at each forward KL, but for a constant: minus the forgetting."""
    return {key: Number.exact(-float(curve(np.array([number.value]))[0])) for key, number in kl.items()}


def leak(sets: RunSets) -> Table:
    """Return, for every arm, how much of its move on the new task's states reaches old tasks' states: mean KL there over mean KL here, final policies."""
    moved = {of: [run for run in updated(runs) if (run.record.forward_kl or 0) > 0] for of, runs in sets.items()}
    arms = sorted({run.arm for runs in moved.values() for run in runs})
    found = {(of, arm): _leak([run for run in runs if run.arm == arm]) for of, runs in moved.items() for arm in arms}
    first = next(iter(sets))
    arms.sort(key=lambda arm: each.value if isinstance(each := found[first, arm], Estimate) else np.inf)
    note = (
        "Forward KL on old tasks' states over forward KL on the new task's, means over tasks of means over seeds; 95% percentile intervals over tasks drawn "
        "with replacement. At the same KL on the new task, an arm with less leak has changed less where forgetting is measured."
    )
    return Table("law_leak", "The leak", ("arm", *sets), [[arm, *(found[of, arm] for of in sets)] for arm in arms], note)


def _leak(runs: Sequence[Run]) -> Value:
    by_task: dict[str, list[tuple[float | None, float | None]]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append((run.record.number(_KL_OLD), run.record.forward_kl))
    means: FloatArray = np.array([np.mean(np.array(each, dtype=float), axis=0) for each in by_task.values()]).reshape(-1, 2)
    if not len(means):
        return Undefined("no run")
    if len(means) < FEWEST["tasks"] or not np.isfinite(means).all():
        return Undefined("too few runs")
    old, new = (generator("law", "leak", runs[0].arm).multinomial(len(means), np.full(len(means), 1 / len(means)), size=RESAMPLES) @ means).T
    return Estimate(float(means[:, 0].sum() / means[:, 1].sum()), *percentile(old / new))
