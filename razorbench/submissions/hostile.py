"""Reading of a stranger's files: no link is followed, nothing is run or unpickled, and sizes are limited.

Every function returns the content or adds a fault with file, field, found and expected value.
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
"""Deepest nesting of folders."""
MOST_FILE = 64_000_000
"""Largest file, in bytes."""
MOST_HEADER = 100_000
"""Largest safetensors header, in bytes."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """A fault of a package: file, field, found and expected value."""

    file: str
    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field} is {self.found}, expected {self.expected}"


class Faults(list[Fault]):
    """Faults in the order found."""

    def add(self, file: str, field: str, found: object, expected: object) -> None:
        """Add a fault. A stranger's text is shortened and escaped."""
        self.append(Fault(shown(file), shown(field), shown(found), expected if isinstance(expected, str) and expected.isprintable() else shown(expected)))


def listing(root: Path, faults: Faults) -> dict[str, int]:
    """Return the sizes of all regular files below a folder, by relative path. Links, devices and odd names are faults and not entered."""
    sizes: dict[str, int] = {}
    waiting = [("", 1)]
    while waiting:
        folder, depth = waiting.pop()
        with os.scandir(root / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = f"{folder}{entry.name}"
                mode = entry.stat(follow_symlinks=False).st_mode
                if len(sizes) >= MOST_FILES:
                    faults.add("the package", "number of files", f"more than {MOST_FILES}", f"at most {MOST_FILES}")
                    return sizes
                if not _NAME.fullmatch(entry.name):
                    faults.add(shown(path), "name", entry.name, "letters, digits, _, . and -, not . first, at most 100")
                elif stat.S_ISREG(mode):
                    sizes[path] = entry.stat(follow_symlinks=False).st_size
                elif not stat.S_ISDIR(mode):
                    faults.add(path, "kind", "a link" if stat.S_ISLNK(mode) else "no regular file", "a regular file")
                elif depth >= MOST_DEPTH:
                    faults.add(path, "depth", f"more than {MOST_DEPTH} folders", f"at most {MOST_DEPTH}")
                else:
                    waiting.append((f"{path}/", depth + 1))
    return sizes


def read(root: Path, name: str, most: int, faults: Faults) -> bytes | None:
    """Return the bytes of a regular file of at most `most` bytes."""
    return _or_fault(name, faults, lambda: bounded.read(root / name, most, links=False))


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def text(name: str, data: bytes, faults: Faults) -> str | None:
    """Return UTF-8 text."""
    return _or_fault(name, faults, lambda: bounded.text(data))


def unpacked(name: str, data: bytes, most: int, faults: Faults) -> bytes | None:
    """Return the content of one xz stream, at most `most` bytes."""
    return _or_fault(name, faults, lambda: bounded.unpacked(data, "xz", most))


def parsed(name: str, content: str, faults: Faults) -> Any:
    """Parse JSON as `bounded.parsed`; None for a fault."""
    return _or_fault(name, faults, lambda: bounded.parsed(content))


def _or_fault(name: str, faults: Faults, do: Callable[[], T]) -> T | None:
    try:
        return do()
    except Refused as error:
        faults.add(name, error.field, error.found, error.expected)
        return None


def tensors(name: str, data: bytes, like: Mapping[str, torch.Tensor], faults: Faults) -> dict[str, torch.Tensor] | None:
    """Return the tensors of a safetensors file with exactly the names and shapes of `like`, all float32 and finite.

    Checks the whole format before it builds a tensor: 8 bytes of header length, the header, the tensors in order.
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
    """Return the first byte of a tensor, for sorting only; -1 for a malformed entry."""
    offsets = about.get("data_offsets") if isinstance(about, dict) else None
    return offsets[0] if isinstance(offsets, list) and offsets and isinstance(offsets[0], int) else -1


def lines(name: str, content: str, most: int, faults: Faults) -> Sequence[str] | None:
    """Return a text's lines, at most `most`."""
    split = content.splitlines()
    if len(split) > most:
        faults.add(name, "number of lines", len(split), f"at most {most}")
        return None
    return split
