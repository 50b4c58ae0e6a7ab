"""CONTRIBUTING.md's examples, typed in to the letter: in a folder of one's own, and in a copy of this repository."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, TINY

pytestmark = pytest.mark.slow
SECTIONS = re.split(r"^## ", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
SMALLER = [word for word in TINY if not word.startswith("budget.demo_episodes")]
"""What is changed of the commands: runs of seconds."""


def blocks(heading):
    """The Python file, the yaml and the commands of a section."""
    (section,) = (text for text in SECTIONS if text.startswith(heading))
    found = dict(re.findall(r"```(\w*)\n(.*?)```", section, re.DOTALL))
    return found["python"], found["yaml"], found[""].strip().splitlines()


def typed(command, cwd, *more):
    """What a command said; it must end well."""
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "razorbench"]
    done = subprocess.run([sys.executable, *words[1:], *more], cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(cwd)})
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def own(tmp_path):
    """A folder of one's own with the examples in it."""
    for heading, name in (("Add a task", "point"), ("Add a method", "my_method")):
        code, yaml, _ = blocks(heading)
        group = heading.rpartition(" ")[2]
        (tmp_path / f"{name}.py").write_text(code)
        (tmp_path / "my_conf" / group).mkdir(parents=True)
        (tmp_path / "my_conf" / group / f"{name}.yaml").write_text(yaml)
    return tmp_path


def test_a_task_of_one_s_own_conforms_and_runs_at_the_first_try(own):
    check, run = blocks("Add a task")[2]
    assert typed(check, own) == (0, "point-v1: conforms\n", "")
    code, out, err = typed(run, own, *SMALLER, "method.epochs=2")
    assert (code, err) == (0, "")
    assert "point-v1" in out


def test_a_method_of_one_s_own_runs_at_the_first_try(own):
    run, compare = blocks("Add a method")[2]
    code, out, err = typed(run, own, *SMALLER)
    assert (code, err) == (0, "")
    assert "2 of 2 runs are done" in out
    code, out, err = typed(compare, own)
    assert (code, err) == (1, "")  # one seed of one task decides nothing
    assert "too few runs" in out


def test_a_thirteenth_task_in_the_repository_is_asked_for_what_it_lacks_in_sentences(tmp_path):
    for folder in ("razorbench", "envs", "conf", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "reference"))
    (tmp_path / "baselines").mkdir()
    for path in (ROOT / "baselines").glob("*.py"):
        shutil.copy(path, tmp_path / "baselines")
    shutil.copytree(ROOT / "baselines" / "policies", tmp_path / "baselines" / "policies")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    code, yaml, _ = blocks("Add a task")
    (tmp_path / "envs" / "point.py").write_text(code)
    (tmp_path / "conf" / "task" / "point.yaml").write_text(yaml.replace("point.make", "razorbench.envs.point.make"))
    check = "python -m razorbench check point"
    found, out, err = typed(check, tmp_path)
    assert (found, err) == (1, "")
    assert re.fullmatch(
        r"point-v1: it has no golden trajectory in .*golden.npz: `python docs/make/golden_file.py` adds it\n"
        r"point-v1: docs/tasks.md has no row for it: add one to the first table, then `python docs/make/task_page.py` writes the rest\n",
        out,
    )
    made = [sys.executable, "docs/make/golden_file.py"]
    assert subprocess.run(made, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False).returncode == 0
    page = tmp_path / "docs" / "tasks.md"
    page.write_text(page.read_text().replace("| `push_far` | distance", "| `point` | goal | own |\n| `push_far` | distance", 1))
    assert typed(check, tmp_path) == (0, "point-v1: conforms\n", "")
    code, out, err = typed("python -m razorbench task=point method=sft budget=quick", tmp_path, *SMALLER, "method.epochs=2")
    assert (code, err) == (0, "")
