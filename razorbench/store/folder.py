"""Result folders: one per run, every file written atomically, `record.json` last."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from razorbench.errors import FileDamaged, RazorbenchError, Unreadable, UsageError
from razorbench.store import bounded
from razorbench.store.disk import exists, near, trouble
from razorbench.store.lock import Claim, clear
from razorbench.store.output import warn
from razorbench.store.record import NAME, Record
from razorbench.store.sequence_record import SequenceRecord
from razorbench.store.writable import make_writable

STATE = "state"
"""Folder of a run's checkpoints."""
RECORD, CURVE, EPISODES, POLICY, LOG, FAILED = "record.json", "curve.jsonl", "episodes.csv.gz", "policy.safetensors", "log.txt", "failed.txt"
PACKED_CURVE, PACKED_EPISODES = "curve.jsonl.xz", "episodes.columns.xz"
"""Files of `compact`. A line of episodes holds a column, which packs three times as well as rows."""
_AGAIN = "delete its folder and run again"
MOST_RECORD = 8_000_000
"""Largest record, in bytes; most have 16 thousand."""
SCHEMA = 1
PROTOCOL = 7
"""Raised by any change of a measure, a split or the harness that could change a result."""
REQUIRED = (
    *("schema", "protocol", "task", "method", "base", "seed", "budget", "upstream", "config", "hashes", "versions", "machine"),
    *("git", "wall_s", "new_task", "original", "forgetting", "retention", "score", "divergence"),
)


def digest(identity: Any) -> str:
    """Return the SHA-256 of canonical JSON."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def write_atomically(final: Path, write: Callable[[Path], object], temporary: Path | None = None) -> None:
    """Call `write` on a temporary path and move the result into place. After a power failure either the old or the new file is complete."""
    temporary = temporary or final.parent / f"{uuid.uuid4().hex}-{final.name}"
    try:
        write(temporary)
        _sync(temporary)
        os.replace(temporary, final)
        _sync(final.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


_RESTORE = "restore it, or rebuild the base with `razorbench pretrain`"


def raw(path: Path, remedy: str = _RESTORE) -> bytes:
    """Return a file's bytes; raises FileDamaged if it cannot be read."""
    try:
        return bounded.read(path)
    except bounded.Missing as error:
        raise FileDamaged(f"{path} does not exist; {remedy}") from error
    except bounded.Refused as error:
        raise _unreadable(error, path) or FileDamaged(f"{path} cannot be read ({error}); {remedy}") from error


def _unreadable(error: bounded.Refused, path: Path) -> Unreadable | None:
    """Return the error for a file that the file system cannot read, None if it was read and refused for its content."""
    sentence = None if error.__cause__ is None else trouble(error.__cause__, path)
    return None if sentence is None else Unreadable(sentence)


def content(path: Path, remedy: str = _RESTORE, most: int = bounded.MOST_FILE) -> bytes:
    """Return a file's bytes, unpacked if its name ends in .gz or .xz. most: largest unpacked size, in bytes. Raises FileDamaged if it cannot be read."""
    data, packed = raw(path, remedy), path.suffix.removeprefix(".")
    try:
        return bounded.unpacked(data, packed, most) if packed in bounded.PACKED else data
    except bounded.Refused as error:
        raise FileDamaged(f"{path} cannot be read ({error}): the file was changed or cut short; {remedy}") from error


def turned(table: str) -> str:
    """Transpose a table of plain words and commas. Raises ValueError if its rows differ in length."""
    return "".join(",".join(column) + "\n" for column in zip(*(line.split(",") for line in table.splitlines()), strict=True))


class RunFolder:
    """One run's folder, `<results>/<task>/<method>/seed<k>-<hash>/`."""

    file = RECORD
    required: Sequence[str] = REQUIRED

    def __init__(self, results: Path, task: str, method: str, seed: int, run_hash: str) -> None:
        for name in (task, method):
            if not re.fullmatch(NAME, name):
                raise UsageError(f"{bounded.shown(name)} cannot be a folder's name: use letters, digits, _, . and -, and begin with a letter or a digit")
        self.results = results
        self.path = results / task / method / f"seed{seed}-{run_hash[:12]}"
        self.hash = run_hash
        self._claim: Claim | None = None

    @contextmanager
    def claimed(self) -> Iterator[Claim]:
        """Claim the folder for the block, and delete the reason of an earlier failure.

        Raises UsageError if the folder cannot be made, Claimed if another living worker holds it. `write` raises TakenOver after another worker has taken it.
        """
        make_writable(self.path, f"results={near(self.results)}", "results=DIR")
        with Claim(self.path) as self._claim:
            (self.path / FAILED).unlink(missing_ok=True)
            try:
                yield self._claim
            finally:
                self._claim = None

    def finished(self) -> bool:
        """Whether the run has a record. Raises FileDamaged if the record is incomplete."""
        path = self.path / self.file
        return exists(path) and bool(read_record(path, self.required))

    def again(self) -> RunFolder:
        """Return a folder inside this one for repeating a finished run. The finished files stay unchanged until `adopt`."""
        twin = copy.copy(self)
        twin.path, twin.file = self.path / ".again", "again.json"
        return twin

    def adopt(self, again: RunFolder) -> None:
        """Replace this run's files by those of its repetition, the record first and the policy last, so that a second call completes a killed one.

        Raises Claimed if another worker does so.
        """
        with self.claimed():
            if not exists(again.path / again.file):
                return
            self.write_text(self.file, (again.path / again.file).read_text(encoding="utf-8"))
            for name in (PACKED_CURVE, PACKED_EPISODES):
                (self.path / name).unlink(missing_ok=True)
            for name in ("config.yaml", CURVE, EPISODES, "checkpoints", POLICY):
                if exists(again.path / name):
                    if name == "checkpoints":
                        shutil.rmtree(self.path / name, ignore_errors=True)
                    os.replace(again.path / name, self.path / name)
        shutil.rmtree(again.path, ignore_errors=True)

    def write(self, name: str | Path, write: Callable[[Path], object]) -> None:
        """Write a file atomically if the claim still holds. name: a name in the folder, or an absolute path.

        The temporary file lies in the claim. A worker that takes the run over deletes it, so a worker that wakes up cannot move it into place.
        """
        final = self.path / name
        if self._claim is None:
            write_atomically(final, write)
            return
        final.parent.mkdir(parents=True, exist_ok=True)
        self._claim.check()
        try:
            write_atomically(final, write, self._claim.room / f"{uuid.uuid4().hex}-{final.name}")
        except FileNotFoundError:
            self._claim.check()
            raise

    def set_aside(self, name: str | Path) -> None:
        """Rename an invalid file or folder to `<name>.set-aside` if the claim still holds. `tidy` deletes that of the state."""
        if self._claim is not None:
            self._claim.check()
        aside = self.path / f"{name}.set-aside"
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(FileNotFoundError):
            os.replace(self.path / name, aside)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file atomically."""
        self.write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_record(self, record: Record | SequenceRecord) -> None:
        """Write the record. A run with a record is finished."""
        (self.path / FAILED).unlink(missing_ok=True)
        self.write_text(self.file, json.dumps(record.plain(), indent=2, allow_nan=False) + "\n")
        self.tidy()

    def tidy(self) -> None:
        """Delete files that only an unfinished run needs, and those of a worker that failed while another finished."""
        for name in (STATE, f"{STATE}.set-aside"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        with suppress(OSError):
            (self.path / FAILED).unlink()
        clear(self.path)

    def write_failure(self, error: Exception) -> None:
        """Write why the run failed to `failed.txt` and to the end of `log.txt`, there with the traceback if the error is unexpected.

        Writes nothing if there is a record: then the run is finished, whatever failed later. If the disk refuses, the sentence goes to stderr.
        """
        log = self.path / LOG
        trace: list[str] = []
        if isinstance(error, RazorbenchError):
            sentence = str(error)
        elif (fault := trouble(error, self.path)) is not None:
            sentence = fault
        else:
            sentence, trace = f"unexpected {type(error).__name__}: {error} ({_place(error)}); see {near(log)}", traceback.format_exception(error)
        try:
            if exists(self.path / self.file):
                return
            self.write_text(FAILED, sentence + "\n")
            with log.open("a", encoding="utf-8") as file:
                file.write("".join([*trace, f"failed: {sentence}\n"]))
            if exists(self.path / self.file):
                self.tidy()
        except OSError:
            warn(sentence)

    def failure(self) -> str | None:
        """Return why the run failed last time, None if it did not."""
        return self._text(FAILED).strip() or None

    def log_size(self) -> int:
        """Return the size of the run's log, in bytes."""
        path = self.path / LOG
        return path.stat().st_size if exists(path) else 0

    def last_word(self) -> str:
        """Return the last line of the run's log, or `there is none`."""
        lines = self._text(LOG).splitlines()
        return lines[-1] if lines else "there is none"

    def _text(self, name: str) -> str:
        """Return the text of a file in the folder, or why it cannot be read; empty if the file does not exist."""
        try:
            return bounded.read(self.path / name).decode(errors="replace")
        except bounded.Missing:
            return ""
        except bounded.Refused as error:
            return f"{name} cannot be read: {error}"


class SequenceFolder(RunFolder):
    """A sequence's folder, `<results>/<sequence>/<method>/seed<k>-<hash>/`, with its record in `sequence.json`."""

    file = "sequence.json"
    required = (
        *("schema", "protocol", "sequence", "tasks", "method", "base", "seed", "budget", "config", "hashes", "versions", "machine"),
        *("git", "wall_s", "success", "original_skills", "retention", "transfer"),
    )


def read_record(path: Path, required: Sequence[str] = REQUIRED) -> dict[str, Any]:
    """Read a record. Raises FileDamaged if it is not a complete record of this schema."""
    try:
        record = bounded.parsed(bounded.text(bounded.read(path, MOST_RECORD)))
    except bounded.Missing as error:
        raise FileDamaged(f"record {path} does not exist: give a finished run's folder, as printed at its end") from error
    except bounded.Refused as error:
        raise _unreadable(error, path) or FileDamaged(f"record {path} cannot be read ({error}): it is damaged or cut short; {_AGAIN}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        wrong = record.get("schema") if isinstance(record, dict) else type(record).__name__
        raise FileDamaged(f"record {path} has schema {bounded.shown(wrong)}, this version reads {SCHEMA}: read it with the version that wrote it, or run again")
    missing = [key for key in required if key not in record]
    if missing:
        raise FileDamaged(f"record {path} lacks {', '.join(missing)}: it is damaged; {_AGAIN}")
    return record


def read_curve(folder: Path) -> list[dict[str, Any]]:
    """Read a run's snapshots, packed or not. Raises FileDamaged if the file is missing or damaged."""
    path = folder / PACKED_CURVE if (folder / PACKED_CURVE).exists() else folder / CURVE
    try:
        return bounded.parsed_lines(bounded.text(content(path, _AGAIN, bounded.MOST_TEXT)))
    except bounded.Refused as error:
        raise FileDamaged(f"curve {path} cannot be read ({error}): it is damaged or cut short; {_AGAIN}") from error


def _place(error: Exception) -> str:
    """Return where an error was raised: the last line outside installed packages."""
    frames = traceback.extract_tb(error.__traceback__)
    last = [frame for frame in frames if "site-packages" not in frame.filename][-1:] or frames[-1:]
    return "".join(f"line {frame.lineno} of {near(Path(frame.filename))}" for frame in last)


def _sync(path: Path) -> None:
    """Flush a file, or a folder's list of files, to the disk."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
