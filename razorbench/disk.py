"""What a file system may answer: that there is no such file, or that it cannot tell; and the one sentence for its troubles."""

from __future__ import annotations

import errno
import os
from pathlib import Path

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
