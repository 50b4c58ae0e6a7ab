"""The one walk over results, for every command: which runs and sequences lie below a folder, and which places could not be looked into.

Links are followed, each folder is entered once, and folders whose name begins with a dot are left out: they hold what sweeps, caches and half-written files
need, never a result.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar

from razorbench.errors import FileDamaged, UsageError
from razorbench.store.disk import near
from razorbench.store.folder import RunFolder, SequenceFolder
from razorbench.store.output import warn
from razorbench.store.reading import read_run
from razorbench.store.record import Record

SWEEPS = ".sweeps"
"""Folder of results where sweeps leave word of the runs that they ask for."""
MOST_ENTRIES = 1_000_000
"""Files and folders that are looked at."""
MOST_DEPTH = 16
"""Folders within folders."""
_SHOWN = 20
T = TypeVar("T")


@dataclass
class Walk:
    """What lies below a folder, in order of path. runs, sequences: their records; begun: folders of runs without a record; asked: where sweeps left word.

    unread: places that could not be looked into, each with the reason.
    """

    runs: list[Path] = field(default_factory=list)
    sequences: list[Path] = field(default_factory=list)
    begun: list[Path] = field(default_factory=list)
    asked: list[Path] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)


def walk(results: Path) -> Walk:
    """Look through a results folder. Raises UsageError if there is no such folder."""
    if not results.is_dir():
        raise UsageError(f"{results}: no such folder; give the one that `results=` named")
    found, seen, looked = Walk(), set[tuple[int, int]](), 0
    # What is in the tree itself comes before what links lead to, so that nothing is known by its link that has a place of its own.
    own, linked = deque([(results, 0)]), deque[tuple[Path, int]]()
    while own or linked:
        folder, depth = (own or linked).popleft()
        try:
            if not _first(os.stat(folder), seen):
                continue
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            found.unread.append((folder, str(error.strerror)))
            continue
        looked += len(entries)
        if looked > MOST_ENTRIES or depth > MOST_DEPTH:
            found.unread.append((folder, f"more than {MOST_ENTRIES:,} files before it" if looked > MOST_ENTRIES else f"more than {MOST_DEPTH} folders deep"))
            continue
        _sort(folder, {entry.name: entry for entry in entries}, found, seen)
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _RECORDS:
                continue
            try:
                if entry.is_dir():
                    (linked if entry.is_symlink() else own).append((folder / entry.name, depth + 1))
                elif entry.is_symlink():
                    entry.stat()
            except OSError as error:
                found.unread.append((folder / entry.name, f"a link that leads nowhere: {error.strerror}"))
    for paths in (found.runs, found.sequences, found.begun, found.asked):
        paths.sort()
    return found


_RECORDS = (RunFolder.file, SequenceFolder.file)


def _sort(folder: Path, entries: dict[str, os.DirEntry[str]], found: Walk, seen: set[tuple[int, int]]) -> None:
    """Put what a folder holds where it belongs."""
    for name, records in zip(_RECORDS, (found.runs, found.sequences), strict=True):
        if name in entries:
            try:
                new = _first(entries[name].stat(), seen)
            except OSError:
                new = True  # reading it will say why
            if new:
                records.append(folder / name)
    if fnmatch(folder.name, "seed*-*") and not any(name in entries for name in _RECORDS):
        found.begun.append(folder)
    if SWEEPS in entries:
        found.asked += sorted((folder / SWEEPS).glob("*.json"))


def _first(about: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    """Whether a file or folder is looked at for the first time."""
    place = about.st_dev, about.st_ino
    new = place not in seen
    seen.add(place)
    return new


def read_records(results: Path) -> list[Record]:
    """Read every run's record below a folder, in order of path; what cannot be read is named on stderr and left out."""
    found = walk(results)
    tell(found)
    return [record for _, record in readable(found.runs, read_run)]


def readable(paths: list[Path], read: Callable[[Path], T]) -> Iterator[tuple[Path, T]]:
    """Read files; what cannot be read is named on stderr and left out. Raises UsageError if that is every one of them."""
    bad: list[str] = []
    for path in paths:
        try:
            yield path, read(path)
        except FileDamaged as error:
            bad.append(str(error))
    if bad and len(bad) == len(paths):
        raise UsageError(f"none of {len(paths)} records can be used; the first: {bad[0]}")
    for sentence in bad[:_SHOWN]:
        warn(f"set apart: {sentence}")
    if len(bad) > _SHOWN:
        warn(f"set apart: {len(bad) - _SHOWN} more records that cannot be used, which `razorbench status` names")


def _printable(path: Path) -> str:
    return str(path) if str(path).isprintable() else ascii(str(path))


def tell(found: Walk) -> None:
    """Name on stderr what could not be looked into."""
    for path, why in found.unread[:_SHOWN]:
        warn(f"not looked into: {_printable(near(path))} ({why})")
    if len(found.unread) > _SHOWN:
        warn(f"not looked into: {len(found.unread) - _SHOWN} more places")
