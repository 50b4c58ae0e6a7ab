"""Whole sweeps through the command line: what is done is found, what fails is tried again, what many workers share is done once."""

import errno
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY

from razorbench import claim, config, store
from razorbench.cli import main
from razorbench.store import read_records

FROZEN = ["-m", "task=pick_place,stack", "method=frozen", *TINY]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def razorbench(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    out, err = capsys.readouterr()
    return exit_.value.code, out, err


def kinds(results="results"):
    """Records without times, by folder."""
    folders = Path(results).rglob("record.json")
    return {
        str(path.parent.relative_to(results)): {k: v for k, v in json.loads(path.read_text()).items() if k not in ("wall_s", "measuring_s")} for path in folders
    }


EQUAL = [
    ["task=pick_place", "method=ppo"],
    ["-m", "task=core", "method=ppo,sft", "seed=0,1"],
    ["-m", "task=stack,lift_heavy", "method=sft_rl", "method.upstream.learning_rate=1e-4,3e-5", "budget=quick"],
    ["-m", "task=stack", "method=sft_rl", "method@method.upstream=ppo,grpo", "seed=3"],
    ["-m", "task=pick_place", "method=sft", "demos=direct,detour", "eval.snapshots=3,5", "base=mlp,tokens", "results=there"],
    ["-m", "sequence=core6,core6_mixed", "method=sft", "seed=0,4", "budget.demo_episodes=7"],
    ["-m", "task=stack", "task.instruction=own,shared", "log_std=frozen,trained", "method=ewc"],
]


@pytest.mark.parametrize("words", EQUAL, ids=" ".join)
def test_runs_composed_from_parts_are_those_that_hydra_composes(words):
    multirun, overrides = words[0] == "-m", [word for word in words if word != "-m"]
    with config.registry() as registry:
        asked = registry.asked(overrides, multirun)
        for one in asked:
            composed = registry.compose(one.overrides)
            whole = config.spec(composed, composed.hydra.runtime.choices)
            assert whole.folder(config.results_of(composed)).path == one.folder.path
    assert len({one.folder.path for one in asked}) == len(asked)


def test_what_is_done_is_not_even_handed_out(capsys, monkeypatch):
    assert razorbench(capsys, *FROZEN)[0] == 0
    launched = []
    monkeypatch.setattr(config, "launch", lambda job, todo, place: launched.append(todo))
    code, out, _ = razorbench(capsys, *FROZEN)
    assert (code, launched) == (0, [])
    assert "2 of 2 runs are done; nothing was run again." in out


def test_a_run_that_fails_is_tried_once_more_and_then_listed(capsys, monkeypatch):
    monkeypatch.setattr("razorbench.baselines.frozen.Frozen.adapt", fail := Failing(1))
    code, out, _ = razorbench(capsys, *FROZEN)
    assert code == 0
    assert fail.calls == 3
    assert "2 of 2 runs are done." in out
    monkeypatch.setattr("razorbench.baselines.frozen.Frozen.adapt", fail := Failing(99))
    code, out, _ = razorbench(capsys, *FROZEN, "seed=1")
    assert code == 1
    assert fail.calls == 4
    assert "0 of 2 runs are done." in out
    assert "failed: task=stack method=frozen" in out
    assert "unexpected ValueError: the cat sat on it" in out
    log = next(Path("results/stack").rglob("log.txt")).read_text()
    assert "Traceback" in log


class Failing:
    """An `adapt` that fails a number of times."""

    def __init__(self, times):
        self.times, self.calls = times, 0

    def __get__(self, method, owner):
        return self

    def __call__(self, base, task, budget, rng):
        self.calls += 1
        if self.calls <= self.times:
            raise ValueError("the cat sat on it")
        return base


def test_a_damaged_record_stops_its_own_run_only(capsys):
    assert razorbench(capsys, *FROZEN)[0] == 0
    path = next(Path("results/stack").rglob("record.json"))
    path.write_text(half := path.read_text()[:100])
    code, out, _ = razorbench(capsys, *FROZEN, "seed=0,1")
    assert code == 1
    assert "3 of 4 runs are done, 2 of them before." in out
    assert "is damaged or cut short; delete its folder and run again" in out
    assert path.read_text() == half


def test_a_full_disk_is_a_sentence_and_what_there_is_goes_on(capsys, monkeypatch):
    sync = store._sync

    def full(path):
        if path.name.endswith("policy.safetensors"):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(path)

    with monkeypatch.context() as patched:
        patched.setattr(store, "_sync", full)
        code, out, err = razorbench(capsys, "task=stack", "method=sft", *TINY, "method.epochs=2")
    assert code == 1
    assert "no space left on the disk of results/stack/sft/seed0-" in re.sub(r"\s+", " ", out)
    assert "it goes on where it was" in out
    assert "Traceback" not in out + err
    code, out, _ = razorbench(capsys, "task=stack", "method=sft", *TINY, "method.epochs=2")
    assert code == 0
    log = next(Path("results").rglob("log.txt")).read_text()
    assert "continues after update 2 of 2" in log


def test_a_run_of_a_stranger_is_waited_for_and_taken_over(capsys, monkeypatch):
    monkeypatch.setattr(claim, "SILENT_S", 3.0)
    with config.registry() as registry:
        (one,) = registry.asked(["task=stack", "method=frozen", *TINY], False)
    one.folder.path.mkdir(parents=True)
    stranger = {"worker": {**vars(claim._here()), "host": "elsewhere"}, "progress": {}}
    (one.folder.path / "claim-1").write_text(json.dumps(stranger))
    code, out, _ = razorbench(capsys, "task=stack", "method=frozen", *TINY)
    assert code == 0
    assert "waiting for other workers: 1 of the runs are theirs" in out
    assert "takes over from process" in (one.folder.path / "log.txt").read_text()
    assert not list(one.folder.path.glob("claim-*"))


@pytest.mark.slow
def test_eight_workers_with_random_kills_do_each_run_once():
    command = [sys.executable, "-m", "razorbench", "-m", "task=pick_place,stack", "method=sft,lwf", "seed=0,1,2", *TINY, "eval.snapshots=6"]
    generator = random.Random(0)

    def begin():
        return subprocess.Popen([*command, "results=shared"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    workers, kills, deadline = [begin() for _ in range(8)], 0, time.monotonic() + 400
    while any(worker.poll() is None for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(generator.uniform(0.5, 2.0))
        alive = [k for k, worker in enumerate(workers) if worker.poll() is None]
        if kills < 16 and alive:
            victim = generator.choice(alive)
            workers[victim].kill()
            workers[victim].wait()
            workers[victim], kills = begin(), kills + 1
    assert kills == 16
    assert [worker.returncode for worker in workers] == [0] * 8
    logs = [path.read_text() for path in Path("shared").rglob("log.txt")]
    assert len(logs) == 12
    assert all(log.count(" done in ") == 1 for log in logs)
    subprocess.run([*command, "results=alone"], check=True, capture_output=True)
    assert kinds("shared") == kinds("alone")
    assert len(read_records(Path("shared"))) == 12
