"""Comparisons of arms on several sets of runs: changes in KL and retention, and the share of a change that reaches old-task states."""

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
"""Runs by set: the set of the original finding first, then independent sets."""
_KL_OLD = "divergence.kl_forward.original"
_MEASURES = {
    HEADLINE: MEASURES["forward_kl@end"],
    "forward KL, old tasks": Measure(Quantity(lambda there: there.number(_KL_OLD)), "end"),
    "retention at best": MEASURES["retention@best"],
    "retention": MEASURES["retention@end"],
    "success": MEASURES["success@end"],
}
_HOW = (
    "Final policies, except for retention at best. The first arm minus the second, paired by task and seed, with 95% Student intervals over tasks of means "
    "over seeds."
)


def counter_examples(sets: RunSets, pairs: Sequence[tuple[str, str]], curves: Mapping[str, Curve]) -> Table:
    """Return the table of pairs of arms whose difference in retention may contradict their forward KL. curves: fits by set, where there is one."""
    note = (
        f"{_HOW} By the curve: the difference in retention that the set's fit of forward KL predicts for these policies. A pair is a counter-example if the "
        "interval of retention excludes this value, and a stronger one if KL and retention have the same sign: the arm that moves further retains more."
    )
    return _table("law_counter_examples", "Counter-examples", sets, pairs, note, curves)


def design_and_test(sets: RunSets, pairs: Sequence[tuple[str, str]]) -> Table:
    """Return the table of pairs that were compared while a method was designed, on the original runs and on independent ones."""
    return _table("law_design_and_test", "Design data and independent data", sets, pairs, _HOW)


def _table(name: str, title: str, sets: RunSets, pairs: Sequence[tuple[str, str]], note: str, curves: Mapping[str, Curve] | None = None) -> Table:
    rows: list[Sequence[Value]] = []
    for first, second in pairs:
        for of, runs in sets.items():
            if not {first, second} <= {run.arm for run in runs}:
                continue
            both = {measured: (numbers(runs, first, measure), numbers(runs, second, measure)) for measured, measure in _MEASURES.items()}
            differences = {measured: paired(*each) for measured, each in both.items()}
            retention = differences["retention"]
            tasks = retention.n if retention.unit == "tasks" else 1
            few = tasks < FEWEST["tasks"]
            row: list[Value] = [Undefined("too few runs") if few or own.difference is None else own.difference for own in differences.values()]
            if curves is not None:
                first_kl, second_kl = both[HEADLINE]
                predicted = paired(_told(first_kl, curves[of]), _told(second_kl, curves[of])).difference if of in curves and not few else None
                row.append(Undefined("no fit") if predicted is None else predicted.value)
            rows.append([f"{first} - {second}", of, *row, tasks, retention.pairs])
    return Table(name, title, ("arms", "set", *_MEASURES, *(() if curves is None else ("retention by the curve",)), "tasks", "pairs"), rows, note)


def _told(kl: Numbers, curve: Curve) -> Numbers:
    """Return the curve's predicted retention at each forward KL, up to a constant: minus the forgetting."""
    return {key: Number.exact(-float(curve(np.array([number.value]))[0])) for key, number in kl.items()}


def leak(sets: RunSets) -> Table:
    """Return each arm's leak: mean forward KL on old-task states over mean forward KL on the new task's states, final policies."""
    moved = {of: [run for run in updated(runs) if (run.record.forward_kl or 0) > 0] for of, runs in sets.items()}
    arms = sorted({run.arm for runs in moved.values() for run in runs})
    ratios = {(of, arm): _leak([run for run in runs if run.arm == arm]) for of, runs in moved.items() for arm in arms}
    first = next(iter(sets))
    arms.sort(key=lambda arm: ratio.value if isinstance(ratio := ratios[first, arm], Estimate) else np.inf)
    note = (
        "Forward KL on old-task states divided by forward KL on new-task states: means over tasks of means over seeds, with 95% percentile intervals over "
        "tasks drawn with replacement. At the same new-task KL, an arm with less leak has changed less where forgetting is measured."
    )
    return Table("law_leak", "The leak", ("arm", *sets), [[arm, *(ratios[of, arm] for of in sets)] for arm in arms], note)


def _leak(runs: Sequence[Run]) -> Value:
    by_task: dict[str, list[tuple[float | None, float | None]]] = {}
    for run in runs:
        by_task.setdefault(run.task, []).append((run.record.number(_KL_OLD), run.record.forward_kl))
    means: FloatArray = np.array([np.mean(np.array(seeds, dtype=float), axis=0) for seeds in by_task.values()]).reshape(-1, 2)
    if not len(means):
        return Undefined("no run")
    if len(means) < FEWEST["tasks"] or not np.isfinite(means).all():
        return Undefined("too few runs")
    old, new = (generator("law", "leak", runs[0].arm).multinomial(len(means), np.full(len(means), 1 / len(means)), size=RESAMPLES) @ means).T
    return Estimate(float(means[:, 0].sum() / means[:, 1].sum()), *percentile(old / new))
