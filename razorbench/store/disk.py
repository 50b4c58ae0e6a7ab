"""Errors of the file system and their sentences, and sealed state files."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from razorbench.errors import FileDamaged, Unreadable

_WAYS_OUT = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or have the quota raised",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.EROFS: "choose a folder that can be written",
    errno.ESTALE: "mount it again",
    errno.EIO: "check the disk",
    errno.EMFILE: "raise the number of open files (ulimit -n)",
    errno.ENFILE: "raise the number of open files of this machine",
    errno.ETIMEDOUT: "check that its server answers",
    errno.EHOSTDOWN: "check that its server answers",
}


def exists(path: Path) -> bool:
    """Whether a file or folder exists. Raises OSError if the file system cannot tell, where `Path.exists` returns False on some Python versions."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def near(path: Path) -> Path:
    """Return a path relative to the working folder if it lies below it, else unchanged."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def trouble(error: BaseException, place: Path | None = None) -> str | None:
    """Return the sentence for an error of the file system, None for any other error. place: where it happened, if the error does not name a file."""
    if not isinstance(error, OSError) or error.errno not in _WAYS_OUT:
        return None
    where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else place
    fault = "no space left on the disk" if error.errno == errno.ENOSPC else str(error.strerror)
    of = "" if where is None else f" of {near(where)}" if error.errno == errno.ENOSPC else f": {near(where)}"
    return f"{fault}{of}: {_WAYS_OUT[error.errno]} and give the same command again; runs resume where they stopped"


def read(path: Path) -> bytes:
    """Return a file's bytes. Raises Unreadable if the file system cannot read it, FileDamaged if it does not exist."""
    try:
        return path.read_bytes()
    except OSError as error:
        if (sentence := trouble(error, path)) is not None:
            raise Unreadable(sentence) from error
        raise FileDamaged(f"{near(path)} cannot be read ({error.strerror})") from error


_SEAL = b"razorbench-state"


def seal(data: bytes, owner: str) -> bytes:
    """Return state after a first line with its owner and a SHA-256 of both. owner: one word, such as a run's hash."""
    return b" ".join((_SEAL, owner.encode(), _digest(data, owner))) + b"\n" + data


def unseal(path: Path, owner: str) -> bytes:
    """Return a file's sealed state. Raises FileDamaged if it was changed or has another owner, Unreadable if the file system cannot read it."""
    first, _, data = read(path).partition(b"\n")
    words = first.split(b" ")
    if len(words) != 3 or words[0] != _SEAL or _digest(data, words[1].decode(errors="replace")) != words[2]:
        raise FileDamaged(f"{near(path)} is damaged or cut short")
    if words[1] != owner.encode():
        raise FileDamaged(f"{near(path)} belongs to another run")
    return data


def _digest(data: bytes, owner: str) -> bytes:
    return hashlib.sha256(owner.encode() + b"\n" + data).hexdigest().encode()
