"""Output folders of commands: made, tested for writing, and restored if the command fails."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from razorbench.errors import UsageError


def make_writable(folder: Path, given: str, setting: str) -> None:
    """Make a folder and test that files can be written there. Raises UsageError with the user's value `given` and the setting to change."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{given}: cannot write there ({error.strerror}); choose a writable folder with {setting}") from error


@contextmanager
def filling(folder: Path, given: str, setting: str) -> Iterator[None]:
    """Make a folder for the block to fill. If the block fails, a folder that was missing or empty is so again; others stay unchanged."""
    folder = folder.absolute()
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    make_writable(folder, given, setting)
    empty = not any(folder.iterdir())
    try:
        yield
    except BaseException:
        for path in folder.iterdir() if empty else ():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        with suppress(OSError):  # another process has written there
            for place in missing:
                place.rmdir()
        raise
