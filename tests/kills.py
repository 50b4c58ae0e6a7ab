"""Runs that are killed at random moments, again and again: by -9, TERM, INT, and by a sleep that is longer than a claim's patience.

python tests/kills.py FOLDER NUMBER: at least NUMBER kills, over all kinds of runs; prints the counts as JSON and ends with 1 if a result differs.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from conftest import TINY, TINY_METHOD
from small import shrink

from razorbench.commands import main
from razorbench.errors import Claimed, TakenOver
from razorbench.registry import config
from razorbench.runs.run import run
from razorbench.runs.sequence import SequenceSpec, run_sequence
from razorbench.store import checkpoint, lock
from razorbench.store.lock import Worker, holder

METHODS = ("ppo", "sft", "sft_recall", "simpo", "grpo")
KINDS = (*METHODS, "sequence")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP)
PATIENCE_S = 0.5
DONE, STOPPED, TAKEN, WAITED, WRONG = 0, 11, 12, 13, 14
_TIMES = ("wall_s", "measuring_s", "threads")


@dataclass
class Work:
    """A run or a sequence, in any results folder."""

    name: str
    spec: object
    plain: dict

    @classmethod
    def of(cls, name: str, conf: Path) -> Work:
        overrides = ["sequence=two", "method=sft", *TINY_METHOD["sft"]] if name == "sequence" else ["task=pick_place", f"method={name}", *TINY_METHOD[name]]
        with config.registry(str(conf)) as registry:
            composed = registry.compose([*TINY, "eval.episodes=2", "eval.snapshots=4", *overrides])
            return cls(name, config.spec(composed, composed.hydra.runtime.choices), config.plain_config(composed))

    def do(self, results: Path) -> None:
        (run_sequence if isinstance(self.spec, SequenceSpec) else run)(self.spec, results, self.plain, threads=1)

    def found(self, results: Path) -> dict[str, object]:
        """All that came of it. Whoever finds it done clears what a worker left that was killed after its record, once that is known to be dead."""
        folder = self.spec.folder(results)
        if holder(folder.path) is not None:
            # It has to be watched for as long before it counts as dead.
            time.sleep(2 * PATIENCE_S)
            self.do(results)
        return found(folder.path)


def found(folder: Path) -> dict[str, object]:
    """All that a run came to, and that nothing is left of its way there."""
    (record,) = (path for path in folder.iterdir() if path.name in ("record.json", "sequence.json"))
    assert not [path.name for path in folder.iterdir() if path.name.startswith(("state", "claim", "failed", ".again"))]
    files = {name: (folder / name).read_bytes() for name in ("policy.safetensors", "curve.jsonl", "episodes.csv.gz")}
    return {**files, "record": {key: value for key, value in json.loads(record.read_text()).items() if key not in _TIMES}}


def begin(work: Work, results: Path, host: str) -> int:
    """Do a run in a process of its own, as a worker on a machine of that name; returns its number."""
    if pid := os.fork():
        return pid
    code = WRONG
    try:
        signal.signal(signal.SIGTERM, main._terminated)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        here = Worker(host, "", os.getpid(), "")
        lock._here = lambda: here
        code = _life(work, results)
    except KeyboardInterrupt:
        code = STOPPED
    except BaseException:
        (results / f"wrong-{host}.txt").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def _life(work: Work, results: Path) -> int:
    until = time.monotonic() + 8 * PATIENCE_S
    while True:
        try:
            work.do(results)
            return DONE
        except TakenOver:
            return TAKEN
        except Claimed:
            if time.monotonic() > until:
                return WAITED
            time.sleep(0.02)


def ended(pid: int, wait_s: float = 120.0) -> int | None:
    """Return how a process ended, None if it goes on for longer."""
    until = time.monotonic() + wait_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.005)


def break_it(work: Work, results: Path, chance: random.Random, lasts: float, counts: Counter[str]) -> list[str]:
    """Do a run under kills until it is done; returns what is wrong with that."""
    results.mkdir()
    hosts = (f"machine{k}" for k in range(1_000_000))
    wrong: list[str] = []
    pid = begin(work, results, next(hosts))
    while (code := ended(pid, chance.uniform(0, 0.7 * lasts))) is None:
        number = chance.choice(SIGNALS)
        os.kill(pid, number)
        if number == signal.SIGSTOP:
            asleep, pid = pid, _taken_over(work, results, next(hosts))
            time.sleep(chance.uniform(0, 0.3 * lasts))
            os.kill(asleep, signal.SIGCONT)
            woke = ended(asleep)
            if woke not in (DONE, TAKEN, WAITED):
                wrong.append(f"{work.name}: whoever woke ended with {woke}")
            counts["taken over"] += woke == TAKEN
        else:
            left = ended(pid)
            if left not in (DONE, STOPPED, -signal.SIGKILL, -number):
                wrong.append(f"{work.name}: {signal.Signals(number).name} ended it with {left}")
            if left == DONE:
                return wrong
            pid = begin(work, results, next(hosts))
        counts[f"{work.name} {signal.Signals(number).name}"] += 1
    if code != DONE:
        wrong.append(f"{work.name}: ended with {code}")
    return wrong + [path.read_text() for path in results.glob("wrong-*.txt")]


def _taken_over(work: Work, results: Path, host: str) -> int:
    """Begin another worker, and wait until it holds the run or has found it done; returns its number."""
    time.sleep(1.5 * PATIENCE_S)
    pid, folder = begin(work, results, host), work.spec.folder(results)
    until = time.monotonic() + 60
    while time.monotonic() < until and not (folder.path / folder.file).exists():
        held = holder(folder.path)
        if held is not None and held.worker is not None and held.worker.host == host:
            break
        time.sleep(0.01)
    return pid


def runs(place: Path, kinds: tuple[str, ...], number: int, say: Callable[[str], None] = lambda _: None) -> tuple[Counter[str], int, list[str]]:
    """Kill runs of each kind at least `number` times. Returns kills by kind and signal, how many runs were compared, and what was wrong."""
    torch.set_num_threads(1)
    (conf := place / "mine" / "sequence").mkdir(parents=True)
    (conf / "two.yaml").write_text("defaults:\n  - /task@tasks.stack: stack\n  - /task@tasks.pick_can: pick_can\n")
    shrink(setattr)
    checkpoint._SHARE, lock.SILENT_S, lock.BEAT_S = float("inf"), PATIENCE_S, 0.05
    counts, compared, wrong = Counter[str](), 0, list[str]()
    for name in kinds:
        work, chance = Work.of(name, conf.parent), random.Random(name)
        began = time.monotonic()
        (place / name).mkdir()
        assert ended(begin(work, place / name, "whole")) == DONE, list(place.glob("*/wrong*"))
        lasts, whole, turn = time.monotonic() - began, work.found(place / name), 0
        while sum(counts[key] for key in counts if key.startswith(f"{name} ")) < number:
            turn += 1
            wrong += break_it(work, results := place / f"{name}-{turn}", chance, lasts, counts)
            compared += 1
            if work.found(results) != whole:
                wrong.append(f"{name}: another result in turn {turn}")
            else:
                shutil.rmtree(results)
        say(f"{name}: {turn} runs, {dict(counts)}, {wrong}")
    return counts, compared, wrong


def sweeps(place: Path, number: int, say: Callable[[str], None] = lambda _: None) -> tuple[Counter[str], int, list[str]]:
    """Kill sweeps on joblib's workers, master and workers together, at least `number` processes in all."""
    settings = ["-m", "task=pick_place,stack", "method=sft", *TINY, *TINY_METHOD["sft"], "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    chance, counts, compared, wrong = random.Random(0), Counter[str](), 0, list[str]()

    def master(results: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "razorbench", *settings, f"results={results}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def came_to(results: Path) -> dict[str, object]:
        return {str(path.parent.relative_to(results)): found(path.parent) for path in results.rglob("record.json")}

    began = time.monotonic()
    assert master(place / "sweep").wait() == 0
    lasts, whole = time.monotonic() - began, came_to(place / "sweep")
    while counts.total() < number:
        results = place / f"sweep-{compared}"
        while True:
            program = master(results)
            try:
                code = program.wait(chance.uniform(0.2 * lasts, 0.9 * lasts))
                break
            except subprocess.TimeoutExpired:
                signal_ = chance.choice(SIGNALS[:3])
                workers = [int(json.loads(path.read_text())["worker"]["pid"]) for path in results.rglob("claim-*/*") if "-" not in path.name]
                for pid in {program.pid, *workers}:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal_)
                        counts[f"joblib {signal_.name}"] += 1
                if program.wait() == 0:
                    code = 0
                    break
        compared += 1
        if code != 0 or came_to(results) != whole:
            wrong.append(f"joblib: another result in turn {compared}, exit code {code}")
        say(f"joblib: {dict(counts)}, {wrong}")
    return counts, compared, wrong


if __name__ == "__main__":
    here, wanted = Path(sys.argv[1]).absolute(), int(sys.argv[2])
    here.mkdir(parents=True)
    share = -(-wanted // (len(KINDS) + 1))
    one, another = runs(here, KINDS, share, print), sweeps(here, share, print)
    print(json.dumps({"kills": (one[0] + another[0]), "runs compared": one[1] + another[1], "wrong": one[2] + another[2]}, indent=1))
    sys.exit(1 if one[2] + another[2] else 0)
