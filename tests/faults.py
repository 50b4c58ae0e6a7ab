"""One run after another, each with another operation on its files that fails; prints what went wrong as JSON. Needs faults.so in LD_PRELOAD.

python faults.py FOLDER FIRST STEP: operations FIRST, FIRST + STEP and so on.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import json
import os
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from conftest import TINY, TINY_METHOD, compose
from small import shrink

from razorbench.errors import Claimed, RazorbenchError
from razorbench.runs.run import run
from razorbench.store import checkpoint, lock

SETTINGS = ["task=pick_place", "method=sft", *TINY, *TINY_METHOD["sft"], "eval.episodes=1", "eval.skill_episodes=1", "budget.demo_episodes=4"]
ERRORS = (errno.EACCES, errno.ENOSPC, errno.ESTALE, errno.EIO)
TIMES = ("wall_s", "measuring_s")


class Faults:
    """The library in LD_PRELOAD."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.fault_last.restype = ctypes.c_char_p

    def arm(self, folder: Path, operation: int, error: int, sticky: bool) -> None:
        self._library.fault_arm(str(folder).encode(), ctypes.c_long(operation), error, int(sticky))

    def disarm(self) -> tuple[int, str]:
        return int(self._library.fault_disarm()), self._library.fault_last().decode()


def results_of(folder: Path) -> dict[str, object]:
    """All that a run came to."""
    files = {name: (folder / name).read_bytes() for name in ("policy.safetensors", "curve.jsonl", "episodes.csv.gz")}
    record = {key: value for key, value in json.loads((folder / "record.json").read_text()).items() if key not in TIMES}
    return {**files, "record": record}


def attempt(spec, plain, results: Path) -> tuple[str, str]:
    """Do the run as a launcher does it; returns how it ended, and all that was said."""
    said, ended = io.StringIO(), "done"
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            run(spec, results, plain, threads=1)
        except Claimed as error:
            ended = f"claimed: {error}"
        except Exception as error:
            ended = "failed" if isinstance(error, RazorbenchError | OSError) else f"unexpected {type(error).__name__}: {error}"
            spec.folder(results).write_failure(error)
    return ended, said.getvalue()


def faulty(spec, plain, results: Path, faults: Faults, kinds, wanted, operation: int, error: int, sticky: bool) -> list[str]:
    """Fail one operation, then do the run again; returns what is wrong with that."""
    folder, wrong = spec.folder(results).path, []
    faults.arm(results, operation, error, sticky)
    ended, said = attempt(spec, plain, results)
    failed = faults.disarm()[1]
    log = (folder / "log.txt").read_text() if (folder / "log.txt").exists() else ""
    if "Traceback" in said + log or ended.startswith(("unexpected", "claimed")):
        wrong.append(f"no sentence: {ended} {said} {log[-300:]}")
    if ended == "failed" and not (folder / "record.json").exists() and "again" not in said + log and "results=" not in said + log:
        wrong.append(f"nothing said: {said} {log[-300:]}")
    if (folder / "record.json").exists() and (folder / "failed.txt").exists():
        wrong.append("failed.txt beside a record")
    deadline = time.monotonic() + 5
    while (again := attempt(spec, plain, results))[0].startswith("claimed") and time.monotonic() < deadline:
        time.sleep(0.05)
    if list(folder.glob("claim-*")):
        # An empty claim may be one that is just being made, and counts as alive for as long as a worker may be silent.
        time.sleep(1.5 * lock.SILENT_S)
        attempt(spec, plain, results)
    if again[0] != "done":
        wrong.append(f"not made good: {again}")
    elif results_of(folder) != wanted:
        wrong.append("another result")
    elif odd := {path.name for path in folder.iterdir()} - {
        "record.json",
        "policy.safetensors",
        "curve.jsonl",
        "episodes.csv.gz",
        "checkpoints",
        "config.yaml",
        "log.txt",
    }:
        wrong.append(f"left {odd}")
    kinds[failed] += 1
    return [f"operation {operation} ({failed}), {errno.errorcode[error]}{', and all after it' if sticky else ''}: {each}" for each in wrong]


def main(place: Path, first: int, step: int) -> None:
    shrink(setattr)
    checkpoint._SHARE = float("inf")
    lock.SILENT_S, lock.BEAT_S = 0.5, 1e9
    spec, plain = compose(*SETTINGS, f"results={place}")
    faults, wrong, tried = Faults(), [], 0
    kinds: Counter[str] = Counter()
    attempt(spec, plain, place / "whole")
    wanted = results_of(spec.folder(place / "whole").path)
    faults.arm(place / "counted", 0, 0, False)
    attempt(spec, plain, place / "counted")
    operations = faults.disarm()[0]
    for operation in range(first, operations + 1, step):
        tried += 1
        wrong += faulty(spec, plain, place / "faulty", faults, kinds, wanted, operation, ERRORS[operation // step % 4], operation // step % 8 > 3)
        shutil.rmtree(place / "faulty", ignore_errors=True)
    print(json.dumps({"operations": operations, "tried": tried, "kinds": kinds, "wrong": wrong}))


if __name__ == "__main__":
    os.environ.pop("LD_PRELOAD", None)
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]), int(sys.argv[3]))
