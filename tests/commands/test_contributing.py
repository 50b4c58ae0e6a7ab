"""CONTRIBUTING.md's example of a task, put into a copy of this repository."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, TINY

pytestmark = pytest.mark.slow
EXAMPLES = ROOT / "examples"
SMALLER = [word for word in TINY if not word.startswith("budget.demo_episodes")]
"""What is changed of the commands: runs of seconds."""


def typed(command, cwd, *more):
    """What a command said; it must end well."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "razorbench"]
    done = subprocess.run([sys.executable, *words[1:], *more], cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(cwd)})
    return done.returncode, done.stdout, done.stderr


def test_a_thirteenth_task_in_the_repository_is_asked_for_what_it_lacks_in_sentences(tmp_path):
    for folder in ("razorbench", "envs", "conf", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "reference"))
    (tmp_path / "baselines").mkdir()
    for path in (ROOT / "baselines").glob("*.py"):
        shutil.copy(path, tmp_path / "baselines")
    shutil.copytree(ROOT / "baselines" / "policies", tmp_path / "baselines" / "policies")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(EXAMPLES / "my_task.py", tmp_path / "envs")
    yaml = (EXAMPLES / "conf" / "task" / "my_task.yaml").read_text()
    (tmp_path / "conf" / "task" / "my_task.yaml").write_text(yaml.replace("my_task.make", "razorbench.envs.my_task.make"))
    check = "python -m razorbench check my_task"
    found, out, err = typed(check, tmp_path)
    assert (found, err) == (1, "")
    assert re.fullmatch(
        r"my_task-v1: it has no golden trajectory in .*golden.npz: `python docs/make/golden_file.py` adds it\n"
        r"my_task-v1: docs/tasks.md has no row for it: add one to the first table, then `python docs/make/task_page.py` writes the rest\n",
        out,
    )
    made = [sys.executable, "docs/make/golden_file.py"]
    assert subprocess.run(made, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False).returncode == 0
    page = tmp_path / "docs" / "tasks.md"
    page.write_text(page.read_text().replace("| `push_far` | distance", "| `my_task` | goal | own |\n| `push_far` | distance", 1))
    assert typed(check, tmp_path) == (0, "my_task-v1: conforms\n", "")
    code, out, err = typed("python -m razorbench task=my_task method=sft budget=quick", tmp_path, *SMALLER, "method.epochs=2")
    assert (code, err) == (0, "")
