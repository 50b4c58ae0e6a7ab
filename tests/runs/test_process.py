"""A run leaves the process as it found it, whatever its method does there."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_METHOD, project, razorbench

from razorbench.runs import process
from razorbench.store.walk import read_records

pytestmark = pytest.mark.usefixtures("few_states")

METHODS = '''
import os, random, sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
import numpy as np
import torch
from razorbench import policy

@dataclass(frozen=True)
class Dice:
    """Moves the policy by chance, by Python's own generator."""
    family: ClassVar[str] = "mine"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def adapt(self, base, task, budget, rng):
        tuned = policy.clone(base)
        with torch.no_grad():
            next(tuned.action_net.parameters()).add_(0.01 * random.random())
        task.update(tuned, 1, 1)
        return tuned

@dataclass(frozen=True)
class Rude(Dice):
    """Leaves everything in another state."""
    def adapt(self, base, task, budget, rng):
        os.chdir("/")
        os.environ["RUDE"] = "yes"
        np.seterr(all="raise")
        torch.set_grad_enabled(False)
        tuned = super().adapt(base, task, budget, rng)
        torch.set_default_dtype(torch.float64)
        torch.set_num_threads(2)
        torch.set_default_device("meta")
        random.seed(5), np.random.seed(5), torch.manual_seed(5)
        return tuned

@dataclass(frozen=True)
class Leaves(Dice):
    def adapt(self, base, task, budget, rng):
        sys.exit(0)
'''
NAMES = ("dice", "rude", "leaves")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    conf = project(tmp_path, monkeypatch, METHODS)
    for name in NAMES:
        (conf / f"{name}.yaml").write_text(f"_target_: mine.{name.capitalize()}\n")


def state():
    """What of the process a method could change."""
    return {
        "gradients": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "numpy errors": np.geterr(),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "python": random.getstate(),
        "numpy": repr(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "filters": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)],
        "temporary": sorted(name for name in os.listdir(tempfile.gettempdir()) if name.startswith("SB3-")),
    }


def test_a_rude_method_leaves_no_trace(capsys):
    # Packages set variables and filters when they are first used.
    assert razorbench(capsys, "task=pick_place", "method=dice", "--config-dir", "conf", *TINY)[0] == 0
    before = state()
    code, out, _ = razorbench(capsys, "-m", "task=pick_place", "method=rude,dice", "seed=1", "--config-dir", "conf", *TINY)
    assert code == 0, out
    assert state() == before
    assert sorted(path.name for path in Path().iterdir() if path.name != "__pycache__") == ["conf", "mine.py", "results"]


def test_training_leaves_no_folder_among_temporary_files(capsys):
    before = state()["temporary"]
    code, out, _ = razorbench(capsys, "task=pick_place", "method=ppo", *TINY, *TINY_METHOD["ppo"], "--hours", "1")
    assert code == 0, out
    assert state()["temporary"] == before


def test_python_s_own_generator_is_seeded_and_kept(capsys):
    for results in ("one", "two"):
        random.seed(results)
        razorbench(capsys, "task=pick_place", "method=dice", "--config-dir", "conf", *TINY, f"results={results}")
    first, second = (read_records(Path(results))[0].forward_kl for results in ("one", "two"))
    assert first == second > 0


def test_a_method_that_exits_fails_alone(capsys):
    code, out, _ = razorbench(capsys, "-m", "task=pick_place", "method=leaves,dice", "--config-dir", "conf", *TINY)
    assert code == 1
    assert "1 of 2 runs are done." in out
    assert "the method called sys.exit(0): it must return the tuned policy, or raise an error" in out


def test_lent_restores_what_the_block_changed_even_if_it_fails():
    before = state()
    with pytest.raises(ValueError, match="late"), process.lent(3):
        drawn = random.random(), np.random.rand(), torch.rand(1).item()
        torch.set_default_dtype(torch.float64)
        warnings.simplefilter("ignore")
        os.environ.pop("PATH")
        raise ValueError("late")
    assert state() == before
    with process.lent(3):
        assert (random.random(), np.random.rand(), torch.rand(1).item()) == drawn


@pytest.mark.timed
@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_training_beside_busy_processes_keeps_most_of_its_speed():
    """Two processors, two other processes that never wait. With threads that spin, as OpenMP's do by default, the same work takes two to twenty times
    as long. The two settings take turns.
    """
    cores = sorted(os.sched_getaffinity(0))[:2]
    code = (
        "import time\n"
        "import razorbench, torch\n"
        "torch.set_num_threads(2)\n"
        "states, weights = torch.randn(128, 256), torch.randn(256, 256)\n"
        "began = time.perf_counter()\n"
        "for _ in range(3000): (states @ weights).relu_().sum()\n"
        "print(time.perf_counter() - began)\n"
    )

    def python(code, **options):
        pinned = f"import os\nos.sched_setaffinity(0, {cores})\n{code}"
        return subprocess.Popen([sys.executable, "-c", pinned], text=True, **options)

    def seconds(policy):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "MKL", "OPENBLAS"))}
        if policy:
            environment["OMP_WAIT_POLICY"] = policy
        return float(python(code, stdout=subprocess.PIPE, env=environment).communicate()[0])

    busy = [python("while True: pass") for _ in cores]
    try:
        found = [(seconds(None), seconds("active")) for _ in range(5)]
    finally:
        for process in busy:
            process.kill()
            process.wait()
    ours, spinning = map(sum, zip(*found, strict=True))
    assert ours < 0.7 * spinning, found
