"""Folders that a command is to write into: made, tried, and left as they were if the command fails."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from razorbench.errors import UsageError


def make_writable(folder: Path, given: str, setting: str) -> None:
    """Make a folder and see that files can be written there; raises UsageError naming what was given and the setting to change."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{given}: cannot write there ({error.strerror}); choose a writable folder with {setting}") from error


@contextmanager
def filling(folder: Path, given: str, setting: str) -> Iterator[None]:
    """Make a folder for the block to fill. If the block fails, what was missing or empty before is so again; what held something is left as it is."""
    folder = folder.absolute()
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    make_writable(folder, given, setting)
    empty = not any(folder.iterdir())
    try:
        yield
    except BaseException:
        for each in folder.iterdir() if empty else ():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        with suppress(OSError):  # something else has come there
            for place in missing:
                place.rmdir()
        raise
