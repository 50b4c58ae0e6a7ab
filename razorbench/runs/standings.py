"""What has become of the runs in a results folder: those that are there, and those that a sweep asked for."""

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
"""Bytes of the word that a sweep leaves."""
_FOLDER = re.compile(rf"{NAME}/{NAME}/seed[0-9]+-[0-9a-f]+")
"""A run's folder in its results folder; never a way out of it."""


@dataclass(frozen=True)
class Standing:
    """Where a run stands. state: one of STATES; detail: more about it in words.

    overrides: what a sweep called it; of a run on its own, its folder. seconds: that it took, or that are left of it, if known.
    """

    folder: Path
    overrides: str
    state: str
    detail: str
    seconds: float | None


def standings(results: Path) -> list[Standing]:
    """Return where each run stands, in order of folder; what cannot be looked into, and what a sweep left that cannot be read, is named on stderr.

    Raises UsageError if there is no such folder or no run in it.
    """
    found = walk(results)
    tell(found)
    asked = {path.parent: str(path.parent.relative_to(results)) for path in (*found.runs, *found.sequences)}
    asked |= {path: str(path.relative_to(results)) for path in found.begun}
    for file in found.asked:
        try:
            asked |= _left_word(file)
        except Refused as error:
            warn(f"{near(file)} cannot be read ({error}): delete it, and start its sweep again to have it made anew")
    if not asked:
        start = f"python -m razorbench task=pick_place method=ppo {shlex.quote(f'results={results}')}"
        raise UsageError(f"{results}: no run in it and none asked for; start one with `{start}`")
    records = {path.parent: path for path in (*found.runs, *found.sequences)}
    watched = watch([folder for folder in asked if folder not in records])
    return [_standing(folder, overrides, records.get(folder), watched.get(folder)) for folder, overrides in sorted(asked.items())]


def _left_word(file: Path) -> dict[Path, str]:
    """The runs that a sweep asked for, by folder, each with what it called it."""
    found = bounded.parsed(bounded.text(bounded.read(file, _MOST_SWEEP)))
    if not isinstance(found, dict):
        raise Refused("content", found, "a mapping")
    for folder, overrides in found.items():
        if not _FOLDER.fullmatch(folder) or not isinstance(overrides, str):
            raise Refused("run", f"{folder}: {overrides}", "a run's folder and its overrides")
    return {file.parents[1] / folder: overrides for folder, overrides in found.items()}


def left_s(found: Sequence[Standing]) -> float | None:
    """Return the seconds that what is left may take with the workers there are (one, if none runs); None if nothing is done to judge by.

    A missing run is taken to last as long as the mean of those done with the same method.
    """
    took: defaultdict[str, list[float]] = defaultdict(list)
    for one in found:
        if one.state == "done" and one.seconds is not None:
            took[one.folder.parent.name].append(one.seconds)
    everything = [seconds for those in took.values() for seconds in those]
    running = [one for one in found if one.state == "running"]
    if not everything and any(one.seconds is None for one in found if one.state in ("running", "missing")):
        return None

    def expected(one: Standing) -> float:
        if one.seconds is not None:
            return one.seconds
        those = took.get(one.folder.parent.name) or everything
        return sum(those) / len(those)

    return sum(expected(one) for one in found if one.state in ("running", "missing")) / max(len(running), 1)


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
        return Standing(folder, overrides, "missing", f"begun, and will go on where it was{gone}" if folder.exists() else "", None)
    except Refused as error:
        return Standing(folder, overrides, "failed", f"{near(folder / FAILED)} cannot be read: {error}", None)
