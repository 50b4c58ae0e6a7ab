"""Whatever the file system refuses, at whichever operation of a run: a sentence, and the same record at the next try."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

HERE = ROOT / "tests"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The library that makes operations fail, for LD_PRELOAD."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler here, or no Linux")
    made = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(HERE / "faults.c"), "-ldl"], check=True)
    return made


def fail(library, place, first, step):
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(HERE / "faults.py"), str(place), str(first), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_some_operations_of_a_run_may_fail(library, tmp_path):
    """Every sixteenth, so that each kind comes up."""
    found = fail(library, tmp_path, 1, 16)
    assert found["wrong"] == []
    assert found["tried"] > 20


@pytest.mark.slow
@pytest.mark.long
def test_every_operation_of_a_run_may_fail(library, tmp_path):
    """Each operation once, with EACCES, ENOSPC, ESTALE and EIO in turn, alone or with all after it; ten minutes of one core."""
    found = fail(library, tmp_path, 1, 1)
    assert found["wrong"] == []
    assert found["tried"] == found["operations"] > 300
    assert {"write", "fsync", "rename", "mkdir", "unlink", "close"} <= set(found["kinds"])
