"""Whole sweeps through the command line: what is done is found, what fails is tried again, what many workers share is done once."""

import errno
import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import FROZEN, TINY, razorbench

from razorbench.registry import config, launching
from razorbench.store import folder as store
from razorbench.store import lock
from razorbench.store.walk import read_records

pytestmark = pytest.mark.usefixtures("few_states")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def kinds(results="results"):
    """Records by folder, without times and threads."""
    apart = ("wall_s", "measuring_s", "threads")
    folders = {path.parent.relative_to(results): json.loads(path.read_text()) for path in Path(results).rglob("record.json")}
    return {str(folder): {key: value for key, value in record.items() if key not in apart} for folder, record in folders.items()}


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
    monkeypatch.setattr(launching, "launch", lambda job, todo, place: launched.append(todo))
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
    log = next(Path("results/stack").rglob("seed1-*/log.txt")).read_text()
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
    assert "runs resume where they stopped" in re.sub(r"\s+", " ", out)
    assert "Traceback" not in out + err
    code, out, _ = razorbench(capsys, "task=stack", "method=sft", *TINY, "method.epochs=2")
    assert code == 0
    log = next(Path("results").rglob("log.txt")).read_text()
    assert "continues after update 2 of 2" in log


def test_a_run_of_a_stranger_is_waited_for_and_taken_over(capsys, monkeypatch):
    monkeypatch.setattr(lock, "SILENT_S", 3.0)
    with config.registry() as registry:
        (one,) = registry.asked(["task=stack", "method=frozen", *TINY], False)
    one.folder.path.mkdir(parents=True)
    stranger = {"worker": {**vars(lock._here()), "host": "elsewhere"}, "progress": {}}
    (one.folder.path / "claim-1").mkdir()
    (one.folder.path / "claim-1" / "token").write_text(json.dumps(stranger))
    code, out, _ = razorbench(capsys, "task=stack", "method=frozen", *TINY)
    assert code == 0
    assert "waiting for other workers: they do 1 of the runs" in out
    assert re.search(r"takes over seed0-\w+ from process \d+ on elsewhere, first seen \d+ s ago", out)
    assert not list(one.folder.path.glob("claim-*"))


@pytest.mark.slow
@pytest.mark.timed
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


@pytest.mark.parametrize("name", ["ladder", "more_seeds", "razor_core", "razor_full", "scale", "sequences", "tokens"])
def test_experiments_are_runs_that_exist(name):
    with config.registry() as registry:
        assert name in registry.names("experiment")
        asked = registry.asked([f"+experiment={name}", "seed=0"], True)
    assert len(asked) == len({one.folder.path for one in asked})
    assert not [one for one in asked if "demos=every" in one.overrides]
    if name == "razor_core":
        arms = {(one.spec.task.name, one.spec.method_name, one.spec.base.id, one.spec.style) for one in asked}
        assert {("pick_place", "sft", "mlp-s0", "direct"), ("pick_place", "sft", "mlp-s0", "detour")} <= arms


@pytest.mark.parametrize("name", ["ladder", "scale", "sequences"])
def test_overrides_take_the_place_of_an_experiments_own(name):
    with config.registry() as registry:
        asked, again = (registry.asked([f"+experiment={name}", "seed=0", f"budget={budget}"], True) for budget in ("standard", "quick"))
    assert len(asked) == len(again) == len({one.folder.path for one in asked + again}) / 2


def test_experiments_of_ones_own(capsys):
    (mine := Path("mine/experiment")).mkdir(parents=True)
    (mine / "two.yaml").write_text("sweeps:\n  - task=stack method=frozen seed=0,1\n  - task=pick_place method=frozen\n")
    code, out, _ = razorbench(capsys, "-m", "+experiment=two", "--config-dir", "mine", "seed=3", *TINY)
    assert code == 0
    assert "2 of 2 runs are done" in out
    code, _, err = razorbench(capsys, "+experiment=two", "--config-dir", "mine")
    assert code == 2
    assert "needs -m" in err


def begin(*words):
    """Start the program as from a terminal: a shell starts what it puts into the background deaf to SIGINT, these tests themselves, say."""
    command = [sys.executable, "-m", "razorbench", *words]
    deaf = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    finally:
        signal.signal(signal.SIGINT, deaf)


LONG = ["task=stack", "method=sft", *TINY, "eval.snapshots=12", "budget.demo_episodes=60", "budget.gradient_steps=20000", "method.epochs=20000"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_cleanly_and_says_how_to_go_on(number):
    program = begin(*LONG)
    while not list(Path("results").rglob("loop0.state")):
        assert program.poll() is None
        time.sleep(0.02)
    program.send_signal(number)
    said = program.communicate(timeout=30)[0]
    assert program.returncode == 1
    assert said.splitlines()[-1] == "stopped: 0 of 1 run is done; the same command continues from here"
    assert "Traceback" not in said
    folder = next(Path("results/stack/sft").iterdir())
    assert not list(folder.glob("claim-*"))
    assert "stopped; the same command continues from the last checkpoint" in (folder / "log.txt").read_text().splitlines()[-1]


def test_a_portion_of_a_sweep_ends_in_time():
    program = begin("-m", *LONG, "--hours", "0.002")
    said = program.communicate(timeout=60)[0]
    assert program.returncode == 0, said
    assert said.splitlines()[-1] == "time is up: 0 of 1 run is done; the same command continues from here"


WRONG = {
    "hours that are none": (["-m", "task=stack", "method=frozen", "--hours", "0"], "--hours 0.0: it must be a positive number of hours"),
    "hours in words": (["-m", "task=stack", "method=frozen", "--hours", "many"], "argument --hours: invalid float value: 'many'"),
    "an experiment that is none": (
        ["-m", "+experiment=razor"],
        "experiment=razor: no such experiment (did you mean razor_full?); there are ladder",
    ),
    "a tracker that is none": (["task=stack", "method=frozen", "track=paper", *TINY], "track=paper: no such tracker; there are tensorboard, wandb"),
    "a search on TEST": (["-m", "hydra/sweeper=optuna", "task=stack", "method=sft"], "needs -m and eval.split=select"),
    "params of Hydra's own sweeper": (["-m", "task=stack", "method=frozen", "+experiment=params", "--config-dir", "mine"], "but RazorBench ignores it"),
    "every style of a sequence": (["-m", "sequence=core6", "method=sft", "demos=every"], "demos=every with a sequence"),
    "every style without -m": (["task=stack", "method=sft", "demos=every"], "every style is several runs and needs -m"),
    "an unknown launcher": (
        ["-m", "task=stack", "method=frozen", "hydra/launcher=cloud"],
        "hydra/launcher=cloud: no such hydra/launcher; there are basic",
    ),
    "more skill episodes than episodes": (["task=stack", "method=sft", "eval.episodes=10"], "eval.skill_episodes is 25, above eval.episodes=10"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_one_sentence(case, capsys):
    words, sentence = WRONG[case]
    (mine := Path("mine/experiment")).mkdir(parents=True)
    (mine / "params.yaml").write_text("# @package _global_\nhydra:\n  sweeper:\n    params:\n      seed: 0,1\n")
    code, out, err = razorbench(capsys, *words)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err + out
    assert len(err.strip().splitlines()) == 1


def test_metrics_go_to_tensorboard_where_it_is(capsys):
    pytest.importorskip("tensorboard")
    assert razorbench(capsys, "task=stack", "method=sft", *TINY, "method.epochs=2", "track=tensorboard")[0] == 0
    (event,) = Path("results").rglob("*tfevents*")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(event.parent))
    found.Reload()
    assert {"loss", "success on SELECT", "used/gradient_steps"} <= set(found.Tags()["scalars"])
    assert [each.step for each in found.Scalars("loss")] == [1, 2]
    record = json.loads(next(Path("results").rglob("record.json")).read_text())
    assert "track" not in record["config"]
