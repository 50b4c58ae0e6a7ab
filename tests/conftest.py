"""Shared by all tests: everything registered, built once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small import shrink

from razorbench.bases.base import Base, load
from razorbench.commands import main
from razorbench.registry import config
from razorbench.runs.spec import RunSpec
from razorbench.task import Task
from razorbench.world import cores, golden

ROOT = Path(__file__).parents[1]
_CONF = ROOT / "conf"
# The programs that write the pages of this repository, which are no part of the package.
sys.path.insert(0, str(ROOT / "docs" / "make"))
_OF_WORKCELL = re.compile(r"^_target_: razorbench\.envs\.\w+\.\w+$", re.MULTILINE)
"""A task of the workcell is made by a module of `envs`. Another world is a package in it: it may need packages that are not here, and has tests of its own."""
SKILLS, TASKS = (sorted(path.stem for path in (_CONF / group).glob("*.yaml") if _OF_WORKCELL.search(path.read_text())) for group in ("skill", "task"))
METHODS = sorted(path.stem for path in (_CONF / "method").glob("*.yaml"))
IDS = {name: f"razorbench:RazorBench/{name.title().replace('_', '')}-v1" for name in (*SKILLS, *TASKS)}
"""Gymnasium's names of all tasks and skills."""
_BUILT: dict[str, Task] = {}
MOST_WORKERS = 4
"""Of `pytest -n auto`; each takes a gigabyte."""

TINY = [
    "eval.snapshots=2",
    "eval.episodes=4",
    "eval.skill_episodes=2",
    "budget.env_steps=960",
    "budget.demo_episodes=8",
    "budget.gradient_steps=200",
]
"""Overrides for a whole run in seconds."""
FROZEN = ["-m", "task=pick_place,stack", "method=frozen", *TINY]
"""Words of the smallest sweep."""
_PPO = ["method.num_envs=16", "method.n_steps=20", "method.batch_size=160", "method.n_epochs=1"]
_UPSTREAM = [setting.replace("method.", "method.upstream.") for setting in _PPO]
_FIT = ["method.epochs=2", "method.batch_size=32"]
_ROUNDS = ["method.iterations=3", "method.batch_size=64"]


class _Named(dict[str, list[str]]):
    def __missing__(self, name: str) -> list[str]:
        pytest.fail(f"TINY_METHOD in tests/conftest.py has no line for {name}: add one with settings that let it run in seconds, or [] if its own do")


TINY_METHOD = _Named()
TINY_METHOD |= {
    **{name: _PPO for name in ("ppo", "ppo_kl")},
    **{name: _ROUNDS for name in ("reinforce",)},
    **{name: [*_ROUNDS, "method.epochs=2"] for name in ("dagger", "mend")},
    "grpo": [*_ROUNDS, "method.episodes_per_start=4"],
    **{
        name: _FIT
        for name in ("sft", "sft_kl", "simpo", "replay", "l2_init", "lora", "weight_merge", "lwf", "sft_cf", "sft_recall", "sft_rehearse", "sft_near", "joint")
    },
    **{name: [*_FIT, *_UPSTREAM, "budget.demo_episodes=100"] for name in ("sft_rl", "sft_oracle_rl")},
    "self_distill": [*_FIT, "method.iterations=3"],
    "ewc": [*_FIT, "method.fisher_states=20"],
    "sft_oracle": [*_FIT, "method.tries=40", "budget.demo_episodes=20"],
    "frozen": [],
}


def close(found, wanted, abs=1e-6):
    assert found == pytest.approx(wanted, abs=abs)


def task(name: str) -> Task:
    """A registered task or skill."""
    if not _BUILT:
        with config.registry() as registry:
            for group, names in (("task", TASKS), ("skill", SKILLS)):
                _BUILT.update({each: registry.item(group, each) for each in names})
    return _BUILT[name]


def compose(*overrides: str) -> tuple[RunSpec, dict]:
    """The run that overrides describe, and its configuration."""
    with config.registry() as registry:
        composed = registry.compose(list(overrides))
        return config.spec(composed, composed.hydra.runtime.choices), config.plain_config(composed)


def razorbench(capsys, *arguments):
    """Run the program in this process: its exit code, output and errors."""
    with pytest.raises(SystemExit) as exit_:
        main.main(arguments)
    out, err = capsys.readouterr()
    return exit_.value.code, out, err


def project(place: Path, monkeypatch, methods: str) -> Path:
    """Go to a user's folder with a module `mine` and a conf folder beside it; returns the folder of its methods' yamls."""
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(place)
    # So that it is forgotten again after the test.
    monkeypatch.setitem(sys.modules, "mine", None)
    del sys.modules["mine"]
    Path("mine.py").write_text(methods)
    (made := Path("conf/method")).mkdir(parents=True)
    return made


@pytest.fixture(scope="module")
def base() -> Base:
    """The shipped default base."""
    with config.registry() as registry:
        return load(registry.item("base", "mlp"), 0)


@pytest.fixture(scope="module")
def few_states():
    """Measure divergences on few states in this process: packages are made and checked in a fraction of the time, and all else about them is as ever."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch.setattr)
        yield


@pytest.fixture(scope="session")
def known_platform() -> None:
    """Skip what is promised to the last bit only where the golden trajectories were made: other processors add in another order."""
    with np.load(_CONF.parent / "envs" / "golden.npz", allow_pickle=False) as file:
        if str(file["platform"]) != golden.platform():
            pytest.skip("another processor or MuJoCo than that of the golden trajectories")


@pytest.fixture(scope="module")
def browser():
    """A real Chromium without a window, closed after the tests of a file."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here: pip install playwright")
    quiet = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=list(quiet))
        yield started
        started.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process per usable core for `pytest -n auto`."""
    return min(cores.threads(), MOST_WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """One thread of arithmetic in each process: with more, processes side by side hold one another up, some tests fifty times over."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def pytest_collection_modifyitems(items):
    """Skip what draws pictures where no OpenGL library can."""
    drawing = [item for item in items if item.get_closest_marker("gl")]
    if drawing and not _can_draw():
        for item in drawing:
            item.add_marker(pytest.mark.skip(reason="no OpenGL library here: install libegl1 and libgl1-mesa-dri"))


def _can_draw() -> bool:
    code = (
        "from razorbench.registry import config\n"
        "from razorbench.world.camera import Camera\n"
        "with config.registry() as r: Camera(r.item('skill', 'reach')).close()"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
