"""What a file system may answer: that there is no such file, or that it cannot tell; the sentence for its troubles; and state under a seal."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from razorbench.errors import FileDamaged, Unreadable

_WAYS_OUT = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or have the quota raised",
    errno.EACCES: "see to its permissions",
    errno.EPERM: "see to its permissions",
    errno.EROFS: "choose a folder that can be written",
    errno.ESTALE: "mount it again",
    errno.EIO: "check the disk",
    errno.EMFILE: "raise the number of open files (ulimit -n)",
    errno.ENFILE: "raise the number of open files of this machine",
    errno.ETIMEDOUT: "see that its server answers",
    errno.EHOSTDOWN: "see that its server answers",
}


def exists(path: Path) -> bool:
    """Whether there is a file or folder. Raises OSError where the file system cannot tell: `Path.exists` calls that no file on some Pythons."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def near(path: Path) -> Path:
    """Return a path as one would type it here: from the working folder, if it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def trouble(error: BaseException, place: Path | None = None) -> str | None:
    """Return the sentence for an error of the file system, None for any other. place: where it happened, if the error does not say."""
    if not isinstance(error, OSError) or error.errno not in _WAYS_OUT:
        return None
    where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else place
    said = "no space left on the disk" if error.errno == errno.ENOSPC else str(error.strerror)
    of = "" if where is None else f" of {near(where)}" if error.errno == errno.ENOSPC else f": {near(where)}"
    return f"{said}{of}: {_WAYS_OUT[error.errno]} and give the same command again, runs go on where they were"


def read(path: Path) -> bytes:
    """Return a file's bytes. Raises Unreadable if the file system refuses it, FileDamaged if there is no such file."""
    try:
        return path.read_bytes()
    except OSError as error:
        if (said := trouble(error, path)) is not None:
            raise Unreadable(said) from error
        raise FileDamaged(f"{near(path)} cannot be read ({error.strerror})") from error


_SEAL = b"razorbench-state"


def seal(data: bytes, owner: str) -> bytes:
    """Return state behind a first line that says whose it is and holds a SHA-256 of both. owner: one word, such as a run's hash."""
    return b" ".join((_SEAL, owner.encode(), _digest(data, owner))) + b"\n" + data


def unseal(path: Path, owner: str) -> bytes:
    """Return what was sealed in a file. Raises FileDamaged if it was changed since or is another owner's, Unreadable if the file system refuses it."""
    first, _, data = read(path).partition(b"\n")
    words = first.split(b" ")
    if len(words) != 3 or words[0] != _SEAL or _digest(data, words[1].decode(errors="replace")) != words[2]:
        raise FileDamaged(f"{near(path)} is damaged or cut short")
    if words[1] != owner.encode():
        raise FileDamaged(f"{near(path)} is of another run")
    return data


def _digest(data: bytes, owner: str) -> bytes:
    return hashlib.sha256(owner.encode() + b"\n" + data).hexdigest().encode()
