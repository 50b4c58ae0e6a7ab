"""How well forgetting is told from where a policy's base goes when it is asked for its old skills, beside what the records have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from razorbench.divergence import PER_STATE
from razorbench.law import Law, Points, laws
from razorbench.reporting.excerpts import markdown
from razorbench.reporting.fits import FEWEST
from razorbench.reporting.tables import Table, Value
from razorbench.results import Run, common_arms, final_points, updated, value
from razorbench.seeding import generator
from razorbench.suite import Undefined

ABOUT = (
    "## Asked for old skills in the new task's scenes",
    "The best predictors above need states of old tasks. But the base can be asked for its old skills where it is, too: what it does then is what a policy "
    "that kept them would do. These states were thought of after the predictors above had been seen on this base, not on others.",
)
_SETS = {
    "new": "new task: the base's own",
    "new_instructed": "the same, each with an old skill's instruction",
    "random": "the same with noise, each with an old skill's instruction",
    "asked": "where the base goes in the new task's scenes, asked for old skills, with goals anywhere",
    "original": "old tasks: the base's own",
}
_NAMES = {"kl_forward": "forward KL", "kl_reverse": "reverse KL", "action_mse": "action MSE", "moved": "actions moved"}
_SCORES = {"family_left_out": "A family left out", "task_left_out": "A task left out"}


def asking(runs: Sequence[Run], found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return tables of R2 by states and divergence, none where fewer than three runs were measured. found: by the run's hash, as `razorbench.asked` has it."""
    runs = _measured(runs, found)
    return _tables(runs, found, final_points(runs, "greedy"), _SCORES) if len(runs) >= FEWEST else []


def across_bases(title: str, by_base: Mapping[str, Sequence[Run]], found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a table as of `asking`, each base's runs predicted from those of the others; only arms that all bases have. None with fewer than two bases."""
    known = {base: measured for base, runs in by_base.items() if (measured := _measured(runs, found))}
    common = common_arms(known)
    runs = [run for each in known.values() for run in each if run.arm in common]
    if len(known) < 2 or len(runs) < FEWEST:
        return []
    # What the law leaves out as a task is a base here.
    points = replace(final_points(runs, "greedy"), task=tuple(run.base for run in runs))
    about = f"One curve for {', '.join(f'`{base}`' for base in sorted(known))}, on the arms that all have: {', '.join(sorted(common))}."
    return [f"### {title}", about, *_tables(runs, found, points, {"task_left_out": "R2 on the base left out"})]


def _measured(runs: Sequence[Run], found: Mapping[str, Mapping[str, float]]) -> list[Run]:
    return [run for run in updated(runs) if run.record["hashes"]["run"] in found]


def _tables(runs: Sequence[Run], found: Mapping[str, Mapping[str, float]], points: Points, scores: Mapping[str, str]) -> list[str]:
    measured = {
        f"{states} {measure}": replace(points, x=np.array([_value(run, found, states, measure) for run in runs])) for states in _SETS for measure in PER_STATE
    }
    fitted = laws(measured, "new kl_forward", generator("reference", "asking"))
    parts = [f"Final policies of {len(points.method)} runs, R2 of the saturating fit, by the states on which a divergence is measured."]
    for score, name in scores.items():
        rows: list[Sequence[Value]] = [[said, *(_score(fitted[f"{states} {measure}"], score) for measure in PER_STATE)] for states, said in _SETS.items()]
        parts += [f"{name}:", markdown(Table(score, name, ("states", *_NAMES.values()), rows))]
    return parts


def _value(run: Run, found: Mapping[str, Mapping[str, float]], states: str, measure: str) -> float:
    return found[run.record["hashes"]["run"]][measure] if states == "asked" else value(run.record, f"divergence.{measure}.{states}")


def _score(found: Law, score: str) -> Value:
    return getattr(found, score) or Undefined("one group, or forgetting does not vary")
