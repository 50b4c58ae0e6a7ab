"""Prediction of forgetting from the states that the base visits in the new task's scenes under the instructions of old skills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from razorbench.measures.divergence import PER_STATE
from razorbench.reports.tables import Table, Value
from razorbench.statistics.finished_runs import Run, common_arms, final_points, updated
from razorbench.statistics.law import Law, Points, carried, laws
from razorbench.store.estimate import Undefined

Measured = Mapping[str, Mapping[str, float]]
"""Measurements of `razorbench.measures.recall_states`, by the run's hash."""
_STATES = {
    "new": "new task, base rollouts",
    "new_instructed": "the same, with old skills' instructions",
    "random": "the same plus noise, with old skills' instructions",
    "asked": "base rollouts in the new task's scenes, with old skills' instructions and goals anywhere",
    "original": "old tasks, base rollouts (ceiling)",
}
_NAMES = {"kl_forward": "forward KL", "kl_reverse": "reverse KL", "action_mse": "action MSE", "moved": "actions moved"}
_Key = tuple[str, str]
_HEAD: _Key = "new", "kl_forward"


def asking(sets: Mapping[str, Sequence[Run]], found: Measured) -> Table:
    """Return R2 by states and divergence: on a held-out family of each set, and of the first set's curve on each other set."""
    measured = {of: _points(_measured(runs, found), found) for of, runs in sets.items()}
    fitted = {of: _laws(points) for of, points in measured.items()}
    first, *others = sets
    rows: list[Sequence[Value]] = []
    for states, said in _STATES.items():
        for divergence, name in _NAMES.items():
            key = states, divergence
            left_out = [_family_left_out(fitted[of], key) for of in sets]
            rows.append([said, name, *left_out, *(_carried(measured[first], measured[of], fitted[first], key) for of in others)])
    return Table(
        "law_asked",
        "Old skills in the new task's scenes",
        ("states", "divergence", *(f"{of}: held-out family" for of in sets), *(f"fitted on {first}, applied to {of}" for of in others)),
        rows,
        "Final policies. R2 of the curve, with 95% intervals over tasks and arms. Applied: R2 about the mean of the runs that the fit is applied to, without "
        "an interval. The base plays old skills in the new scene, with goals that its recipe names and that are the old tasks' own. This needs no stored data, "
        "but it needs the instructions of old skills and the positions of their goals. If the new scene allows an old skill, these are old-task episodes.",
    )


def across_bases(title: str, by_base: Mapping[str, Sequence[Run]], found: Measured) -> list[str]:
    """Return a table of R2 on a held-out base, by states and divergence, over common arms; empty with fewer than two bases."""
    known = {base: measured for base, runs in by_base.items() if (measured := _measured(runs, found))}
    common = common_arms(known)
    runs = [run for each in known.values() for run in each if run.arm in common]
    # The base takes the task's place: leaving out a task leaves out a base.
    points = {key: replace(each, task=tuple(run.base for run in runs)) for key, each in _points(runs, found).items()}
    if len(known) < 2 or final_points(runs).too_few():
        return []
    fitted = laws(points, _HEAD, over="arms")
    rows: list[Sequence[Value]] = [
        [said, *(fitted[states, divergence].task_left_out or Undefined("forgetting does not vary") for divergence in _NAMES)]
        for states, said in _STATES.items()
    ]
    return [
        f"### {title}",
        f"One curve for {', '.join(f'`{base}`' for base in sorted(known))}, over the arms that they share: {', '.join(sorted(common))}. Final policies of "
        f"{len(runs)} runs; R2 on the held-out base, by the states on which a divergence is measured, with 95% intervals over arms:",
        Table("bases", title, ("states", *_NAMES.values()), rows).markdown(),
    ]


def _measured(runs: Sequence[Run], found: Measured) -> list[Run]:
    return [run for run in updated(runs) if run.record.hashes.run in found]


def _points(runs: Sequence[Run], found: Measured) -> dict[_Key, Points]:
    """Final policies, by states and divergence."""
    points = final_points(runs)
    return {
        (states, divergence): replace(points, x=np.array([_value(run, found, states, divergence) for run in runs]))
        for states in _STATES
        for divergence in PER_STATE
    }


def _laws(points: Mapping[_Key, Points]) -> Mapping[_Key, Law] | str:
    return points[_HEAD].too_few() or laws(points, _HEAD)


def _family_left_out(fitted: Mapping[_Key, Law] | str, key: _Key) -> Value:
    if isinstance(fitted, str):
        return Undefined(fitted)
    return fitted[key].family_left_out or Undefined("forgetting does not vary")


def _carried(known: Mapping[_Key, Points], fresh: Mapping[_Key, Points], fitted: Mapping[_Key, Law] | str, key: _Key) -> Value:
    few = fitted if isinstance(fitted, str) else fresh[key].too_few()
    found = None if few else carried(known[key], fresh[key])
    return Undefined(few or "forgetting does not vary") if found is None else found


def _value(run: Run, found: Measured, states: str, divergence: str) -> float:
    if states == "asked":
        return found[run.record.hashes.run][divergence]
    measured = run.record.number(f"divergence.{divergence}.{states}")
    return np.nan if measured is None else measured
