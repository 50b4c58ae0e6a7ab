"""Plays Gymnasium environments for a RazorBench process, in any Python from 3.8 on that has gymnasium and numpy. It imports nothing of RazorBench.

It obeys requests on standard input and answers on standard output. Both are frames: the length of a JSON head (4 bytes, little-endian), the head, and
one array of float64 whose shape the head names. Nothing is ever unpickled. It ends when its caller's end of a pipe closes, whatever it is doing.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import signal
import struct
import sys
import threading
from importlib import metadata
from typing import Any, BinaryIO

absent: ImportError | None = None
try:
    import gymnasium
    import numpy as np
except ImportError as error:
    absent = error

EXTRA = 3
"""Columns of an answer after the observation: reward, solved, over."""


class Fault(Exception):
    """A fault of the settings or the environment, in one sentence. kind: `usage`, `not_finite` or `raised`."""

    def __init__(self, sentence: str, kind: str = "usage") -> None:
        super().__init__(sentence)
        self.kind = kind


class Environment:
    """One environment. After it ends by itself it stands still: it keeps its last observation and its success, without reward.

    given: id and keyword arguments of `gymnasium.make`, keys of a dictionary observation, seeding, success, horizon, sizes. measure: whether to test
    that seeds decide starts.
    """

    def __init__(self, given: dict[str, Any], measure: bool) -> None:
        self.given = given
        try:
            self.env = gymnasium.make(given["env"], disable_env_checker=True, **given["arguments"])
        except Exception as error:
            raise Fault(f"it cannot be made: {_said(error)}") from error
        self._check_spaces()
        if measure:
            self._measure_seeding()

    def begin(self, seed: int) -> Any:
        """Reset to the start of a seed and return a row of an answer, (O + 3,)."""
        self.decisions, self.total = 0, 0.0
        if self.given["seeding"] == "method":
            self.env.unwrapped.seed(seed)
            observation, _ = self.env.reset()
        else:
            observation, _ = self.env.reset(seed=seed)
        self.row = self._row(observation, 0.0, False, False)
        return self.row

    def step(self, action: Any) -> Any:
        """Advance by one decision and return a row of an answer. action: (A,) in [-1, 1]."""
        if self.row[-1]:
            self.row[-EXTRA] = 0.0
            return self.row
        scaled = np.clip(self.low + (action + 1.0) / 2.0 * (self.high - self.low), self.low, self.high)
        observation, reward, terminated, truncated, info = self.env.step(scaled.reshape(self.env.action_space.shape).astype(self.env.action_space.dtype))
        self.decisions += 1
        self.total += float(reward)
        over = bool(terminated or truncated)
        self.row = self._row(observation, reward, self._solved(info, over), over)
        return self.row

    def _solved(self, info: dict[str, Any], over: bool) -> bool:
        rule = self.given["success"]
        if not isinstance(rule, str):
            return (over or self.decisions >= self.given["horizon"]) and self.total >= rule
        if rule not in info:
            raise Fault(f"its info has no {rule}: it has {', '.join(map(str, info)) or 'nothing'}; name one of these as `success`, or a number for the return")
        return bool(info[rule])

    def _row(self, observation: Any, reward: Any, solved: bool, over: bool) -> Any:
        keys = self.given["keys"]
        row = np.concatenate([*([observation[key] for key in keys] if keys else [observation]), [reward, solved, over]]).astype(np.float64)
        if not np.isfinite(row).all():
            what = "reward" if np.isfinite(row[:-EXTRA]).all() else "observation"
            raise Fault(f"its {what} is NaN or infinite after decision {self.decisions}: correct the environment", "not_finite")
        if self.given["rescale_observations"]:
            row[:-EXTRA] = 2.0 * (row[:-EXTRA] - self.least) / (self.most - self.least) - 1.0
        return row

    def _check_spaces(self) -> None:
        actions, observations, keys = self.env.action_space, self.env.observation_space, self.given["keys"]
        if not isinstance(actions, gymnasium.spaces.Box):
            raise Fault(f"its actions are {actions}: only a box of real numbers can be learned here")
        if not np.isfinite([actions.low, actions.high]).all():
            raise Fault(f"its actions are {actions}, without bounds: wrap it in gymnasium.wrappers.RescaleAction or ClipAction, with bounds")
        self.low, self.high = actions.low.ravel().astype(np.float64), actions.high.ravel().astype(np.float64)
        if isinstance(observations, gymnasium.spaces.Dict):
            names = ", ".join(observations.spaces)
            if not keys:
                raise Fault(f"its observations are a dictionary of {names}: list those to join under `keys` in the world's yaml")
            if lost := [key for key in keys if key not in observations.spaces]:
                raise Fault(f"its observations have no {', '.join(lost)}: `keys` in the world's yaml may name {names}")
            parts = [observations.spaces[key] for key in keys]
        elif keys:
            raise Fault(f"its observations are no dictionary: take `keys` out of the world's yaml ({observations})")
        else:
            parts = [observations]
        for part in parts:
            if not isinstance(part, gymnasium.spaces.Box) or len(part.shape) != 1:
                raise Fault(f"its observations are {part}: only a vector of numbers can be learned from here, no pictures")
        self.least, self.most = (np.concatenate([getattr(part, side) for part in parts]).astype(np.float64) for side in ("low", "high"))
        if self.given["rescale_observations"] and not np.isfinite([self.least, self.most]).all():
            raise Fault("its observations have no bounds: take `rescale_observations` out of the world's yaml")
        found, told = (len(self.least), len(self.low)), (self.given["observation_size"], self.given["action_size"])
        if found != told:
            raise Fault(
                f"its observations have {found[0]} numbers and its actions {found[1]}: the world's yaml says observation_size {told[0]}, action_size {told[1]}"
            )

    def _measure_seeding(self) -> None:
        if self.given["seeding"] == "method" and not hasattr(self.env.unwrapped, "seed"):
            raise Fault("it has no method seed(): set `seeding: reset` in the world's yaml")
        how = "its reset(seed=...)" if self.given["seeding"] == "reset" else "its seed(...)"
        way_out = "without seeds no episode repeats and TEST starts may be TRAIN starts; try the other value of `seeding`, reset or method"
        first, *others, again = (self.begin(seed).copy() for seed in (1, 2, 3, 4, 1))
        if not np.array_equal(first, again):
            raise Fault(f"{how} does nothing, two resets with one seed differ: {way_out}")
        if all(np.array_equal(first, other) for other in others):
            raise Fault(f"{how} does nothing, four seeds give one first observation: {way_out}")


class Worker:
    """The environments of this process, by the number of their seat."""

    def __init__(self) -> None:
        self.seats: dict[int, Environment] = {}

    def hello(self, _: Any, modules: list[str], packages: list[str]) -> tuple[dict[str, Any], Any]:
        """Import modules and return versions. packages: those to name besides gymnasium and numpy."""
        if absent is not None:
            raise Fault(f"it lacks a package ({absent}): install gymnasium and numpy there, or name another Python as `python`")
        versions = {"python": platform.python_version()}
        for package in ("gymnasium", "numpy", *packages):
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                raise Fault(f"package {package} is missing there: install it, or name another Python as `python`") from None
        for module in modules:
            try:
                importlib.import_module(module)
            except Exception as error:
                raise Fault(f"module {module} cannot be imported there: {_said(error)}") from error
        return {"versions": versions}, np.zeros((0, 0))

    def begin(self, numbers: Any, seats: list[int], kinds: list[int], given: list[dict[str, Any]]) -> tuple[dict[str, Any], Any]:
        """Put environments at their starts; a new seat's environment is made first. numbers: seeds (M, 1); kinds: index into `given`, (M,)."""
        rows = []
        for seat, kind, seed in zip(seats, kinds, numbers):  # noqa: B905 (Python 3.8)
            with _about(given[kind]["env"]):
                if seat not in self.seats:
                    self.seats[seat] = Environment(given[kind], all(other.given != given[kind] for other in self.seats.values()))
                rows.append(self.seats[seat].begin(int(seed[0])))
        return {}, np.array(rows)

    def step(self, numbers: Any, seats: list[int]) -> tuple[dict[str, Any], Any]:
        """Advance environments by one decision. numbers: actions (M, A)."""
        rows = []
        for seat, action in zip(seats, numbers):  # noqa: B905 (Python 3.8)
            with _about(self.seats[seat].given["env"]):
                rows.append(self.seats[seat].step(action))
        return {}, np.array(rows)


class _about:
    """Says which environment a fault in the block is of."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Fault):
            raise Fault(f"{self.name}: {error}", error.kind) from error
        if isinstance(error, Exception):
            raise Fault(f"{self.name} raised {_said(error)}", "raised") from error


def _said(error: BaseException) -> str:
    return f"{type(error).__name__} ({' '.join(str(error).split())})"


def receive(stream: BinaryIO) -> tuple[dict[str, Any], Any] | None:
    """Read a frame: its head, and its array. None at the end of the stream."""
    start = stream.read(4)
    if len(start) < 4:
        return None
    head = json.loads(stream.read(struct.unpack("<I", start)[0]).decode())
    shape = head.pop("shape")
    size = 8
    for length in shape:
        size *= length
    data = stream.read(size)
    return head, (np.frombuffer(data, "<f8").reshape(shape) if absent is None else None)


def send(stream: BinaryIO, head: dict[str, Any], shape: tuple[int, ...] = (0,), data: bytes = b"") -> None:
    """Write a frame. data: an array of this shape, float64."""
    packed = json.dumps({**head, "shape": shape}).encode()
    stream.write(struct.pack("<I", len(packed)) + packed + data)
    stream.flush()


def _end_with_caller(lifeline: int) -> None:
    os.read(lifeline, 1)  # nothing is ever written: it returns when the caller is gone
    os._exit(0)


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's; it closes the pipes
    threading.Thread(target=_end_with_caller, args=(int(sys.argv[1]),), daemon=True).start()
    sys.path[0] = os.getcwd()
    # What an environment prints must not stand between the frames.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    worker = Worker()
    while (request := receive(requests)) is not None:
        head, numbers = request
        try:
            reply, rows = getattr(worker, head.pop("do"))(numbers, **head)
        except Fault as fault:
            send(answers, {"fault": str(fault), "kind": fault.kind})
        else:
            send(answers, reply, rows.shape, rows.tobytes())
    os._exit(0)


if __name__ == "__main__":
    main()
