"""Retention at the same forward KL on the new task, which by the law does not depend on the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from razorbench.reports.content import Material, Section
from razorbench.reports.tables import Table, Value
from razorbench.statistics.comparison import MEASURES, NATS, Number, Numbers, numbers, paired
from razorbench.statistics.suite_score import suite
from razorbench.store.estimate import Undefined


def same_kl(material: Material) -> Section:
    """Return the section of retention and success at the same forward KL."""
    return Section(
        "Retention at the same forward KL",
        [
            "Retention and new-task success where a run's forward KL on the new task first reaches the level, interpolated between two snapshots. If "
            "forgetting followed from this KL alone, all arms would retain the same here. Minus other arms: the difference from the mean of all other arms on "
            "the same task and seed. Values are means over tasks of means over seeds, with 95% Student intervals over tasks.",
        ],
        [_at(material, nats) for nats in NATS],
    )


def _at(material: Material, nats: int) -> Table:
    by_arm = {arm: numbers(runs, arm, MEASURES[f"retention_kl{nats}"]) for arm, runs in material.by_arm.items()}
    rows: list[Sequence[Value]] = []
    for arm, runs in material.by_arm.items():
        retained = suite(by_arm[arm], material.tasks)
        more = paired(by_arm[arm], _others(by_arm, arm)).difference
        learned = material.suite(arm, MEASURES[f"success_kl{nats}"]).value
        rows.append([arm, runs[0].family, retained.value, more or Undefined("too few runs"), learned, f"{retained.runs} of {len(runs)}"])
    columns = ("arm", "family", "retention", "minus other arms", "success", "runs that reach it")
    return Table(f"same_kl_{nats}", f"At a forward KL of {nats} nat{'s' * (nats > 1)} per decision", columns, rows)


def _others(by_arm: Mapping[str, Numbers], arm: str) -> Numbers:
    """Return the mean of all arms but one, by task and seed."""
    others = [own for name, own in by_arm.items() if name != arm]
    values = {key: [own[key] for own in others if key in own] for key in {key for own in others for key in own}}
    return {key: Number.exact(float(np.mean([n.value for n in group])), sum(n.variance for n in group) / len(group) ** 2) for key, group in values.items()}
