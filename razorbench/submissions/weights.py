"""Measures from the weights in a package: divergences and drift of its final policy, which is also its last snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.bases.base import Base
from razorbench.measures.drift import DriftRuler
from razorbench.measures.probe_states import Ruler
from razorbench.policy import network as policies
from razorbench.store.folder import PACKED_CURVE, POLICY, RECORD
from razorbench.store.record import Moved
from razorbench.submissions import hostile, kinds
from razorbench.submissions.hostile import Faults
from razorbench.submissions.installed import compare
from razorbench.submissions.package import Package
from razorbench.task import Task
from razorbench.types import Settings

VISITED = "new_tuned_states"
"""Name of the states that the policy itself visits."""


def measured_anew(package: Package, record: Settings, curve: Sequence[Settings], task: Task, base: Base, folder: str, faults: Faults) -> Moved | None:
    """Recompute divergences and drift of the base and the package's policy, compare them, and return the policy's; None if its shape is not the base's."""
    name, file = f"{folder}/{POLICY}", f"{folder}/{RECORD}"
    tuned = read_policy(package, name, base.policy, faults)
    if tuned is None:
        return None
    with policies.one_thread(), np.errstate(all="ignore"):
        ruler = Ruler(base.policy, base.probes, task, base.skills)
        drift = DriftRuler(base.policy, base.probes, task, base.skills)
        first, last = (Moved(divergence=ruler.measure(policy), drift=drift.measure(policy)).plain() for policy in (base.policy, tuned))
    if not kinds.check(kinds.Measured, last, name, faults):
        return None
    points = [(f"{folder}/{PACKED_CURVE}, line {number}", curve[number - 1], wanted) for number, wanted in ((1, first), (len(curve), last))]
    for where, point, wanted in points[: len(curve)]:
        for path, value in wanted.items():
            compare(point[path], value, path, where, faults, loosely=True)
    for number, point in enumerate(curve, 1):
        for path, keys in (("divergence", last["divergence"]), ("drift", last["drift"])):
            _shape(point[path], keys, path, f"{folder}/{PACKED_CURVE}, line {number}", faults)
    for name, values in last["divergence"].items():
        # The states that the policy itself visits need its physics: replay checks this value.
        declared = record["divergence"].get(name, {}).get(VISITED)
        if not isinstance(declared, float):
            faults.add(file, f"divergence.{name}.{VISITED}", declared, "a number, 0 or more")
            return None
        values[VISITED] = declared
    for path, value in last.items():
        compare(record[path], value, path, file, faults, loosely=True)
    return Moved.model_validate(last)


def _shape(found: Any, like: Any, path: str, file: str, faults: Faults) -> None:
    """Add the keys in which plain data differs from `like`."""
    if isinstance(like, Mapping):
        for key in sorted(like.keys() ^ found.keys()):
            faults.add(file, f"{path}.{key}", "missing" if key in like else "there", "there" if key in like else "nothing")
        for key in like.keys() & found.keys():
            _shape(found[key], like[key], f"{path}.{key}", file, faults)


def read_policy(package: Package, name: str, base: ActorCriticPolicy, faults: Faults) -> ActorCriticPolicy | None:
    """Return the policy in a file if it has the base's shape and a log-std in the allowed range; else None."""
    data = package.read(name, faults)
    found = None if data is None else hostile.tensors(name, data, base.state_dict(), faults)
    if found is None:
        return None
    if (stray := policies.stray_log_std(found)) is not None:
        faults.add(name, "log_std", stray, f"values in {[*policies.LOG_STD_RANGE]}")
        return None
    tuned = policies.clone(base).eval()
    tuned.load_state_dict(found)
    return tuned
