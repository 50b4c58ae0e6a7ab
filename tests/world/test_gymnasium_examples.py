"""The examples in `examples/worlds`, each in a Python of its own, which an environment variable names; without it they are skipped."""

import os
import shutil
import subprocess

import pytest
from conftest import ROOT, TINY_METHOD
from test_gymnasium_runs import killed, record, same, typed

from razorbench.registry import config
from razorbench.world import promises

WORLDS = {
    "fetch": ("FETCH_PYTHON", "fetch_pick_place", "fetch_push"),
    "pusht": ("PUSHT_PYTHON", "pusht_near", "pusht"),
    "metaworld_class": ("METAWORLD_PYTHON", "class_reach", "class_push"),
}
SMALL = ["eval.snapshots=3", "eval.episodes=8", "eval.skill_episodes=4", "budget.env_steps=6400"]


@pytest.fixture(scope="module", params=WORLDS)
def example(request, tmp_path_factory):
    """A copy of the examples, and the names of a base, a skill and a task of one world."""
    variable, skill, task = WORLDS[request.param]
    if not os.environ.get(variable):
        pytest.skip(f"{variable} is not set: see docs/worlds for how to make the Python that it names")
    folder = shutil.copytree(ROOT / "examples" / "worlds", tmp_path_factory.mktemp(request.param) / "worlds")
    return folder, os.environ[variable], request.param, skill, task


def test_promises_hold(example, monkeypatch):
    folder, _, _, skill, task = example
    monkeypatch.chdir(folder)
    with config.registry("conf") as registry:
        for name in (skill, task):
            assert list(promises.broken(registry.task_or_skill(name))) == []


@pytest.mark.slow
def test_a_killed_run_ends_as_an_unbroken_one(example):
    folder, python, base, skill, task = example
    subprocess.run([python, "record.py", skill, f"{skill}.npz"], cwd=folder, check=True, capture_output=True)
    assert typed(folder, "demos", skill, "--from", f"{skill}.npz", "--out", f"{skill}.safetensors")[0] == 0
    assert "written to" in typed(folder, "pretrain", f"base={base}")[1]
    words = [f"task={task}", "method=ppo", f"base={base}", *SMALL, *TINY_METHOD["ppo"]]
    killed(folder, [*words, "results=broken"])
    for results in ("broken", "whole"):
        assert typed(folder, *words, f"results={results}")[::2] == (0, "")
    assert same(record(folder, "broken"), record(folder, "whole"))
