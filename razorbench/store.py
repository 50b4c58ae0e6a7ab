"""Where results lie and how they are written: one folder per run, every file atomically, `record.json` last."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import lzma
import os
import shutil
import tempfile
import traceback
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from razorbench.claim import Claim
from razorbench.errors import FileDamaged, RazorbenchError, UsageError

_UNFINISHED = ".unfinished"
"""Folder of files that are being written."""
STATE = "state"
"""Folder of what a killed run goes on from."""
RECORD, CURVE, EPISODES, POLICY, LOG, FAILED = "record.json", "curve.jsonl", "episodes.csv.gz", "policy.safetensors", "log.txt", "failed.txt"
PACKED_CURVE, PACKED_EPISODES = "curve.jsonl.xz", "episodes.columns.xz"
"""As `compact` keeps them; of episodes, a line holds a column, which packs three times as well as rows."""
_AGAIN = "delete its folder and run again"
SCHEMA = 1
PROTOCOL = 7
"""Raised by any change of measure, split or harness that could move a result."""
REQUIRED = (
    *("schema", "protocol", "task", "method", "base", "seed", "budget", "upstream", "config", "hashes", "versions", "machine"),
    *("git", "wall_s", "new_task", "original", "forgetting", "retention", "score", "divergence"),
)


def digest(identity: Any) -> str:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def near(path: Path) -> Path:
    """Return a path as one would type it here: from the working folder, if it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def make_writable(folder: Path, given: str, setting: str) -> None:
    """Make a folder and see that files can be written there; raises UsageError naming what was given and the setting to change."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{given}: cannot write there ({error.strerror}); choose a writable folder with {setting}") from error


def write_atomically(final: Path, write: Callable[[Path], object], beside: Path | None = None, claim: Claim | None = None) -> None:
    """Call `write` on a temporary path, in the folder `beside`, and move the result into place, if a claim still holds."""
    temporary = (beside or final.parent) / f"{uuid.uuid4().hex}-{final.name}"
    try:
        write(temporary)
        _sync(temporary)
        if claim is not None:
            claim.check()
        os.replace(temporary, final)
        _sync(final.parent)
    finally:
        temporary.unlink(missing_ok=True)


def content(path: Path, remedy: str = "restore it, or rebuild the base with `razorbench pretrain`") -> bytes:
    """Return a file's bytes, unpacked if its name ends in .gz or .xz; raises FileDamaged if it cannot be read."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else lzma.decompress(data) if path.suffix == ".xz" else data
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        why = "the file was changed or cut short" if path.exists() else "there is no such file"
        raise FileDamaged(f"{path} cannot be read ({error}): {why}; {remedy}") from error


def turned(table: str) -> str:
    """Return a table of plain words and commas with rows for columns; raises ValueError if its rows are not of one length."""
    return "".join(",".join(column) + "\n" for column in zip(*(line.split(",") for line in table.splitlines()), strict=True))


class RunFolder:
    """One run's folder, `<results>/<task>/<method>/seed<k>-<hash>/`."""

    file = RECORD
    required: Sequence[str] = REQUIRED

    def __init__(self, results: Path, task: str, method: str, seed: int, run_hash: str) -> None:
        self.results = results
        self.path = results / task / method / f"seed{seed}-{run_hash[:12]}"
        self.hash = run_hash
        self._claim: Claim | None = None

    @contextmanager
    def claimed(self) -> Iterator[Claim]:
        """Hold the folder for the block, and forget why an earlier try failed and what it was writing when it ended.

        Raises UsageError if the folder cannot be made, Claimed if another living worker holds it, and Claimed from `write` once one has taken it over.
        """
        make_writable(self.path, f"results={near(self.results)}", "results=DIR")
        with Claim(self.path) as self._claim:
            (self.path / FAILED).unlink(missing_ok=True)
            shutil.rmtree(self.path / _UNFINISHED, ignore_errors=True)
            try:
                yield self._claim
            finally:
                self._claim = None

    def record(self) -> dict[str, Any] | None:
        """Return the finished record, or None if there is none yet."""
        path = self.path / self.file
        return read_record(path, self.required) if path.exists() else None

    def reopen_without(self, name: str) -> None:
        """Make a finished run unfinished that was kept without a file which another run needs, so that it is done again.

        Raises Claimed while another worker does so.
        """
        if (self.path / self.file).exists() and not (self.path / name).exists():
            with self.claimed():
                if not (self.path / name).exists():
                    for kept in (self.file, PACKED_CURVE, PACKED_EPISODES):
                        (self.path / kept).unlink(missing_ok=True)

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """Call `write` on a temporary path and move the result into place; whenever the power fails, the old file or the new one is whole."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (unfinished := self.path / _UNFINISHED).mkdir(exist_ok=True)
        write_atomically(self.path / name, write, unfinished, self._claim)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file atomically."""
        self.write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_record(self, record: dict[str, Any]) -> None:
        """Write the record; its presence is what makes the run finished."""
        (self.path / FAILED).unlink(missing_ok=True)
        self.write_text(self.file, json.dumps(record, indent=2, allow_nan=False) + "\n")
        self.tidy()

    def tidy(self) -> None:
        """Remove what only unfinished work needs."""
        for name in (_UNFINISHED, STATE):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def write_failure(self, error: Exception) -> None:
        """Leave word of why the run has no record, in `failed.txt` and as the last line of `log.txt`; there with its traceback if the error is not ours.

        Nothing is left if there is a record: then the run is done, whatever failed later.
        """
        if (self.path / self.file).exists():
            return
        log = self.path / LOG
        trace: list[str] = []
        if isinstance(error, RazorbenchError):
            sentence = str(error)
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
            sentence = f"no space left on the disk of {near(self.path)}: free some and give the same command again, it goes on where it was"
        else:
            sentence, trace = f"unexpected {type(error).__name__}: {error} ({_place(error)}); see {near(log)}", traceback.format_exception(error)
        self.write_text(FAILED, sentence + "\n")
        with log.open("a", encoding="utf-8") as file:
            file.write("".join([*trace, f"failed: {sentence}\n"]))

    def failure(self) -> str | None:
        """Return why the run failed last time, if it did."""
        path = self.path / FAILED
        return path.read_text(encoding="utf-8").strip() if path.exists() else None

    def log_size(self) -> int:
        """Return how many bytes the run has logged so far."""
        path = self.path / LOG
        return path.stat().st_size if path.exists() else 0

    def last_word(self) -> str:
        """Return the last line of the run's log, or that there is none."""
        path = self.path / LOG
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        return lines[-1] if lines else "there is none"


class SequenceFolder(RunFolder):
    """A sequence's folder, `<results>/<sequence>/<method>/seed<k>-<hash>/`, with its record in `sequence.json`."""

    file = "sequence.json"
    required = (
        *("schema", "protocol", "sequence", "tasks", "method", "base", "seed", "budget", "config", "hashes", "versions", "machine"),
        *("git", "wall_s", "success", "original_skills", "retention", "transfer"),
    )


def read_record(path: Path, required: Sequence[str] = REQUIRED) -> dict[str, Any]:
    """Read a record; raises FileDamaged if it is not a whole record of this schema."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileDamaged(f"record {path} cannot be read ({error}): it is damaged or cut short; {_AGAIN}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise FileDamaged(f"record {path} has schema {found!r}, this version reads {SCHEMA}: read it with the version that wrote it, or run again")
    missing = [key for key in required if key not in record]
    if missing:
        raise FileDamaged(f"record {path} lacks {', '.join(missing)}: it is damaged; delete its folder and run again")
    return record


def read_records(results: Path) -> list[dict[str, Any]]:
    """Read every run's record below a folder, in order of path."""
    return [read_record(path) for path in sorted(results.rglob("record.json"))]


def read_curve(folder: Path) -> list[dict[str, Any]]:
    """Read a run's snapshots, as the run left them or packed; raises FileDamaged if the file is missing or damaged."""
    path = folder / PACKED_CURVE if (folder / PACKED_CURVE).exists() else folder / CURVE
    try:
        return [json.loads(line) for line in content(path, _AGAIN).decode().splitlines()]
    except ValueError as error:
        raise FileDamaged(f"curve {path} cannot be read ({error}): it is damaged or cut short; {_AGAIN}") from error


def _place(error: Exception) -> str:
    """Say where an error came up: the last line that is not of an installed package."""
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if "site-packages" not in frame.filename][-1:] or frames[-1:]
    return "".join(f"line {frame.lineno} of {near(Path(frame.filename))}" for frame in last)


def _sync(path: Path) -> None:
    """Have the disk keep what was written to a file, or which files a folder holds."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
