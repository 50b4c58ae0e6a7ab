"""A command's runs and their fate: done now or before, repeated, or done by other workers. It reads the store only."""

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
"""Number of tries before a run counts as failed."""
_LOOK_S = 2.0
"""Seconds between checks of runs that other workers do."""


@dataclass(frozen=True)
class Asked:
    """One run of a command: its overrides, specification and folder, and the user's own conf folder, if any."""

    overrides: list[str]
    spec: RunSpec | SequenceSpec
    folder: RunFolder
    config_dir: str | None = None

    @property
    def name(self) -> str:
        """Arguments of `python -m razorbench` that identify the run in its results folder."""
        return shlex.join(override for override in self.overrides if not override.startswith(("hydra", "results="))) + finding(self.config_dir)

    @property
    def done(self) -> bool:
        """Whether it has a record, complete or not: no record is ever overwritten."""
        return (self.folder.path / self.folder.file).exists()

    @property
    def elsewhere(self) -> bool:
        """Whether another living worker does it now."""
        worker = holder(self.folder.path)
        return worker is not None and worker.alive

    def why_not(self) -> str | None:
        """Return why the run failed, None if it is finished."""
        try:
            if self.folder.finished():
                return None
        except FileDamaged as error:
            return str(error)
        return self.folder.failure() or f"it left no record; the last line of its log: {self.folder.last_word()}"


def changed_code(asked: Sequence[Asked]) -> list[str]:
    """Return a sentence for each method and task of a user whose code differs from earlier runs of the same version."""
    changed: Counter[str] = Counter()
    specs = {(one.folder.results, one.spec.task.name, one.spec.method_name): one.spec for one in asked if isinstance(one.spec, RunSpec)}
    for (root, task, method), spec in specs.items():
        own_task = spec.task.identity()["code"] is not None
        for path in root.glob(f"{task}/{method}/*/{RECORD}") if own_task or spec.code is not None else ():
            with suppress(RazorbenchError):
                record = read_run(path)
                if record.protocol == PROTOCOL:
                    changed[f"method={method}"] += record.method.version == spec.method.version and record.method.code != spec.code
                    changed[f"task={task}"] += own_task and record.task == spec.task.id and record.hashes.task_spec != spec.task.fingerprint()
    return [
        f"{part}: its code or settings differ from {count} earlier run{'s' if count > 1 else ''} of the same version; those stay, "
        "and new ones are made. Raise the version when a change affects results"
        for part, count in changed.items()
        if count
    ]


def finish(asked: Sequence[Asked], launch: Callable[[list[list[str]]], None], say: Callable[[str], None]) -> list[Asked]:
    """Do all unfinished runs. A run that fails, or whose worker dies, is tried once more.

    Waits for runs of other workers, and takes them over if these die. launch: does runs, given by their overrides, and skips those of other workers; it may
    end early if one of its workers is killed. Returns the runs that other workers have done.
    """
    tried: Counter[Path] = Counter()
    theirs: list[Asked] = []
    while todo := [one for one in asked if not one.done and tried[one.folder.path] < TRIES]:
        log_sizes = {one.folder.path: one.folder.log_size() for one in todo}
        try:
            launch([one.overrides for one in todo])
        except RazorbenchError:
            raise
        except Exception as error:
            say(f"the launcher gave up, {type(error).__name__}: {' '.join(str(error).split())}"[:500])
        left = [one for one in todo if not one.done]
        waiting = [one for one in left if one.elsewhere]
        ours = [one for one in left if one not in waiting]
        # If a launcher ended early, the runs that it did not begin have not been tried.
        begun = [one for one in ours if one.folder.failure() or one.folder.log_size() > log_sizes[one.folder.path]]
        tried.update(one.folder.path for one in begun or ([] if len(left) < len(todo) else ours))
        if waiting:
            say(f"waiting for other workers: they do {len(waiting)} of the runs; the first is done by {holder(waiting[0].folder.path)}")
        while any(one.elsewhere and not one.done for one in waiting):
            time.sleep(_LOOK_S)
        for one in waiting:
            if not one.done and (dead := holder(one.folder.path)) is not None and not dead.alive:
                say(f"takes over {one.folder.path.name} from {dead}")
                clear(one.folder.path)
        theirs += [one for one in waiting if one.done]
    return theirs


def ask(asked: Sequence[Asked]) -> None:
    """Write a sweep's list of runs to their results folders; once, even if the sweep is started again."""
    for results in {one.folder.results for one in asked}:
        runs = {str(one.folder.path.relative_to(results)): one.name for one in asked if one.folder.results == results}
        path = results / SWEEPS / f"{digest(runs)[:12]}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, partial(_write_json, runs))


def _write_json(runs: dict[str, str], path: Path) -> None:
    path.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
