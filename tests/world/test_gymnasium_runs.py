"""Runs on Gymnasium environments from yaml files alone: a base from demonstration files, records, kills and wrong use."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_envs
from conftest import TINY_METHOD

HERE = Path(__file__).parent
SMALL = ["budget.env_steps=1920", "budget.demo_episodes=20", "budget.gradient_steps=200", "eval.snapshots=2", "eval.episodes=8", "eval.skill_episodes=4"]
FILES = {
    "world/tiny": "_target_: razorbench.envs.gymnasium_world.GymnasiumWorld\nversion: tiny-1\nobservation_size: 4\naction_size: 2\nmodules: [tiny_envs]\n",
    "world/loose": "defaults: [tiny, _self_]\nversion: loose-1\npromises: [seeded]\n",
    **{
        f"base/{name}": f"defaults:\n  - /skill@skills.{skill}: {skill}\n  - _self_\n_target_: razorbench.bases.base.Recipe\nname: {name}\n"
        "head: gaussian\nsize: small\nepisodes: 0\nshares: {}\neasy: {}\nepochs: 40\nbatch_size: 32\nlearning_rate: 1.0e-3\ndirectory: results/policies\n"
        f"demos: {{{skill}: {skill}.safetensors}}\n"
        for name, skill in (("tiny", "left"), ("loose", "loose_left"))
    },
}


def task(world, name, side, **arguments):
    settings = json.dumps({"side": side, **arguments})
    return (
        f"defaults: [{{/world@world: {world}}}, _self_]\n_target_: razorbench.envs.gymnasium_world.make\n"
        f"id: {name}-v1\nenv: Tiny/Point-v0\nhorizon: 30\narguments: {settings}\n"
    )


def typed(folder, *words):
    done = subprocess.run([sys.executable, "-m", "razorbench", *words, "--config-dir", "conf"], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def demonstrated(path, side):
    """Write episodes that go straight to their places, without RazorBench, as a person would from elsewhere."""
    env, rng = tiny_envs.Point(side=side), np.random.default_rng(0)
    rows = []
    for episode in range(60):
        observation, _ = env.reset(seed=episode)
        for _ in range(30):
            action = np.clip(20 * (observation[2:] - observation[:2]) + 0.2 * rng.normal(size=2), -1, 1)
            rows.append((observation, action, episode))
            observation, _, terminated, *_ = env.step((5 * action).astype(np.float32))
            if terminated:
                break
    observations, actions, episode = map(np.array, zip(*rows, strict=True))
    np.savez(path, observations=observations, actions=actions, episode=episode)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A user's folder with environments, yaml files, and two bases made from demonstrations."""
    place = tmp_path_factory.mktemp("tiny")
    shutil.copy(HERE / "tiny_envs.py", place)
    tasks = {"skill/left": task("tiny", "left", -1.0), "task/right": task("tiny", "right", 1.0)}
    loose = {"skill/loose_left": task("loose", "loose_left", -1.0), "task/loose_right": task("loose", "loose_right", 1.0)}
    for name, text in {**FILES, **tasks, **loose}.items():
        (path := place / "conf" / f"{name}.yaml").parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    demonstrated(place / "left.npz", -1.0)
    for skill in ("left", "loose_left"):
        assert typed(place, "demos", skill, "--from", "left.npz", "--out", f"{skill}.safetensors")[0] == 0
    for base in ("tiny", "loose"):
        _, out, err = typed(place, "pretrain", f"base={base}")
        assert (err, "left" in out) == ("", True), out + err
    (place / "conf" / "task" / "dies.yaml").write_text(task("tiny", "dies", 1.0, fault="dies"))
    return place


def record(folder, results="results"):
    (path,) = (folder / results).rglob("record.json")
    return json.loads(path.read_text())


def run(folder, name, *words):
    return typed(folder, f"task={name}", "method=ppo", "base=tiny", *SMALL, *TINY_METHOD["ppo"], *words)


def test_ppo_runs_from_a_base_that_was_made_from_files(folder):
    code, out, err = run(folder, "right", "results=ppo", "task.world.python=" + sys.executable, "task.world.patience=100")
    assert (code, err) == (0, ""), out + err
    made = record(folder, "ppo")
    assert (made["world"], made["promises"], made["method"]["demos"]) == ("tiny-1", ["seeded", "alone_equal", "resumable"], "none")
    assert made["original"]["left"]["base"]["greedy"]["rate"] > 0.8
    assert set(made["versions"]) >= {"world.python", "world.gymnasium", "world.numpy", "torch"}
    assert made["budget"]["uncounted"] == {}
    assert str(sys.executable) not in json.dumps(made)
    assert str(folder) not in json.dumps(made)
    assert set(made["config"]["task"]["world"]) & {"python", "patience", "processes", "width"} == set()
    assert "world" in made["config"]["base"]["skills"]["left"]


def test_demonstrations_of_another_environment_are_refused(folder):
    demonstrated(folder / "right.npz", 1.0)
    assert typed(folder, "demos", "right", "--from", "right.npz", "--out", "right.safetensors")[0] == 0
    words = ["task=right", "method=sft", "base=tiny", *SMALL, *TINY_METHOD["sft"]]
    assert typed(folder, *words, "demos=right.safetensors", "results=sft")[0] == 0
    code, _, err = typed(folder, *words, "demos=left.safetensors", "results=none")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "it holds demonstrations of left-v1, the run is of right-v1" in err
    assert not (folder / "none").exists()


@pytest.mark.parametrize("wrong", ["absent", "no array", "cut short", "shapes", "outside"])
def test_arrays_that_fit_no_task_are_refused(folder, wrong):
    if wrong == "no array":
        (folder / "wrong.npz").write_text("hello")
    elif wrong != "absent":
        size = 3 if wrong == "shapes" else 4
        np.savez(folder / "wrong.npz", observations=np.zeros((5, size)), actions=np.full((5, 2), 1.5), episode=np.zeros(5, dtype=int))
        if wrong == "cut short":
            whole = (folder / "wrong.npz").read_bytes()
            (folder / "wrong.npz").write_bytes(whole.replace(b"\x93NUMPY", b"\x93NUMPX", 1))
    else:
        (folder / "wrong.npz").unlink(missing_ok=True)
    code, _, err = typed(folder, "demos", "right", "--from", "wrong.npz", "--out", "wrong.safetensors")
    assert (code, len(err.splitlines())) == (2, 1), err
    assert not (folder / "wrong.safetensors").exists()


def test_a_skill_needs_a_file_or_an_expert(folder):
    path = folder / "conf" / "base" / "odd.yaml"
    for demos, said in (("{}", "base=tiny: left has no scripted expert"), ("{lift: left.safetensors}", "base.demos names lift: no such skill of tiny")):
        path.write_text(FILES["base/tiny"].partition("demos:")[0] + f"demos: {demos}\n")
        code, _, err = typed(folder, "pretrain", "base=odd", "results=none")
        assert (code, len(err.splitlines())) == (2, 1), err
        assert said in err
    path.unlink()


def test_a_worker_that_dies_ends_a_run_with_one_sentence(folder):
    code, out, err = run(folder, "dies", "results=died")
    assert (code, err) == (1, "")
    assert "\n  tiny-1: a worker ended by itself, with code 7 (the motor burns): mend the environment, or start the run again\n" in out
    assert not list((folder / "died").rglob("record.json"))


def killed(folder, words, after=0.3):
    """Kill a run after its first checkpoint."""
    command = [sys.executable, "-m", "razorbench", *words, "--config-dir", "conf"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = folder / next(word for word in words if word.startswith("results=")).partition("=")[2]
    deadline = time.monotonic() + 120
    while not list(results.rglob("*.state")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(results.rglob("record.json")), "it was done before it could be killed"


def same(one, other):
    ways = ("wall_s", "measuring_s", "git", "resumed_elsewhere")
    return {key: value for key, value in one.items() if key not in ways} == {key: value for key, value in other.items() if key not in ways}


def test_a_killed_run_ends_as_an_unbroken_one(folder):
    words = [
        "task=right",
        "method=ppo",
        "base=tiny",
        *SMALL[3:],
        *TINY_METHOD["ppo"],
        "budget.env_steps=12800",
        "budget.gradient_steps=2000",
        "eval.snapshots=4",
    ]
    killed(folder, [*words, "results=broken"])
    assert typed(folder, *words, "results=broken")[::2] == (0, "")
    assert "continues after update" in next((folder / "broken").rglob("log.txt")).read_text()
    assert typed(folder, *words, "results=whole")[::2] == (0, "")
    assert same(record(folder, "broken"), record(folder, "whole"))


def test_a_world_that_promises_less_gets_less(folder):
    words = ["task=loose_right", "method=ppo", "base=loose", *SMALL, *TINY_METHOD["ppo"], "results=loose"]
    assert typed(folder, *words)[::2] == (0, "")
    assert record(folder, "loose")["promises"] == ["seeded"]
    assert not list((folder / "loose").rglob("*.state"))
    assert typed(folder, "report", "loose", "--out", "page")[0] == 0
    page = (folder / "page" / "index.html").read_text()
    assert "World `loose-1` does not promise `resumable`: a run that was stopped started over." in page


def test_check_says_whether_promises_hold(folder):
    code, out, err = typed(folder, "check", "right")
    assert (code, out, err) == (0, "right-v1: conforms\n", "")
