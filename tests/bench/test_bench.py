"""Speed: what is measured adds up, and wrong use of `razorbench bench` ends in one sentence."""

import json
import sys
import time
from pathlib import Path

import performance_page
import pytest
from conftest import ROOT

from razorbench.bench import picture, rates, speed
from razorbench.bench.phases import Phases, Timed
from razorbench.commands import main
from razorbench.errors import UsageError
from razorbench.world import cores


class _Work:
    def outer(self):
        time.sleep(0.02)
        self.inner()

    def inner(self):
        time.sleep(0.03)


def test_each_second_counts_once_and_for_its_scope():
    phases, work = Phases(), _Work()
    began = time.perf_counter()
    with phases.timing([Timed(_Work, "outer", scope="job"), Timed(_Work, "inner", phase="deep")]):
        work.outer()
        work.inner()
    total = time.perf_counter() - began
    assert set(phases.seconds) == {("job", "rest"), ("job", "deep"), ("rest", "deep"), ("rest", "rest")}
    assert phases.seconds["job", "rest"] >= 0.02
    assert phases.seconds["job", "deep"] >= 0.03
    assert sum(phases.seconds.values()) == pytest.approx(total, abs=0.005)
    assert list(phases.of("job")) == ["deep", "rest"]
    assert _Work.outer.__name__ == "outer"
    assert not hasattr(_Work.outer, "__wrapped__")


def test_threads_follow_the_grant_and_the_variable(monkeypatch):
    for name in ("RAZORBENCH_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    assert cores.threads() == 8
    for name, grant, threads in (("SLURM_CPUS_PER_TASK", "6", 6), ("OMP_NUM_THREADS", "4", 4), ("OMP_NUM_THREADS", "16", 6), ("OMP_NUM_THREADS", "4,2", 6)):
        monkeypatch.setenv(name, grant)
        assert cores.threads() == threads
    monkeypatch.setenv("RAZORBENCH_THREADS", "3")
    assert cores.threads() == 3


def test_bench_measures_and_draws(tmp_path, capsys, monkeypatch):
    """The whole command on one small round: rates, a run taken apart, growth, tables, JSON and the picture."""
    for module, name, value in ((rates, "DECISIONS", 4), (rates, "PPO_ENV_STEPS", 960), (speed, "BATCHES", (1, 16)), (speed, "WIDTHS", (64,))):
        monkeypatch.setattr(module, name, value)
    small = ["method.num_envs=16", "method.n_steps=20", "method.batch_size=160", "method.n_epochs=1", "budget.env_steps=960", "eval.snapshots=1"]
    with pytest.raises(SystemExit) as done:
        main.main(["bench", *small, "eval.episodes=4", "eval.skill_episodes=2", "--num-envs", "16", "--rounds", "1", "--out", str(tmp_path)])
    out, _ = capsys.readouterr()
    assert done.value.code == 0
    for text in ("raw mujoco.rollout", "bare mujoco.batch", "engine for SB3", "ppo, update included", "training", "measuring", "peak memory"):
        assert text in out
    measured = json.loads((tmp_path / "bench.json").read_text())
    assert measured["rates"]["raw mujoco.rollout"]["over_raw"] == 1.0
    assert measured["rates"]["engine"]["engine_over_this"] == 1.0
    seconds = measured["run"]["seconds"]
    assert {"physics", "update", "policy", "critic"} <= set(seconds["training"])
    assert {"physics", "policy", "divergence"} <= set(seconds["measuring"])
    assert sum(sum(parts.values()) for parts in seconds.values()) == pytest.approx(measured["run"]["wall_s"], abs=0.3)
    assert [point["num_envs"] for point in measured["growth"]["batch"]] == [1, 16]
    assert (tmp_path / "bench.png").stat().st_size > 10_000
    picture.picture(measured, tmp_path / "again.png")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--rounds", "0"], "both must be 1 or more"),
        (["--num-envs", "-3"], "both must be 1 or more"),
        (["--peers", "nowhere/python"], "no such Python; install the peers with `python -m venv peers"),
        (["--peers"], "gymnasium_robotics, robosuite"),
        (["--out", "blocked/x"], "choose a writable folder with --out DIR"),
        (["method=nothing"], "there are dagger, ewc, frozen"),
        (["method=frozen"], "it takes no environment steps"),
    ],
)
def test_wrong_use(arguments, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("blocked").write_text("a file")
    with pytest.raises(SystemExit) as done:
        main.main(["bench", *arguments])
    _, err = capsys.readouterr()
    assert done.value.code == 2
    assert expected in err
    assert len([line for line in err.splitlines() if not line.endswith("...")]) == 1


@pytest.mark.parametrize("value", ["two", "0", "-1", "1.5"])
def test_odd_thread_counts_are_refused(monkeypatch, value):
    monkeypatch.setenv("RAZORBENCH_THREADS", value)
    with pytest.raises(UsageError, match=f"RAZORBENCH_THREADS is '{value}'"):
        cores.threads()


def test_a_python_with_everything_passes(monkeypatch):
    monkeypatch.setattr(speed.peers, "NEEDED", {"json": "json", "math": "math"})
    speed.check_peers(sys.executable)


@pytest.mark.pages
def test_the_performance_page_is_that_of_its_figures():
    docs = ROOT / "docs"
    if not docs.exists():
        pytest.skip("there is no checkout here")
    text = (docs / "performance.md").read_text(encoding="utf-8")
    measured = json.loads((docs / "performance.json").read_text(encoding="utf-8"))
    assert performance_page.render(text, measured) == text, "run docs/make/performance_page.py"
