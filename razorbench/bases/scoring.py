"""Scores of any policy against the base that it came from: success, retention, and those divergences that it has distributions for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from razorbench.bases.base import Base
from razorbench.measures.divergence import PER_STATE
from razorbench.measures.episodes import Episodes
from razorbench.measures.probe_states import Probe
from razorbench.measures.summary import MODES, Subject
from razorbench.policy.answers import Answers, Scorable, answering
from razorbench.policy.network import one_thread
from razorbench.store.record import Divergence, Score
from razorbench.task import Split, Task
from razorbench.world.rollout import Cell, play_policy

WITHOUT_DISTRIBUTION = ("action_mse", "moved")
"""Divergences that need greedy actions alone."""


def score(policy: Scorable, name: str, base: Base, task: Task, episodes: int = 100) -> Score:
    """Score a policy on TEST starts of a task and of the base's skills.

    episodes: per task and mode. The KL is undefined (estimator None) unless policy and base have distributions of one class.
    Raises UsageError if the policy fails or gives other than finite actions.
    """
    cells = [Cell(each, Split.TEST, np.arange(episodes), mode) for mode in MODES for each in (task, *base.skills)]
    cells.append(Cell(task, Split.SELECT, np.arange(episodes)))
    with one_thread():
        played = {label: Episodes.of(label, cells, play_policy(who, cells)) for label, who in (("base", base.policy), ("final", policy))}
        estimator, measured = divergences(policy, base, base.probes_with(task), task)
    success = Subject.of(task, base.skills, name, 0, Split.TEST.value).final(played["base"] + played["final"])
    return Score(**dict(success), task=task.id, world=task.world.version, base=base.id, policy=name, estimator=estimator, divergence=measured)


def divergences(policy: Scorable, base: Base, probes: Mapping[str, Probe], task: Task) -> tuple[str | None, Divergence]:
    """Return how the KL is computed, None if it is undefined, and the divergences by state set: `new`, and `original`, the mean over skills."""
    sets = {"new": [task.name], "original": [skill.name for skill in base.skills]}
    before, after = answering(base.policy), answering(policy)
    pairs = {key: [(before(probes[name].states), after(probes[name].states)) for name in names] for key, names in sets.items()}
    first, second = pairs["new"][0]
    estimator: str | None = getattr(first, "estimator", None) if type(first) is type(second) else None
    chosen = [name for name in PER_STATE if estimator is not None or name in WITHOUT_DISTRIBUTION]
    return estimator, {name: {key: _mean(PER_STATE[name], found) for key, found in pairs.items()} for name in chosen}


def _mean(per_state: Callable[..., np.ndarray], pairs: list[tuple[Answers, Answers]]) -> float:
    return float(np.mean([per_state(p, q).mean() for p, q in pairs]))
