"""The lock: digests of the code behind each declared version. `python docs/make/lock.py` renews it if golden trajectories and pinned runs are equal.

A run's hash contains versions, not code, so a change of code without a new version could silently change results. `tests/lock.json` has a digest for each
version of the protocol, a world, a task and a method, and a test compares them. If code changed and results did not, this program renews the digests. If
results changed, first raise the version: `PROTOCOL`, a world's `version`, a task's `id`, a method's `version`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import pins
from paths import ROOT

from razorbench.errors import RazorbenchError
from razorbench.identity import source
from razorbench.identity.parts import PACKAGE, shipped
from razorbench.registry.config import registry
from razorbench.store.folder import PROTOCOL
from razorbench.task import Task
from razorbench.world import golden

SUPERVISED = "razorbench.method.supervised"
"""The loop of supervised methods: part of the code of each that uses it, not of the protocol."""
LOCK, PINS, GOLDEN = ROOT / "tests" / "lock.json", ROOT / "tests" / "pins", ROOT / "envs" / "golden.npz"
DECIDING = (
    *("seeding", "task", "meter", "identity.parts", "policy.network", "policy.distributions", "policy.answers", "policy.sb3_zip", "bases.base"),
    *(f"world.{name}" for name in ("engine", "stepper", "gym_envs", "rollout", "scenes")),
    *(f"measures.{name}" for name in ("episodes", "divergence", "drift", "success", "probe_states", "summary", "transfer")),
    *(f"method.{name}" for name in ("data", "protocol", "demonstrations", "handle", "counting")),
    *(f"runs.{name}" for name in ("process", "adapting", "spec", "head", "run", "sequence")),
)
"""Modules of the protocol's version: splits, measures and harness."""


def digests(methods: Mapping[str, Any], tasks: Sequence[Task]) -> dict[str, str]:
    """Return the digest of the code of every declared version, by the version's name."""
    found = {f"protocol-{PROTOCOL}": _together(f"{PACKAGE}.{name}" for name in DECIDING)}
    for task in tasks:
        found[task.world.version] = task.world.digest()
        parts = [task.start, task.success, *task.experts.values(), *task.terms.values()]
        modules = {str(inspect.unwrap(part).__module__) for part in parts} | {shipped("task")[task.id].rpartition(".")[0]}
        found[task.id] = _together(modules)
    for name, method in methods.items():
        # Two methods of one class differ in name and settings only; a run's hash contains the settings.
        found[f"{name}-{method.version}"] = _together(_with_helpers(type(method).__module__))
    return dict(sorted(found.items()))


def differences(found: Mapping[str, str], locked: Mapping[str, str]) -> list[str]:
    """Return a sentence for each version whose code differs from the lock."""
    changed = [f"{name}: its code changed" for name in found if locked.get(name, found[name]) != found[name]]
    new = [f"{name}: it is not in the lock" for name in found if name not in locked]
    gone = [f"{name}: nothing declares it any more" for name in locked if name not in found]
    return [*changed, *new, *gone]


@functools.cache
def locked() -> Mapping[str, str]:
    """Return the lock's content."""
    held: Mapping[str, str] = json.loads(LOCK.read_text(encoding="utf-8"))
    return held


def current() -> dict[str, str]:
    """Return the digests of all shipped code."""
    with registry() as known:
        return digests(known.sound("method"), known.all_tasks())


def _together(modules: Iterator[str] | set[str]) -> str:
    return hashlib.sha256(" ".join(sorted(map(_digest, modules))).encode()).hexdigest()


def _digest(module: str) -> str:
    return source.digest(inspect.getsource(import_module(module)))


def _with_helpers(module: str) -> set[str]:
    """Return a module, the modules of its folder that it imports directly or indirectly, and the supervised loop if one of them uses it."""
    found, waiting, folder = set[str](), [module], module.rpartition(".")[0]
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            held = vars(import_module(name)).values()
            imported = {str(each.__name__ if inspect.ismodule(each) else getattr(each, "__module__", "")) for each in held}
            waiting += [each for each in imported if each == SUPERVISED or each.startswith(f"{folder}.")]
    return found


def main() -> None:
    """Renew the lock. Raises RazorbenchError if results changed."""
    found = current()
    for sentence in (changes := differences(found, locked())):
        print(sentence)
    if not changes:
        print("The lock is up to date.")
        return
    with registry() as known:
        faults = [f"{task.id}: {fault}" for task in known.modeled_tasks() if (fault := golden.difference(task, GOLDEN)) is not None]
    faults += [f"{pin.name}: {fault}" for pin in pins.read(PINS) for fault in pins.renewed(pin, PINS)]
    if faults:
        way_out = "These results changed, so the lock is not renewed: raise the version of what changed, then run docs/make/golden_file.py and this again."
        raise RazorbenchError("\n".join([*faults, way_out]))
    LOCK.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{LOCK} is renewed.")


if __name__ == "__main__":
    try:
        main()
    except RazorbenchError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
