"""Walk over a results folder, the same for all commands: finds runs and sequences, and reports unreadable places.

It follows links, enters each folder once, and skips folders whose name begins with a dot: they hold sweeps, caches and temporary files, never a result.
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
"""Folder in which sweeps list their runs."""
MOST_ENTRIES = 1_000_000
"""Largest number of files and folders."""
MOST_DEPTH = 16
"""Deepest nesting of folders."""
_SHOWN = 20
T = TypeVar("T")


@dataclass
class Walk:
    """Content of a results folder, in order of path. runs, sequences: their records; begun: folders of runs without a record; asked: files of sweeps.

    unread: unreadable places with the reason.
    """

    runs: list[Path] = field(default_factory=list)
    sequences: list[Path] = field(default_factory=list)
    begun: list[Path] = field(default_factory=list)
    asked: list[Path] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)


def walk(results: Path) -> Walk:
    """Walk through a results folder. Raises UsageError if it does not exist."""
    if not results.is_dir():
        raise UsageError(f"{results}: no such folder; give the one that `results=` named")
    content, seen, visited = Walk(), set[tuple[int, int]](), 0
    # Visit the tree before the targets of links, so that a folder inside the tree is known by its own path.
    own, linked = deque([(results, 0)]), deque[tuple[Path, int]]()
    while own or linked:
        folder, depth = (own or linked).popleft()
        try:
            if not _first(os.stat(folder), seen):
                continue
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            content.unread.append((folder, str(error.strerror)))
            continue
        visited += len(entries)
        if visited > MOST_ENTRIES or depth > MOST_DEPTH:
            content.unread.append((folder, f"more than {MOST_ENTRIES:,} files before it" if visited > MOST_ENTRIES else f"more than {MOST_DEPTH} folders deep"))
            continue
        _sort(folder, {entry.name: entry for entry in entries}, content, seen)
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _RECORDS:
                continue
            try:
                if entry.is_dir():
                    (linked if entry.is_symlink() else own).append((folder / entry.name, depth + 1))
                elif entry.is_symlink():
                    entry.stat()
            except OSError as error:
                content.unread.append((folder / entry.name, f"a broken link: {error.strerror}"))
    for paths in (content.runs, content.sequences, content.begun, content.asked):
        paths.sort()
    return content


_RECORDS = (RunFolder.file, SequenceFolder.file)


def _sort(folder: Path, entries: dict[str, os.DirEntry[str]], content: Walk, seen: set[tuple[int, int]]) -> None:
    """Add a folder's records, its begun run and its sweeps to the walk."""
    for name, records in zip(_RECORDS, (content.runs, content.sequences), strict=True):
        if name in entries:
            try:
                new = _first(entries[name].stat(), seen)
            except OSError:
                new = True  # reading it will say why
            if new:
                records.append(folder / name)
    if fnmatch(folder.name, "seed*-*") and not any(name in entries for name in _RECORDS):
        content.begun.append(folder)
    if SWEEPS in entries:
        content.asked += sorted((folder / SWEEPS).glob("*.json"))


def _first(about: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    """Whether a file or folder is visited for the first time."""
    place = about.st_dev, about.st_ino
    new = place not in seen
    seen.add(place)
    return new


def read_records(results: Path) -> list[Record]:
    """Read every run's record below a folder, in order of path. Names unreadable records on stderr and leaves them out."""
    content = walk(results)
    tell(content)
    return [record for _, record in readable(content.runs, read_run)]


def readable(paths: list[Path], read: Callable[[Path], T]) -> Iterator[tuple[Path, T]]:
    """Read files. Names unreadable files on stderr and leaves them out. Raises UsageError if no file is readable."""
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


def tell(content: Walk) -> None:
    """Name unreadable places on stderr."""
    for path, why in content.unread[:_SHOWN]:
        warn(f"cannot read {_printable(near(path))} ({why})")
    if len(content.unread) > _SHOWN:
        warn(f"cannot read {len(content.unread) - _SHOWN} more places")
