"""Reading what a stranger sent: nothing is followed, run or unpickled, and nothing is read that is larger than it may be.

Every function returns what it read or adds to a list of faults, each with file, field, what was found and what was expected.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from razorbench.store import bounded
from razorbench.store.bounded import Refused, shown

MOST_FILES = 2_000
MOST_DEPTH = 6
"""Folders within folders."""
MOST_FILE = 64_000_000
"""Bytes of any file."""
MOST_HEADER = 100_000
"""Bytes of a safetensors header."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """What is wrong with a package: in which file, in which field of it, what was found there and what was expected."""

    file: str
    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field} is {self.found}, expected {self.expected}"


class Faults(list[Fault]):
    """Faults in the order found."""

    def add(self, file: str, field: str, found: object, expected: object) -> None:
        """Add one; what a stranger wrote is shown short and in quotes."""
        self.append(Fault(shown(file), shown(field), shown(found), expected if isinstance(expected, str) and expected.isprintable() else shown(expected)))


def listing(root: Path, faults: Faults) -> dict[str, int]:
    """Return the size of every regular file below a folder, by its path relative to it; links, devices and odd names are faults, and not entered."""
    found: dict[str, int] = {}
    waiting = [("", 1)]
    while waiting:
        folder, depth = waiting.pop()
        with os.scandir(root / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = f"{folder}{entry.name}"
                mode = entry.stat(follow_symlinks=False).st_mode
                if len(found) >= MOST_FILES:
                    faults.add("the package", "number of files", f"more than {MOST_FILES}", f"at most {MOST_FILES}")
                    return found
                if not _NAME.fullmatch(entry.name):
                    faults.add(shown(path), "name", entry.name, "letters, digits, _, . and -, not . first, at most 100")
                elif stat.S_ISREG(mode):
                    found[path] = entry.stat(follow_symlinks=False).st_size
                elif not stat.S_ISDIR(mode):
                    faults.add(path, "kind", "a link" if stat.S_ISLNK(mode) else "no regular file", "a regular file")
                elif depth >= MOST_DEPTH:
                    faults.add(path, "depth", f"more than {MOST_DEPTH} folders", f"at most {MOST_DEPTH}")
                else:
                    waiting.append((f"{path}/", depth + 1))
    return found


def read(root: Path, name: str, most: int, faults: Faults) -> bytes | None:
    """Return a regular file's bytes, of which there may be `most`."""
    return _or_fault(name, faults, lambda: bounded.read(root / name, most, links=False))


def sha256(data: bytes) -> str:
    """SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def text(name: str, data: bytes, faults: Faults) -> str | None:
    """Return UTF-8 text."""
    return _or_fault(name, faults, lambda: bounded.text(data))


def unpacked(name: str, data: bytes, most: int, faults: Faults) -> bytes | None:
    """Return the content of one xz stream, of which there may be `most` bytes."""
    return _or_fault(name, faults, lambda: bounded.unpacked(data, "xz", most))


def parsed(name: str, content: str, faults: Faults) -> Any:
    """Return JSON as `bounded.parsed` does; None if it is none."""
    return _or_fault(name, faults, lambda: bounded.parsed(content))


def _or_fault(name: str, faults: Faults, do: Callable[[], T]) -> T | None:
    try:
        return do()
    except Refused as error:
        faults.add(name, error.field, error.found, error.expected)
        return None


def tensors(name: str, data: bytes, like: Mapping[str, torch.Tensor], faults: Faults) -> dict[str, torch.Tensor] | None:
    """Return the tensors of a safetensors file that has exactly the names, shapes and kinds (float32) of `like`, all finite.

    The format is checked here in full before anything is made of it: 8 bytes of header length, the header, the tensors one after the other.
    """
    before = len(faults)
    length = int.from_bytes(data[:8], "little") if len(data) >= 8 else -1
    if not 2 <= length <= min(MOST_HEADER, len(data) - 8):
        faults.add(name, "header length", length, f"2 to {MOST_HEADER} bytes that are there")
        return None
    words = text(name, data[8 : 8 + length], faults)
    header = None if words is None else parsed(name, words, faults)
    if not isinstance(header, dict):
        if len(faults) == before:
            faults.add(name, "header", header, "a mapping")
        return None
    header.pop("__metadata__", None)
    for key in sorted(header.keys() | like.keys()):
        if key not in header or key not in like:
            faults.add(name, shown(key), "missing" if key not in header else "there", "there" if key in like else "no such tensor")
    if len(faults) > before:
        return None
    body, end, found = data[8 + length :], 0, dict[str, torch.Tensor]()
    for key in sorted(header, key=lambda key: _begin(header[key])):
        wanted = {"dtype": "F32", "shape": list(like[key].shape), "data_offsets": [end, end + 4 * like[key].numel()]}
        if header[key] != wanted:
            faults.add(name, key, header[key], f"{wanted}")
            return None
        part = body[end : end + 4 * like[key].numel()]
        if len(part) != 4 * like[key].numel():
            faults.add(name, key, f"{len(part)} bytes", f"{4 * like[key].numel()} bytes")
            return None
        values = np.frombuffer(part, dtype="<f4")
        if not np.isfinite(values).all():
            faults.add(name, key, "NaN or infinity among its values", "finite values")
        found[key], end = torch.from_numpy(values.reshape(like[key].shape).copy()), end + 4 * like[key].numel()
    if len(body) != end:
        faults.add(name, "size", f"{len(data)} bytes", f"{8 + length + end}")
    return found if len(faults) == before else None


def _begin(about: Any) -> int:
    """Where a tensor's bytes begin, for order alone; anything for what is no such thing."""
    offsets = about.get("data_offsets") if isinstance(about, dict) else None
    return offsets[0] if isinstance(offsets, list) and offsets and isinstance(offsets[0], int) else -1


def lines(name: str, content: str, most: int, faults: Faults) -> Sequence[str] | None:
    """Return a text's lines, of which there may be `most`."""
    found = content.splitlines()
    if len(found) > most:
        faults.add(name, "number of lines", len(found), f"at most {most}")
        return None
    return found
