"""Who does a run: a worker claims its folder by a file that it touches while it lives, so that many can share a results folder.

A claim is the folder `claim-<n>`, made atomically, with a file in it that is named by a random token; the highest n holds. A
claim whose worker is dead is topped by the next number, which again only one can make: nothing depends on what happens in
between. A worker that was topped, say after its machine slept, finds out before its next write: its token is gone, even if
another claim has come to the same number since.
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
"""Seconds of watching without one after which a worker elsewhere counts as dead; one of this machine's own is simply looked up."""
_MOST = 100_000
"""Bytes of a claim."""


@dataclass(frozen=True)
class Worker:
    """A process, told apart from all others: host by name, boot and process namespace; began: since when, by its kernel."""

    host: str
    space: str
    pid: int
    began: str


@dataclass(frozen=True)
class Holder:
    """Who holds a claim, for how many seconds this process has seen no sign of life of it, whether it has seen any, and what it says of its progress."""

    worker: Worker | None
    silent_s: float
    heard: bool
    progress: dict[str, float | None]
    token: str = ""

    @property
    def alive(self) -> bool:
        """Whether the worker is to be believed at work."""
        if self.worker == _here():
            return self.token in _HELD
        if self.worker is not None and self.is_here:
            return _began(self.worker.pid) == self.worker.began
        return self.silent_s < SILENT_S

    @property
    def is_here(self) -> bool:
        """Whether the worker is a process of this machine, which can be looked up."""
        here = _here()
        return self.worker is not None and (self.worker.host, self.worker.space) == (here.host, here.space) and bool(here.began)

    def __str__(self) -> str:
        who = "an unknown worker" if self.worker is None else f"process {self.worker.pid} on {self.worker.host}"
        return who if self.is_here else f"{who}, {'last sign of life' if self.heard else 'first seen'} {self.silent_s:.0f} s ago"


class Claim:
    """A hold on a folder, from `with Claim(folder):` to its end. progress: what `status` may tell of the work, plain data that the worker sets.

    Raises Claimed on entering if another living worker holds it.
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
        """Folder for what is being written; it goes when the claim goes."""
        return self._path.parent

    def check(self) -> None:
        """Raise TakenOver if another worker has taken the run over."""
        numbers = _numbers(self._folder)
        if not numbers or self._path.parent.name != f"claim-{numbers[-1]}" or not exists(self._path):
            raise TakenOver(f"{self._folder} was taken over by another worker, because this one gave no sign of life for over {SILENT_S:.0f} s")

    def _taken(self) -> bool:
        """Try to take the folder; False if another worker was quicker, and may be done already."""
        numbers = _numbers(self._folder)
        self.taken_from = _read(self._folder, numbers[-1]) if numbers else None
        if numbers and self.taken_from is None:
            return False
        if self.taken_from is not None and self.taken_from.alive:
            raise Claimed(f"{self._folder} is being done by {self.taken_from}: wait for it, or stop it")
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
            # This worker slept in between: its claim, still empty, was taken for a dead one's, or the one it topped is another's by now.
            self._leave()
            return False
        except OSError:
            self._leave()
            raise
        for number in numbers:
            _remove(self._folder / f"claim-{number}")
        return True

    def _leave(self) -> None:
        """Remove the claim. Where that fails it is left, as a dead worker's would be."""
        for remove in (self._path.unlink, self._path.parent.rmdir):
            with suppress(OSError):
                remove()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            try:
                # Not made anew if it is gone: then the claim is lost.
                with self._path.open("r+", encoding="utf-8") as file:
                    file.write(self._text())
                    file.truncate()
            except OSError:
                continue

    def _text(self) -> str:
        return json.dumps({"worker": asdict(_here()), "progress": self.progress})


def holder(folder: Path) -> Holder | None:
    """Return who holds a folder, alive or dead, or None."""
    numbers = _numbers(folder)
    return _read(folder, numbers[-1]) if numbers else None


def clear(folder: Path) -> None:
    """Remove the claims of workers that are dead as far as this process can see: another one would have to watch them as long."""
    with suppress(OSError):
        for number in _numbers(folder):
            found = _read(folder, number)
            if found is not None and not found.alive:
                _remove(folder / f"claim-{number}")


_HELD: set[str] = set()
"""Tokens of the claims that this process holds, or tries to."""


def _numbers(folder: Path) -> list[int]:
    """Return the numbers of a folder's claims in order; not by glob, which takes a folder that cannot be read for an empty one."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(name[6:]) for name in names if name.startswith("claim-") and name[6:].isdecimal())


def _read(folder: Path, number: int) -> Holder | None:
    """Return who holds a claim; None if it has just been given up."""
    claim = folder / f"claim-{number}"
    try:
        # What is being written has a name with a hyphen.
        path = claim / next((name for name in os.listdir(claim) if "-" not in name), "")
    except NotADirectoryError:
        path = claim  # of an earlier version
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
        found = bounded.parsed(text)
        return Holder(Worker(**found["worker"]), silent, heard, dict(found["progress"]), path.name)
    except (ValueError, TypeError, KeyError):
        return Holder(None, silent, heard, {})


_SEEN: dict[Path, tuple[object, float, int]] = {}
"""What this process saw of a claim last, when by its own clock, and how often that was something new."""


def _silence(claim: Path, sign: object) -> tuple[float, bool]:
    """Seconds since this process saw a claim change, and whether it has seen it change at all.

    By no clock but this process's own: that of the worker, or of the file system, may be wrong by hours, and a time in the future would never pass.
    """
    now = time.monotonic()
    last, since, changes = _SEEN.get(claim, (None, now, -1))
    if last != sign:
        since, changes = now, changes + 1
    _SEEN[claim] = sign, since, changes
    return now - since, changes > 0


def watch(folders: Sequence[Path]) -> dict[Path, Holder]:
    """Return who holds each folder that is held. Workers elsewhere are listened to until each has given a sign of life, for two of them at most."""
    found = {folder: held for folder in folders if (held := holder(folder)) is not None}
    began = time.monotonic()
    while time.monotonic() - began < 2 * BEAT_S:
        silent = [folder for folder, held in found.items() if not (held.is_here or held.heard)]
        if not silent:
            break
        time.sleep(BEAT_S / 20)
        found |= {folder: held for folder in silent if (held := holder(folder)) is not None}
    return found


def _remove(claim: Path) -> None:
    """Remove a dead worker's claim; where that fails it stays, topped."""
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
    """When a process of this machine began, in its kernel's ticks; empty if there is none, or if this system does not tell."""
    # The name in the second field may hold spaces and parentheses.
    fields = _first_line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
