"""Reading of untrusted files: regular files only, of limited size and nesting, in time linear in their size.

Every fault raises Refused. Nothing is unpickled, and no file is opened twice: the bytes that are hashed are the bytes that were read.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import os
import re
import stat
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from razorbench.types import FloatArray

MOST_FILE = 256_000_000
"""Largest file of a results folder, in bytes, packed or unpacked; the episodes of ten thousand snapshots need 150 million."""
MOST_TEXT = 32_000_000
"""Longest JSON text, in characters; its values take at most a gigabyte; the curve of ten thousand snapshots needs 30 million."""
MOST_NESTED = 24
"""Deepest nesting of lists and mappings in JSON."""
MOST_NUMBER = 1e30
"""Largest absolute value of a number: sums and products of measures stay finite."""
_MOST_MEMORY = 16_000_000
"""Memory limit for unpacking xz, in bytes: our files need two million."""
PACKED = ("xz", "gz")
"""Extensions of packed files."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A string; the last one may be unterminated. Possessive quantifiers prevent backtracking, so each byte is read once."""
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))
_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that control a terminal or a page, or that no file can hold."""
_SHOWN = 120


class Refused(ValueError):
    """A file is not acceptable. field: the faulty property; found: its value; expected: the allowed values."""

    def __init__(self, field: str, found: object, expected: str) -> None:
        super().__init__(f"its {field} is {shown(found)}, expected {expected}")
        self.field, self.found, self.expected = field, found, expected


class Missing(Refused):
    """The file does not exist."""


def read(path: Path, most: int = MOST_FILE, *, links: bool = True) -> bytes:
    """Return the bytes of a regular file. most: largest size, in bytes; links: whether the path may be a symbolic link."""
    try:
        about = os.stat(path, follow_symlinks=links)
        _check(about, most)
        # The file may have been replaced since: a pipe must not block, and a link must not be followed.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | (0 if links else getattr(os, "O_NOFOLLOW", 0))
        with open(os.open(path, flags), "rb") as file:
            _check(os.fstat(file.fileno()), most)
            data = file.read(most + 1) or b""
    except FileNotFoundError as error:
        raise Missing("presence", "missing", "a file") from error
    except OSError as error:
        raise Refused("kind", error.strerror, "a readable regular file") from error
    if len(data) > most:
        raise Refused("size", f"more than {most} bytes", f"at most {most} bytes")
    return data


def _check(about: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise Refused("kind", "a link" if stat.S_ISLNK(about.st_mode) else "no regular file", "a regular file")
    if about.st_size > most:
        raise Refused("size", f"{about.st_size} bytes", f"at most {most} bytes")


def unpacked(data: bytes, kind: str, most: int = MOST_FILE) -> bytes:
    """Return the content of one complete stream. kind: one of PACKED; most: largest size of the content, in bytes."""
    unpack: Any = zlib.decompressobj(wbits=31) if kind == "gz" else lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)
    try:
        content: bytes = unpack.decompress(data, most + 1)
    except (lzma.LZMAError, zlib.error, EOFError) as error:
        raise Refused("compression", str(error), f"{kind} that {_MOST_MEMORY} bytes of memory can unpack") from error
    if len(content) > most:
        raise Refused("unpacked size", f"more than {most} bytes", f"at most {most} bytes")
    if not unpack.eof or unpack.unused_data:
        raise Refused("compression", "cut short, or followed by more", f"one whole {kind} stream")
    return content


def arrays(data: bytes) -> dict[str, FloatArray]:
    """Return the arrays of a NumPy .npz file, without unpickling."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return dict(file)
    except Exception as error:
        # zipfile and numpy document no complete list of what a damaged file raises.
        raise Refused("content", f"{type(error).__name__}: {error}", "a NumPy .npz file without objects") from error


def text(data: bytes) -> str:
    """Return UTF-8 text."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("encoding", f"invalid UTF-8 at byte {error.start}", "UTF-8") from error


def parsed(content: str) -> Any:
    """Parse JSON. Refuses NaN, infinities, numbers beyond 64 bits or 1e30, duplicate keys, deep nesting and unprintable characters."""
    return _parsed(content, "JSON") if len(content) <= MOST_TEXT else _too_long(content)


def parsed_lines(content: str) -> list[Any]:
    """Parse each line as JSON, with the limits of `parsed`."""
    if len(content) > MOST_TEXT:
        _too_long(content)
    return [_parsed(line, f"line {number}") for number, line in enumerate(content.splitlines(), 1)]


def _too_long(content: str) -> Any:
    raise Refused("size", f"{len(content)} characters", f"at most {MOST_TEXT}")


def _parsed(content: str, where: str) -> Any:
    if _nested(content.encode("utf-8", "surrogatepass")):
        raise Refused("nesting", f"more than {MOST_NESTED} levels", f"at most {MOST_NESTED}")
    try:
        value = _DECODER.decode(content)
    except (ValueError, RecursionError) as error:
        raise Refused(where, str(error), "JSON") from error
    if "\\" in content or not content.isprintable():
        _check_words(value)
    return value


def shown(value: object) -> str:
    """Return an untrusted value as text without control characters, at most 120 characters long."""
    word = value if isinstance(value, str) and value.isprintable() else ascii(value)
    return word if len(word) <= _SHOWN else f"{word[:_SHOWN]}..."


def _nested(data: bytes) -> bool:
    """Whether lists and mappings are nested deeper than MOST_NESTED."""
    outside = _STRING.sub(b"", data) if b"\\" in data else b"".join(data.split(b'"')[::2])
    marks = outside.translate(_BRACKETS, _OTHERS)
    for _ in range(MOST_NESTED):
        # Removes the innermost brackets.
        marks = marks.replace(b"[]", b"")
    return marks.startswith(b"[")


def _check_words(value: Any) -> None:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += [*node, *node.values()]
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, str) and _UNSHOWN.search(node):
            raise Refused("text", node, "printable characters")


def _refuse(word: str) -> float:
    raise ValueError(f"{word[:20]} is not an allowed number")


def _finite(word: str) -> float:
    value = float(word)
    return value if math.isfinite(value) and abs(value) <= MOST_NUMBER else _refuse(word)


def _whole(word: str) -> int:
    value = int(word)
    return value if abs(value) < 2**63 else int(_refuse(word))


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(items)
    if len(mapping) != len(items):
        raise ValueError("a mapping has the same key twice")
    return mapping


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, parse_int=_whole, object_pairs_hook=_pairs)
