"""Runs that are killed, between any two writes and at any moment, end with the record of a run that was not."""

import importlib
import random
import signal
import subprocess
import sys
import time
from itertools import count

import numpy as np
import pytest
import torch
from conftest import METHODS, TINY, TINY_METHOD, compose, task
from hypothesis import given
from hypothesis import strategies as st

from razorbench.baselines.sft import SFT
from razorbench.errors import FileDamaged
from razorbench.registry import config
from razorbench.runs.run import Outcome, run
from razorbench.runs.sequence import run_sequence
from razorbench.store import checkpoint, provenance
from razorbench.store import folder as store
from razorbench.store.checkpoint import read_state, write_state
from razorbench.store.reading import read_run
from razorbench.world.stepper import Stepper

pytestmark = pytest.mark.usefixtures("few_states")

TIMES = ("wall_s", "measuring_s")
QUICK = ("dagger", "frozen", "ppo", "self_distill", "sft_oracle")
"""Methods that between them use every way to keep state; the others are for the slow tests."""


class PowerCut(BaseException):
    """Nothing catches it."""


@pytest.fixture
def always_due(monkeypatch):
    """Checkpoints after every update."""
    monkeypatch.setattr(checkpoint, "_SHARE", float("inf"))


@pytest.fixture
def power(monkeypatch):
    """power(n, after): the n-th write from now on is the last, its file moved into place (`after`) or not."""
    left, then, replace = [10**9], [False], store.os.replace

    def replace_or_fail(source, target):
        left[0] -= 1
        if left[0] or then[0]:
            replace(source, target)
        if not left[0]:
            raise PowerCut

    monkeypatch.setattr(store.os, "replace", replace_or_fail)

    def cut(writes, after):
        left[0], then[0] = writes, after

    return cut


def same(one, other):
    """Both folders hold the same results, apart from times."""
    for file in ("policy.safetensors", "episodes.csv.gz", "curve.jsonl"):
        assert (one.path / file).read_bytes() == (other.path / file).read_bytes(), file
    a, b = ({key: value for key, value in outcome.record.plain().items() if key not in TIMES} for outcome in (one, other))
    assert a == b


def until_done(work, cut, generator, between=(3, 12)):
    """Do the work again and again, with the power failing ever again; returns what it returns, and how often that was."""
    for cuts in count():
        assert cuts < 200
        cut(generator.randint(*between), generator.random() < 0.5)
        try:
            return work(), cuts
        except PowerCut:
            continue


@pytest.mark.parametrize("method", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in METHODS])
def test_power_cuts_between_writes_change_nothing(method, tmp_path, power, always_due):
    def work(place):
        spec, plain = compose("task=pick_place", f"method={method}", f"results={tmp_path / place}", *TINY, *TINY_METHOD[method])
        return run(spec, tmp_path / place, plain, threads=1)

    whole = work("whole")
    broken, cuts = until_done(lambda: work("broken"), power, random.Random(method), (1, 6) if method == "frozen" else (3, 12))
    assert cuts
    same(whole, broken)
    assert not [path.name for path in broken.path.iterdir() if path.name in ("state", ".unfinished")]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_kills_at_any_moment_change_nothing(method, tmp_path):
    """SIGKILL to the real program, up to twice in a run: with 21 methods some 40 kills."""
    settings = [*TINY, *TINY_METHOD[method], "eval.snapshots=6"]

    def begin(place):
        command = [sys.executable, "-m", "razorbench", "task=pick_place", f"method={method}", f"results={tmp_path / place}", *settings]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def wait_for_log(program, place, size):
        while program.poll() is None and not sum(path.stat().st_size for path in (tmp_path / place).rglob("log.txt")) > size:
            time.sleep(0.01)
        return time.perf_counter()

    program = begin("whole")
    began = wait_for_log(program, "whole", 0)
    said = program.communicate()[0]
    assert program.returncode == 0, said
    lasted = time.perf_counter() - began
    generator, kills = random.Random(method), 0
    for _ in range(2):
        size = sum(path.stat().st_size for path in (tmp_path / "broken").rglob("log.txt"))
        program = begin("broken")
        wait_for_log(program, "broken", size)
        time.sleep(generator.uniform(0, 0.6 * lasted))
        program.kill()
        kills += program.wait() == -signal.SIGKILL
        program.communicate()
    assert kills
    program = begin("broken")
    said = program.communicate()[0]
    assert program.returncode == 0, said
    spec, _ = compose("task=pick_place", f"method={method}", *settings)
    whole, broken = (
        Outcome(folder.path, read_run(folder.path / folder.file), [], True) for folder in (spec.folder(tmp_path / place) for place in ("whole", "broken"))
    )
    same(whole, broken)


def test_power_cuts_change_nothing_in_a_sequence(tmp_path, power, always_due):
    (mine := tmp_path / "mine" / "sequence").mkdir(parents=True)
    (mine / "two.yaml").write_text("defaults:\n  - /task@tasks.stack: stack\n  - /task@tasks.pick_can: pick_can\n")

    def work(place):
        with config.registry(str(mine.parent)) as registry:
            composed = registry.compose(["sequence=two", "method=sft", *TINY, *TINY_METHOD["sft"]])
            return run_sequence(config.spec(composed, composed.hydra.runtime.choices), tmp_path / place, config.plain_config(composed), threads=1)

    whole = work("whole")
    broken, cuts = until_done(lambda: work("broken"), power, random.Random(0))
    assert cuts
    same(whole, broken)


def test_environments_go_on_in_the_middle_of_episodes(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("carry_weak", "stack"):
        one, other = (Stepper(task(name), 6, remember=True) for _ in range(2))
        one.reset(np.arange(6))
        actions = generator.uniform(-1, 1, size=(75, 6, 4)).astype(np.float32)
        for each in actions[:65]:
            one.step(each)
        write_state(one.state_dict(), path := tmp_path / "state", "me")
        other.load_state_dict(read_state(path, "me"))
        assert np.array_equal(one.observation, other.observation)
        assert one.length.max() > 0
        for each in actions[65:]:
            a, b = one.step(each), other.step(each)
            assert all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("observation", "final_observation", "reward", "truncated"))


def test_state_files_hold_what_they_were_given(tmp_path):
    generator = np.random.default_rng(3)
    shared = torch.arange(6.0)
    state = {
        "policy": {"weight": shared, "again": shared[2:]},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"betas": (0.9, 0.999), "lr": 1e-4, "amsgrad": False}]},
        "rng": generator.bit_generator.state,
        "numpy": np.random.get_state(legacy=False),
        "nothing": None,
        "odd": [float("inf"), np.float32(0.5), np.int64(2), [], (), {}],
        "flags": np.array([True, False]),
        "turned": torch.arange(6.0).reshape(2, 3).T,
    }
    write_state(state, tmp_path / "state", "me")
    found = read_state(tmp_path / "state", "me")
    assert found["policy"]["again"].tolist() == [2.0, 3.0, 4.0, 5.0]
    assert found["optimizer"]["state"][0]["step"] == 3.0
    assert found["optimizer"]["param_groups"] == [{"betas": (0.9, 0.999), "lr": 1e-4, "amsgrad": False}]
    assert found["odd"] == [float("inf"), 0.5, 2, [], (), {}]
    assert found["nothing"] is None
    assert found["flags"].dtype == bool
    assert found["turned"].stride() == state["turned"].stride()
    assert torch.equal(found["turned"], state["turned"])
    wanted = generator.normal(size=5)
    other = np.random.default_rng(0)
    other.bit_generator.state = found["rng"]
    assert np.array_equal(other.normal(size=5), wanted)
    with pytest.raises(TypeError, match="cannot hold set"):
        write_state({"set": {1}}, tmp_path / "other", "me")


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
trees = st.recursive(
    scalars, lambda node: st.lists(node, max_size=3) | st.tuples(node, node) | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), node, max_size=3)
)


@given(trees)
def test_any_plain_state_is_read_back(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("state") / "state"
    write_state(tree, path, "me")
    assert read_state(path, "me") == tree


@given(st.integers(0, 400))
def test_no_cut_of_a_state_is_taken_for_a_whole_one(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "state"
    write_state({"a": torch.arange(20.0), "b": [1, 2]}, path, "me")
    whole = path.read_bytes()
    path.write_bytes(whole[: max(0, len(whole) - 1 - cut)])
    with pytest.raises(FileDamaged, match="damaged or cut short"):
        read_state(path, "me")


def broken_run(tmp_path, power, writes, threads=1):
    """A run of sft that the power failed in; returns how to do it again."""

    def work(threads=threads):
        spec, plain = compose("task=pick_place", "method=sft", f"results={tmp_path}", *TINY, *TINY_METHOD["sft"])
        return run(spec, tmp_path, plain, threads=threads)

    power(writes, False)
    with pytest.raises(PowerCut):
        work()
    power(10**9, False)
    return work


def test_a_run_that_goes_on_elsewhere_says_so(tmp_path, power, always_due, monkeypatch):
    work = broken_run(tmp_path, power, 12)
    again = work(threads=2)
    assert "continues after update" in (again.path / "log.txt").read_text()
    assert [machine["threads"] for machine in again.record.resumed_elsewhere] == [1]
    assert again.record.threads == 2


def test_the_code_of_a_method_is_that_of_its_file_and_of_those_it_builds_on(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("from razorbench.baselines.sft import SFT\n\n\nclass Mine(SFT):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("mine").Mine()
    before = provenance.code(mine)
    assert before == provenance.code(mine)
    assert before != provenance.code(SFT())
    (tmp_path / "mine.py").write_text("from razorbench.baselines.sft import SFT\n\n\nclass Mine(SFT):\n    strength = 3\n")
    assert before != provenance.code(mine)


@pytest.mark.parametrize("damage", ["versions", "method", "state", "curve", "episodes"])
def test_what_cannot_be_trusted_is_begun_anew(damage, tmp_path, power, always_due, monkeypatch):
    work = broken_run(tmp_path, power, 14)
    folder = next(tmp_path.glob("*/sft/seed0-*"))
    if damage == "versions":
        monkeypatch.setattr(provenance, "versions", lambda: {"torch": "0.1"})
    elif damage == "method":
        monkeypatch.setattr(provenance, "code", lambda method, code=provenance.code: {**code(method), "method": "edited"})
    else:
        path = {"state": next(folder.glob("state/*")), "curve": folder / "curve.jsonl", "episodes": folder / "episodes.csv.gz"}[damage]
        path.write_bytes(path.read_bytes()[:-30])
    again = work()
    log = (folder / "log.txt").read_text()
    assert "the run starts again" in log
    assert again.record.resumed_elsewhere == []
    assert again.record.new_task.final.greedy.episodes == 4
