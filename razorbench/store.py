"""Where results lie and how they are written: one folder per run, every file atomically, `record.json` last."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import traceback
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from razorbench.errors import FileDamaged, RazorbenchError, UsageError

SCHEMA = 1
PROTOCOL = 6
"""Raised by any change of measure, split or harness that could move a result."""
REQUIRED = (
    *("schema", "protocol", "task", "method", "base", "seed", "budget", "upstream", "config", "hashes", "versions", "machine"),
    *("git", "wall_s", "new_task", "original", "forgetting", "retention", "score", "divergence"),
)


def digest(identity: Any) -> str:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def make_writable(folder: Path, given: str, setting: str) -> None:
    """Make a folder and see that files can be written there; raises UsageError naming what was given and the setting to change."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{given}: cannot write there ({error.strerror}); choose a writable folder with {setting}") from error


def content(path: Path) -> bytes:
    """Return a file's bytes, unpacked if its name ends in .gz; raises FileDamaged if it cannot be read."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        why = "the file was changed or cut short" if path.exists() else "there is no such file"
        raise FileDamaged(f"{path} cannot be read ({error}): {why}; restore it, or rebuild the base with `razorbench pretrain`") from error


class RunFolder:
    """One run's folder, `<results>/<task>/<method>/seed<k>-<hash>/`."""

    file = "record.json"
    required: Sequence[str] = REQUIRED

    def __init__(self, results: Path, task: str, method: str, seed: int, run_hash: str) -> None:
        self.path = results / task / method / f"seed{seed}-{run_hash[:12]}"
        self.hash = run_hash

    def open(self) -> None:
        """Make the folder and forget why an earlier try failed; raises UsageError if that is impossible."""
        make_writable(self.path, f"results={self.path.parents[2]}", "results=DIR")
        (self.path / "failed.txt").unlink(missing_ok=True)

    def record(self) -> dict[str, Any] | None:
        """Return the finished record, or None if there is none yet."""
        path = self.path / self.file
        return read_record(path, self.required) if path.exists() else None

    def write(self, name: str, write: Callable[[Path], None]) -> None:
        """Call `write` on a temporary path and move the result into place."""
        final = self.path / name
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{final.name}.tmp{os.getpid()}")
        try:
            write(temporary)
            os.replace(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file atomically."""
        self.write(name, lambda path: _write_synced(path, text))

    def write_record(self, record: dict[str, Any]) -> None:
        """Write the record; its presence is what makes the run finished."""
        (self.path / "failed.txt").unlink(missing_ok=True)
        self.write_text(self.file, json.dumps(record, indent=2, allow_nan=False) + "\n")

    def write_failure(self, error: Exception) -> None:
        """Leave word of why the run has no record; an error that is ours, with its traceback in `log.txt`."""
        expected = isinstance(error, RazorbenchError)
        sentence = str(error) if expected else f"unexpected {type(error).__name__}: {error}; see {self.path / 'log.txt'}"
        if not expected:
            with (self.path / "log.txt").open("a", encoding="utf-8") as log:
                log.write("".join(traceback.format_exception(error)))
        self.write_text("failed.txt", sentence + "\n")

    def failure(self) -> str | None:
        """Return why the run failed last time, if it did."""
        path = self.path / "failed.txt"
        return path.read_text(encoding="utf-8").strip() if path.exists() else None


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
        raise FileDamaged(f"record {path} cannot be read ({error}): it is damaged or cut short; delete its folder and run again") from error
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
    """Read a run's snapshots; raises FileDamaged if the file is missing or damaged."""
    path = folder / "curve.jsonl"
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise FileDamaged(f"curve {path} cannot be read ({error}): it is damaged or cut short; delete its folder and run again") from error


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
