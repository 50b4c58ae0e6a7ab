"""Runs that are killed by -9, TERM, INT, or that sleep for longer than a claim's patience: see `kills.py`, which also does hundreds."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

HERE = ROOT / "tests"


@pytest.mark.slow
@pytest.mark.long
def test_killed_runs_end_as_unbroken_ones(tmp_path):
    """Three hundred kills over ppo, sft, sft_recall, simpo, grpo, a sequence and a sweep on joblib."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, str(HERE / "kills.py"), str(tmp_path / "runs"), "300"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout[done.stdout.rindex("\n{") :])
    assert sum(found["kills"].values()) >= 300
    assert found["wrong"] == []
