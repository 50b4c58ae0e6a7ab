"""What is kept at the same forward KL on the new task: by the law, the same, whatever the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from razorbench.reports.content import Material, Section
from razorbench.reports.tables import Table, Value
from razorbench.statistics.comparison import MEASURES, NATS, Number, Numbers, numbers, paired
from razorbench.statistics.suite_score import suite
from razorbench.store.estimate import Undefined


def same_kl(material: Material) -> Section:
    """Return the section of what is kept, and what is learned, at the same forward KL."""
    return Section(
        "What is kept at the same forward KL",
        [
            "Retention, and success on the new task, where a run's forward KL there first reaches the level, on the line between the two snapshots. By the law "
            "all keep the same there. The others': the mean of all other arms on the same task and seed. Means over tasks of means over seeds, 95% Student "
            "intervals over tasks.",
        ],
        [_at(material, nats) for nats in NATS],
    )


def _at(material: Material, nats: int) -> Table:
    found = {arm: numbers(runs, arm, MEASURES[f"retention_kl{nats}"]) for arm, runs in material.by_arm.items()}
    rows: list[Sequence[Value]] = []
    for arm, runs in material.by_arm.items():
        kept = suite(found[arm], material.tasks)
        more = paired(found[arm], _others(found, arm)).difference
        learned = material.suite(arm, MEASURES[f"success_kl{nats}"]).value
        rows.append([arm, runs[0].family, kept.value, more or Undefined("too few runs"), learned, f"{kept.runs} of {len(runs)}"])
    columns = ("arm", "family", "retention", "minus the others'", "success", "runs that reach it")
    return Table(f"same_kl_{nats}", f"At a forward KL of {nats} nat{'s' * (nats > 1)} per decision", columns, rows)


def _others(found: Mapping[str, Numbers], arm: str) -> Numbers:
    """The mean of all arms but one, by task and seed."""
    keys = {key for name, each in found.items() if name != arm for key in each}
    values = {key: [each[key] for name, each in found.items() if name != arm and key in each] for key in keys}
    return {key: Number.exact(float(np.mean([one.value for one in each])), sum(one.variance for one in each) / len(each) ** 2) for key, each in values.items()}
