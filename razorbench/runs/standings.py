"""Standings of the runs in a results folder: those that exist, and those that a sweep lists."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from razorbench.errors import FileDamaged, UsageError
from razorbench.store import bounded
from razorbench.store.bounded import Refused
from razorbench.store.disk import near
from razorbench.store.folder import FAILED, MOST_RECORD, RunFolder
from razorbench.store.lock import Holder, watch
from razorbench.store.output import warn
from razorbench.store.reading import read_run, read_sequence
from razorbench.store.record import NAME, Record
from razorbench.store.sequence_record import SequenceRecord
from razorbench.store.walk import tell, walk

STATES = ("done", "running", "failed", "missing")
_MOST_SWEEP = 32_000_000
"""Largest file of a sweep, in bytes."""
_FOLDER = re.compile(rf"{NAME}/{NAME}/seed[0-9]+-[0-9a-f]+")
"""Pattern of a run's folder in its results folder; it never leaves that folder."""


@dataclass(frozen=True)
class Standing:
    """Standing of a run. state: one of STATES; detail: a sentence about it.

    overrides: the run's overrides in its sweep; for a single run, its folder. seconds: time that it took or has left, None if unknown.
    """

    folder: Path
    overrides: str
    state: str
    detail: str
    seconds: float | None


def standings(results: Path) -> list[Standing]:
    """Return the standing of each run, in order of folder. Names unreadable places and unreadable sweep files on stderr.

    Raises UsageError if the folder does not exist or has no run.
    """
    content = walk(results)
    tell(content)
    runs = {path.parent: str(path.parent.relative_to(results)) for path in (*content.runs, *content.sequences)}
    runs |= {path: str(path.relative_to(results)) for path in content.begun}
    for file in content.asked:
        try:
            runs |= _sweep(file)
        except Refused as error:
            warn(f"{near(file)} cannot be read ({error}): delete it, and start its sweep again to renew it")
    if not runs:
        start = f"python -m razorbench task=pick_place method=ppo {shlex.quote(f'results={results}')}"
        raise UsageError(f"{results}: it has no run, and no sweep lists one; start one with `{start}`")
    records = {path.parent: path for path in (*content.runs, *content.sequences)}
    watched = watch([folder for folder in runs if folder not in records])
    return [_standing(folder, overrides, records.get(folder), watched.get(folder)) for folder, overrides in sorted(runs.items())]


def _sweep(file: Path) -> dict[Path, str]:
    """Read the runs that a sweep lists: overrides by folder. Raises Refused for any other content."""
    runs = bounded.parsed(bounded.text(bounded.read(file, _MOST_SWEEP)))
    if not isinstance(runs, dict):
        raise Refused("content", runs, "a mapping")
    for folder, overrides in runs.items():
        if not _FOLDER.fullmatch(folder) or not isinstance(overrides, str):
            raise Refused("run", f"{folder}: {overrides}", "a run's folder and its overrides")
    return {file.parents[1] / folder: overrides for folder, overrides in runs.items()}


def left_s(runs: Sequence[Standing]) -> float | None:
    """Estimate the seconds left with the present workers (one if none runs); None if no finished run allows an estimate.

    A missing run counts with the mean time of the finished runs of its method.
    """
    by_method: defaultdict[str, list[float]] = defaultdict(list)
    for run in runs:
        if run.state == "done" and run.seconds is not None:
            by_method[run.folder.parent.name].append(run.seconds)
    all_times = [seconds for times in by_method.values() for seconds in times]
    running = [run for run in runs if run.state == "running"]
    if not all_times and any(run.seconds is None for run in runs if run.state in ("running", "missing")):
        return None

    def expected(run: Standing) -> float:
        if run.seconds is not None:
            return run.seconds
        times = by_method.get(run.folder.parent.name) or all_times
        return sum(times) / len(times)

    return sum(expected(run) for run in runs if run.state in ("running", "missing")) / max(len(running), 1)


def _standing(folder: Path, overrides: str, record: Path | None, held: Holder | None) -> Standing:
    if record is not None:
        try:
            read: Callable[[Path], Record | SequenceRecord] = read_run if record.name == RunFolder.file else read_sequence
            return Standing(folder, overrides, "done", "", read(record).wall_s)
        except FileDamaged as error:
            return Standing(folder, overrides, "failed", str(error), None)
    if held is not None and held.alive and (held.is_here or held.heard):
        numbers = {key: value for key, value in held.progress.items() if isinstance(value, int | float)}
        where = f"update {numbers['update']} of {numbers['total']}" if {"update", "total"} <= numbers.keys() else "measuring the base policy"
        return Standing(folder, overrides, "running", f"{where}, by {held}", numbers.get("left_s"))
    try:
        return Standing(folder, overrides, "failed", bounded.text(bounded.read(folder / FAILED, MOST_RECORD)).strip(), None)
    except bounded.Missing:
        gone = "" if held is None else f"; {held}" if held.is_here else f"; {held}, and silent since"
        return Standing(folder, overrides, "missing", f"begun, and will resume where it stopped{gone}" if folder.exists() else "", None)
    except Refused as error:
        return Standing(folder, overrides, "failed", f"{near(folder / FAILED)} cannot be read: {error}", None)
