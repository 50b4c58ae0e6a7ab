"""A command's runs, and what becomes of them: done, found done, tried again, done by others; read from the store alone."""

from __future__ import annotations

import json
import shlex
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from razorbench.errors import FileDamaged, RazorbenchError
from razorbench.runs.sequence import SequenceSpec
from razorbench.runs.spec import RunSpec
from razorbench.runs.suggest import finding
from razorbench.store.folder import PROTOCOL, RECORD, RunFolder, digest, write_atomically
from razorbench.store.lock import clear, holder
from razorbench.store.reading import read_run
from razorbench.store.walk import SWEEPS

TRIES = 2
"""Times that a command tries a run before it counts as failed."""
_LOOK_S = 2.0
"""Seconds between looks at runs that others do."""


@dataclass(frozen=True)
class Asked:
    """One run of a command: the overrides that name it, what it is, where it lies, and the user's own conf folder, if any."""

    overrides: list[str]
    spec: RunSpec | SequenceSpec
    folder: RunFolder
    config_dir: str | None = None

    @property
    def name(self) -> str:
        """What tells it from other runs in its results folder, as it is to be typed after `python -m razorbench`."""
        return shlex.join(override for override in self.overrides if not override.startswith(("hydra", "results="))) + finding(self.config_dir)

    @property
    def done(self) -> bool:
        """Whether it has a record, whole or not: what there is is never written over."""
        return (self.folder.path / self.folder.file).exists()

    @property
    def elsewhere(self) -> bool:
        """Whether another living worker does it now."""
        found = holder(self.folder.path)
        return found is not None and found.alive

    def why_not(self) -> str | None:
        """Return why it is not good, or None if it is."""
        try:
            if self.folder.finished():
                return None
        except FileDamaged as error:
            return str(error)
        return self.folder.failure() or f"it left no record; the last line of its log: {self.folder.last_word()}"


def changed_code(asked: Sequence[Asked]) -> list[str]:
    """Return a sentence for each method and each task of a user whose code is not that of earlier runs under the same version."""
    found: Counter[str] = Counter()
    specs = {(one.folder.results, one.spec.task.name, one.spec.method_name): one.spec for one in asked if isinstance(one.spec, RunSpec)}
    for (root, task, method), spec in specs.items():
        own_task = spec.task.identity()["code"] is not None
        for path in root.glob(f"{task}/{method}/*/{RECORD}") if own_task or spec.code is not None else ():
            with suppress(RazorbenchError):
                record = read_run(path)
                if record.protocol == PROTOCOL:
                    found[f"method={method}"] += record.method.version == spec.method.version and record.method.code != spec.code
                    found[f"task={task}"] += own_task and record.task == spec.task.id and record.hashes.task_spec != spec.task.fingerprint()
    return [
        f"{what}: its code or settings are not those of {count} earlier run{'s' if count > 1 else ''} under the same version; those stay, "
        "and new ones are made. Raise the version when a change moves results"
        for what, count in found.items()
        if count
    ]


def finish(asked: Sequence[Asked], launch: Callable[[list[list[str]]], None], say: Callable[[str], None]) -> list[Asked]:
    """Have all runs done that are not; those that fail, or whose worker dies without a word, are tried once more.

    Runs that other workers do are waited for, and taken over if these die. launch: does runs, given by their overrides, and
    skips those that others do; it may end early, if one of its workers is killed. Returns the runs that others have done.
    """
    tried: Counter[Path] = Counter()
    theirs: list[Asked] = []
    while todo := [one for one in asked if not one.done and tried[one.folder.path] < TRIES]:
        before = {one.folder.path: one.folder.log_size() for one in todo}
        try:
            launch([one.overrides for one in todo])
        except RazorbenchError:
            raise
        except Exception as error:
            say(f"the launcher gave up, {type(error).__name__}: {' '.join(str(error).split())}"[:500])
        left = [one for one in todo if not one.done]
        waiting = [one for one in left if one.elsewhere]
        ours = [one for one in left if one not in waiting]
        # Where a launcher ended early, those that it never came to have not been tried.
        begun = [one for one in ours if one.folder.failure() or one.folder.log_size() > before[one.folder.path]]
        tried.update(one.folder.path for one in begun or ([] if len(left) < len(todo) else ours))
        if waiting:
            say(f"waiting for other workers: {len(waiting)} of the runs are theirs; the first is done by {holder(waiting[0].folder.path)}")
        while any(one.elsewhere and not one.done for one in waiting):
            time.sleep(_LOOK_S)
        for one in waiting:
            if not one.done and (dead := holder(one.folder.path)) is not None and not dead.alive:
                say(f"takes over {one.folder.path.name} from {dead}")
                clear(one.folder.path)
        theirs += [one for one in waiting if one.done]
    return theirs


def ask(asked: Sequence[Asked]) -> None:
    """Leave word of a sweep's runs in their results folders; once, however often the sweep is started."""
    for results in {one.folder.results for one in asked}:
        runs = {str(one.folder.path.relative_to(results)): one.name for one in asked if one.folder.results == results}
        path = results / SWEEPS / f"{digest(runs)[:12]}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, partial(_write_json, runs))


def _write_json(runs: dict[str, str], path: Path) -> None:
    path.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
