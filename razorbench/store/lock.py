"""Claims of run folders: a worker claims a folder by a file that it touches while it lives, so many workers can share a results folder.

A claim is the folder `claim-<n>`, made atomically; it contains a file named by a random token, and the highest n holds. If a claim's worker is dead,
another worker makes the claim with the next number, which only one can do. The old worker may wake up, for example after its machine slept. It notices
before its next write that its token is gone, even if another claim has the same number by then.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from razorbench.errors import Claimed, TakenOver
from razorbench.store import bounded
from razorbench.store.disk import exists, trouble

BEAT_S = 5.0
"""Seconds between signs of life."""
SILENT_S = 60.0
"""Seconds without a sign of life after which a worker on another machine counts as dead. Workers of this machine are looked up by process id."""
_MOST = 100_000
"""Largest claim, in bytes."""


@dataclass(frozen=True)
class Worker:
    """Identity of a process. host: name of its machine; space: the machine's boot and process namespace; began: start of the process, by its kernel."""

    host: str
    space: str
    pid: int
    began: str


@dataclass(frozen=True)
class Holder:
    """The worker that holds a claim. silent_s: seconds since its last sign of life seen here; heard: whether one was seen; progress: its own report."""

    worker: Worker | None
    silent_s: float
    heard: bool
    progress: dict[str, float | None]
    token: str = ""

    @property
    def alive(self) -> bool:
        """Whether the worker counts as alive."""
        if self.worker == _here():
            return self.token in _HELD
        if self.worker is not None and self.is_here:
            return _began(self.worker.pid) == self.worker.began
        return self.silent_s < SILENT_S

    @property
    def is_here(self) -> bool:
        """Whether the worker is a process of this machine, so that it can be looked up."""
        here = _here()
        return self.worker is not None and (self.worker.host, self.worker.space) == (here.host, here.space) and bool(here.began)

    def __str__(self) -> str:
        who = "an unknown worker" if self.worker is None else f"process {self.worker.pid} on {self.worker.host}"
        return who if self.is_here else f"{who}, {'last sign of life' if self.heard else 'first seen'} {self.silent_s:.0f} s ago"


class Claim:
    """A claim of a folder for a block: `with Claim(folder):`. progress: plain data for `status`, set by the worker.

    Raises Claimed on entering if another living worker holds the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.progress: dict[str, float | None] = {}
        self._folder = folder
        self._token = uuid.uuid4().hex
        self._path = folder
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self.taken_from: Holder | None = None

    def __enter__(self) -> Claim:
        _HELD.add(self._token)
        try:
            while not self._taken():
                pass
        except BaseException:
            _HELD.discard(self._token)
            raise
        self._heart.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._heart.join()
        _HELD.discard(self._token)
        self._leave()

    @property
    def room(self) -> Path:
        """Folder for temporary files; it is deleted with the claim."""
        return self._path.parent

    def check(self) -> None:
        """Raise TakenOver if another worker has taken the run over."""
        numbers = _numbers(self._folder)
        if not numbers or self._path.parent.name != f"claim-{numbers[-1]}" or not exists(self._path):
            raise TakenOver(f"{self._folder} was taken over by another worker, because this one gave no sign of life for over {SILENT_S:.0f} s")

    def _taken(self) -> bool:
        """Try to claim the folder. Returns False if another worker was faster; it may have finished already."""
        numbers = _numbers(self._folder)
        self.taken_from = _read(self._folder, numbers[-1]) if numbers else None
        if numbers and self.taken_from is None:
            return False
        if self.taken_from is not None and self.taken_from.alive:
            raise Claimed(f"{self.taken_from} works on {self._folder}: wait for it, or stop it")
        self._path = self._folder / f"claim-{numbers[-1] + 1 if numbers else 1}" / self._token
        try:
            self._path.parent.mkdir()
        except FileExistsError:
            return False
        try:
            self._path.write_text(self._text(), encoding="utf-8")
            self.check()
            if numbers and (topped := _read(self._folder, numbers[-1])) is not None and topped.alive:
                raise TakenOver(str(topped))
        except (FileNotFoundError, TakenOver):
            # This worker slept in between: another worker took its empty claim for a dead one, or has renewed the claim below it.
            self._leave()
            return False
        except OSError:
            self._leave()
            raise
        for number in numbers:
            _remove(self._folder / f"claim-{number}")
        return True

    def _leave(self) -> None:
        """Delete the claim. If that fails it stays, like a dead worker's."""
        for remove in (self._path.unlink, self._path.parent.rmdir):
            with suppress(OSError):
                remove()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            try:
                # "r+" does not create the file again: if it is gone, the claim is lost.
                with self._path.open("r+", encoding="utf-8") as file:
                    file.write(self._text())
                    file.truncate()
            except OSError:
                continue

    def _text(self) -> str:
        return json.dumps({"worker": asdict(_here()), "progress": self.progress})


def holder(folder: Path) -> Holder | None:
    """Return the holder of a folder, alive or dead, or None."""
    numbers = _numbers(folder)
    return _read(folder, numbers[-1]) if numbers else None


def clear(folder: Path) -> None:
    """Delete the claims of dead workers, so that other processes need not watch them first."""
    with suppress(OSError):
        for number in _numbers(folder):
            worker = _read(folder, number)
            if worker is not None and not worker.alive:
                _remove(folder / f"claim-{number}")


_HELD: set[str] = set()
"""Tokens of the claims that this process holds or tries to get."""


def _numbers(folder: Path) -> list[int]:
    """Return the numbers of a folder's claims in order. Glob would treat an unreadable folder as empty."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(name[6:]) for name in names if name.startswith("claim-") and name[6:].isdecimal())


def _read(folder: Path, number: int) -> Holder | None:
    """Return the holder of a claim; None if the claim was just released."""
    claim = folder / f"claim-{number}"
    try:
        # Names of temporary files have a hyphen.
        path = claim / next((name for name in os.listdir(claim) if "-" not in name), "")
    except NotADirectoryError:
        path = claim  # written by an earlier version
    except FileNotFoundError:
        return None
    try:
        text, touched = bounded.read(path, _MOST).decode(errors="replace"), path.stat().st_mtime_ns
    except (bounded.Missing, FileNotFoundError):
        return None
    except bounded.Refused as error:
        if error.__cause__ is not None and trouble(error.__cause__) is not None:
            raise error.__cause__ from None
        text, touched = "", 0
    silent, heard = _silence(claim, (path.name, text, touched))
    try:
        content = bounded.parsed(text)
        return Holder(Worker(**content["worker"]), silent, heard, dict(content["progress"]), path.name)
    except (ValueError, TypeError, KeyError):
        return Holder(None, silent, heard, {})


_SEEN: dict[Path, tuple[object, float, int]] = {}
"""By claim: its last content seen by this process, the time of its last change on this process's clock, and the number of changes."""


def _silence(claim: Path, sign: object) -> tuple[float, bool]:
    """Return the seconds since this process saw a claim change, and whether it has seen a change.

    Uses this process's clock only. The clocks of the worker and the file system may be wrong by hours, and a time in the future would never pass.
    """
    now = time.monotonic()
    last, since, changes = _SEEN.get(claim, (None, now, -1))
    if last != sign:
        since, changes = now, changes + 1
    _SEEN[claim] = sign, since, changes
    return now - since, changes > 0


def watch(folders: Sequence[Path]) -> dict[Path, Holder]:
    """Return the holders of those folders that are claimed. Waits up to two beats for a sign of life of each worker on another machine."""
    holders = {folder: held for folder in folders if (held := holder(folder)) is not None}
    began = time.monotonic()
    while time.monotonic() - began < 2 * BEAT_S:
        silent = [folder for folder, held in holders.items() if not (held.is_here or held.heard)]
        if not silent:
            break
        time.sleep(BEAT_S / 20)
        holders |= {folder: held for folder in silent if (held := holder(folder)) is not None}
    return holders


def _remove(claim: Path) -> None:
    """Delete a dead worker's claim. If that fails it stays, below a higher one."""
    shutil.rmtree(claim, ignore_errors=True)
    with suppress(OSError):
        claim.unlink(missing_ok=True)


def _here() -> Worker:
    space = [_first_line("/proc/sys/kernel/random/boot_id")]
    try:
        space.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        pass
    return Worker(platform.node(), " ".join(space), os.getpid(), _began(os.getpid()))


def _began(pid: int) -> str:
    """Return when a process of this machine began, in kernel ticks; empty if there is no such process, or no /proc."""
    # The name in the second field may contain spaces and parentheses.
    fields = _first_line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
