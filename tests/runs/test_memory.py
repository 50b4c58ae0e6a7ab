"""Workers of long sweeps stay as large as they are."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

HERE = ROOT / "tests"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_a_worker_does_not_grow_after_its_first_runs(tmp_path):
    """Without giving memory back it grew by a megabyte or two a run; two minutes of one core."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(HERE / "soak.py"), str(tmp_path / "runs"), "frozen", "120"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert max(found[100:]) - max(found[40:60]) < 5.0, found
