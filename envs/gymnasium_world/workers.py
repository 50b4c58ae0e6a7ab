"""Worker processes that hold Gymnasium environments, seen from this side: requests, answers, limits of time, and their end."""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from razorbench import meter
from razorbench.errors import NotFinite, RazorbenchError, UsageError
from razorbench.types import FloatArray

_SCRIPT = Path(__file__).with_name("worker.py")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_MOST, _CHUNK = 2**20, 2**16
"""Longest head of an answer, and most that is read at once, bytes."""


class WorkerFailed(RazorbenchError):
    """A worker died, hung, or answered what no worker should."""


_KINDS = {"usage": UsageError, "not_finite": NotFinite, "raised": WorkerFailed}


class Worker:
    """One process of an interpreter. patience: seconds that it may take to answer. Raises UsageError if it cannot start."""

    def __init__(self, python: str, patience: float) -> None:
        self._patience = patience
        self._said = tempfile.TemporaryFile()
        theirs, self._lifeline = os.pipe()
        try:
            # The harness's own processes are no cost that a method hides.
            with meter.silence():
                self._process = subprocess.Popen(
                    [python, str(_SCRIPT), str(theirs)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._said,
                    pass_fds=[theirs],
                    env=_environment(python),
                    bufsize=0,
                )
        except OSError as error:
            os.close(self._lifeline)
            self._said.close()
            raise UsageError(f"python={python} cannot be started ({error.strerror}): name a Python that has gymnasium installed") from error
        finally:
            os.close(theirs)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout.fileno()
        self._held = b""
        self._ready = select.poll()
        self._ready.register(self._from, select.POLLIN)

    def ask(self, head: Mapping[str, Any], numbers: FloatArray) -> None:
        """Send a request. numbers: its array."""
        packed = json.dumps({**head, "shape": numbers.shape}).encode()
        try:
            self._to.write(struct.pack("<I", len(packed)) + packed + numbers.tobytes())
        except OSError as error:
            raise WorkerFailed(self._ended()) from error

    def answer(self) -> tuple[Mapping[str, Any], FloatArray]:
        """Wait for the answer to a request: its head, and its array. Raises WorkerFailed, and what the worker found wrong."""
        deadline = time.monotonic() + self._patience
        (length,) = struct.unpack("<I", self._read(4, deadline))
        try:
            if length > _MOST:
                raise ValueError(f"a head of {length} bytes")
            head = json.loads(self._read(length, deadline))
            shape = [int(side) for side in head["shape"]]
            values = np.frombuffer(self._read(8 * int(np.prod(shape)), deadline), "<f8").reshape(shape)
        except (ValueError, KeyError, TypeError) as error:
            raise WorkerFailed(f"a worker of {_SCRIPT.name} answers what is no frame ({error}): environments must leave file descriptors alone") from error
        if "fault" in head:
            raise _KINDS.get(head.get("kind", ""), WorkerFailed)(str(head["fault"]))
        return head, values

    def _read(self, size: int, deadline: float) -> bytes:
        while len(self._held) < size:
            if not self._ready.poll(max(0.0, 1000.0 * (deadline - time.monotonic()))):
                raise WorkerFailed(f"a worker gave no answer for {self._patience:g} s: it hangs; mend the environment, or raise `patience` in the world's yaml")
            part = os.read(self._from, _CHUNK)
            if not part:
                raise WorkerFailed(self._ended())
            self._held += part
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _ended(self) -> str:
        """Say that the process ended, with the last line that it wrote."""
        self._process.kill()
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read()[-4000:].decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"a worker ended by itself, with code {code} ({last}): mend the environment, or start the run again"

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        os.close(self._lifeline)
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                stream.close()


class Pool:
    """The workers of one interpreter. versions: of it and of its packages.

    A seat is an environment in a worker. Seats are used again, since an environment is slow to make; `free` takes back those of an engine that is gone.
    """

    def __init__(self, version: str, python: str, modules: Sequence[str], packages: Sequence[str], processes: int, patience: float) -> None:
        self._about, self.owner = version, os.getpid()
        self._workers: list[Worker] = []
        self._end = weakref.finalize(self, _stop, self._workers, self.owner)
        self._made = [0] * processes
        self._free: dict[tuple[int, str], list[int]] = {}
        none = np.zeros((0, 0))
        try:
            for _ in range(processes):
                self._workers.append(Worker(_found(python), patience))
            hello = {"do": "hello", "modules": list(modules), "packages": list(packages)}
            heads = [head for head, _ in self.ask({worker: (hello, none) for worker in range(processes)})]
        except WorkerFailed as error:  # before it could do anything
            raise UsageError(f"{error}; python={python} must be a Python that has gymnasium installed") from error
        except UsageError as error:
            raise UsageError(f"{version}: {error}") from error
        self.versions: Mapping[str, str] = {str(name): str(value) for name, value in heads[0]["versions"].items()}

    @property
    def alive(self) -> bool:
        """Whether it can be asked, from this process."""
        return self._end.alive and self.owner == os.getpid()

    @property
    def processes(self) -> int:
        """Number of workers."""
        return len(self._made)

    def seat(self, worker: int, kind: str) -> int:
        """Return a free seat of a worker for an environment of a kind."""
        if waiting := self._free.get((worker, kind)):
            return waiting.pop()
        self._made[worker] += 1
        return self._made[worker]

    def free(self, seats: Mapping[int, tuple[int, str, int]]) -> None:
        """Take seats back. seats: worker, kind and number, by slot."""
        for worker, kind, number in seats.values():
            self._free.setdefault((worker, kind), []).append(number)

    def ask(self, requests: Mapping[int, tuple[Mapping[str, Any], FloatArray]]) -> list[tuple[Mapping[str, Any], FloatArray]]:
        """Send each worker its request, then wait for their answers, in order. After any fault the pool has ended."""
        try:
            if not self.alive:
                raise WorkerFailed("its workers have ended: start the run again")
            for worker, (head, numbers) in requests.items():
                self._workers[worker].ask(head, numbers)
            return [self._workers[worker].answer() for worker in requests]
        except BaseException as error:
            self._end()
            if isinstance(error, RazorbenchError):
                raise type(error)(f"{self._about}: {error}") from error
            raise


def _stop(workers: Sequence[Worker], owner: int) -> None:
    if os.getpid() == owner:  # a forked process leaves them to its parent
        for worker in workers:
            worker.stop()


def _found(python: str) -> str:
    """Return the path of an interpreter; `$NAME` stands for an environment variable."""
    path = os.path.expandvars(os.path.expanduser(python)) if python else sys.executable
    if "$" in path:
        raise UsageError(f"python={python}: this environment variable is not set; set it to the path of a Python that has gymnasium installed")
    return path


def _environment(python: str) -> dict[str, str]:
    """Return the environment of a worker: one thread of arithmetic each, and nothing that leads another Python to packages of this one."""
    kept = {name: value for name, value in os.environ.items() if python == sys.executable or name not in ("PYTHONPATH", "PYTHONHOME")}
    return kept | dict.fromkeys(_THREADS, "1")


_POOLS: dict[tuple[Any, ...], Pool] = {}


def pool(version: str, python: str, modules: Sequence[str], packages: Sequence[str], processes: int, patience: float) -> Pool:
    """Return the pool of these settings, started if it is not running in this process."""
    key = version, python, tuple(modules), tuple(packages), processes, patience
    if key not in _POOLS or not _POOLS[key].alive:
        _POOLS[key] = Pool(*key)
    return _POOLS[key]
