"""The same sweep through Hydra's launchers: joblib always; Slurm and Ray for real, where they are installed (`pytest -m cluster`)."""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from conftest import ROOT, TINY, TINY_METHOD
from joblib import Parallel, delayed
from test_sweeps import kinds
from torch.utils.data import DataLoader, TensorDataset

from razorbench.registry import launching
from razorbench.store.lock import holder

SWEEP = ["-m", "task=pick_place,stack", "method=sft", *TINY, *TINY_METHOD["sft"]]
# Long enough to be killed in the middle.
LONG = ["-m", "task=pick_place", "method=sft,lwf", *TINY, "eval.snapshots=12", "budget.demo_episodes=100", "budget.gradient_steps=400"]
DAEMONS = ("slurmctld", "slurmd", "munged")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The environment in which commands find a Slurm of one node."""
    missing = [name for name in DAEMONS if shutil.which(name) is None]
    if missing or find_spec("submitit") is None or os.geteuid() != 0:
        pytest.skip("needs root, Debian's slurm-wlm and munge, and `pip install razorbench[slurm]`")
    script, folder = ROOT / "tests" / "slurm.sh", tmp_path_factory.mktemp("slurm")
    started = subprocess.run([script, "start", folder], capture_output=True, text=True, check=False)
    if started.returncode:
        subprocess.run([script, "stop", folder], check=False)
        pytest.skip(f"Slurm does not start here: {' '.join(started.stderr.split())[-300:]}")
    yield {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    subprocess.run([script, "stop", folder], check=True)


@pytest.fixture
def ray():
    """The environment in which commands find a Ray of their own."""
    if find_spec("ray") is None or find_spec("hydra_plugins.hydra_ray_launcher") is None:
        pytest.skip("needs `pip install razorbench[ray]`")
    started = subprocess.run([sys.executable, "-c", "import ray; ray.init(num_cpus=1)"], capture_output=True, text=True, check=False, timeout=120)
    if started.returncode:
        pytest.skip(f"Ray does not start here: {' '.join(started.stderr.split())[-300:]}")
    return {**os.environ, "RAY_DEDUP_LOGS": "0"}


def command(*words):
    return [sys.executable, "-m", "razorbench", *words]


def do(*words, env=None):
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False, env=env, timeout=300)
    return done.returncode, done.stdout + done.stderr


def workers(results):
    """Processes that hold claims; waits for one that is being written."""
    while True:
        held = [holder(claim.parent) for claim in Path(results).rglob("claim-*")]
        if all(one is not None and one.worker is not None for one in held):
            return [one.worker.pid for one in held]


def is_run_and_survives_kills(launcher, env):
    """A small sweep through a launcher gives what it gives without; and killed in the middle, master and workers, it goes on."""
    code, said = do(*SWEEP, "results=here")
    assert code == 0, said
    code, said = do(*SWEEP, *launcher, "results=there", env=env)
    assert code == 0, said
    assert "2 of 2 runs are done." in said
    assert kinds("there") == kinds("here")
    code, said = do(*LONG, "results=whole")
    assert code == 0, said
    with subprocess.Popen(command(*LONG, *launcher, "results=broken"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as master:
        deadline = time.monotonic() + 120
        while not list(Path("broken").rglob("loop*.state")) and time.monotonic() < deadline:
            time.sleep(0.02)
        killed = workers("broken")
        for pid in [*killed, master.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        master.communicate()
    assert killed
    assert len(list(Path("broken").rglob("record.json"))) < 2
    code, said = do(*LONG, *launcher, "results=broken", env=env)
    assert code == 0, said
    assert kinds("broken") == kinds("whole")
    assert any("continues after update" in path.read_text() for path in Path("broken").rglob("log.txt"))


def test_joblib():
    code, said = do(*SWEEP, "results=here")
    assert code == 0, said
    code, said = do(*SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "results=there")
    assert code == 0, said
    assert "2 of 2 runs are done." in said
    assert kinds("there") == kinds("here")


def _stacked(rows):
    return torch.stack([row[0] for row in rows]).tolist()


@pytest.mark.slow
def test_a_method_may_load_its_data_with_workers_under_joblib():
    def loads():
        launching.allow_processes()
        return list(DataLoader(TensorDataset(torch.arange(4)), batch_size=2, num_workers=1, collate_fn=_stacked))

    assert Parallel(n_jobs=2)(delayed(loads)() for _ in range(2)) == [[[0, 1], [2, 3]]] * 2


@pytest.mark.slow
@pytest.mark.timed
def test_joblib_survives_kills():
    is_run_and_survives_kills(["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], None)


@pytest.mark.slow
@pytest.mark.timed
def test_a_worker_of_joblib_that_is_killed_is_made_up_for():
    """As the kernel does when memory runs out: the launcher gives up, its master does not."""
    code, said = do(*LONG, "results=whole")
    assert code == 0, said
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    with subprocess.Popen(command(*LONG, *launcher, "results=broken"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as master:
        while not list(Path("broken").rglob("loop*.state")):
            assert master.poll() is None
            time.sleep(0.02)
        os.kill(workers("broken")[0], signal.SIGKILL)
        said = master.communicate(timeout=200)[0]
    assert master.returncode == 0, said
    assert "the launcher gave up, TerminatedWorkerError: A worker process managed by the executor was unexpectedly terminated" in said
    assert "2 of 2 runs are done." in said
    assert kinds("broken") == kinds("whole")


@pytest.mark.cluster
def test_slurm(slurm):
    is_run_and_survives_kills(["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=5"], slurm)


@pytest.mark.cluster
def test_ray(ray):
    is_run_and_survives_kills(["hydra/launcher=ray"], ray)
