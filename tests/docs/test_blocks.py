"""Every bash and Python block of README.md, CONTRIBUTING.md and docs/*.md runs, a page's blocks one after the other in one folder."""

import importlib.util
import os
import re
import subprocess
import sys
from typing import NamedTuple

import pytest
from conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
SLOW = {"CONTRIBUTING.md", "docs/sweeps.md", "docs/usage.md"}
"""Pages whose blocks take more than half a minute."""
ELSEWHERE = {"docs/leaderboard.md": "tests/submissions/test_walkthrough.py runs its blocks and looks at what each prints"}
"""Pages that another test runs."""
GL = {"docs/usage.md"}
"""Pages with a block that draws pictures by OpenGL."""

SMALL = (
    "eval.snapshots=2 eval.episodes=4 eval.skill_episodes=2 budget.env_steps=16384 budget.demo_episodes=40 budget.expert_queries=2000 budget.gradient_steps=200"
)
"""What every run of a page gets in addition: seconds instead of minutes."""
REDUCED = {
    "task=core": "task=stack",
    "seed=0,1,2": "seed=0",
    "seed0-...": "seed0-*",
    "study=parity": "study=parity study.seeds=[3,4] study.hidden=[8,6] study.pretrain_images=60 study.pretrain_epochs=8 study.tune_images=40 "
    "study.test_images=60 study.learning_rates=3 study.epochs=[1,2] study.checkpoints=2 study.targets=[0.6,0.99]",
}
"""Parts of commands that would take hours, or that stand for something else, and what takes their place."""
ANSWERS_NO = ("compare results", "claims results")
"""Commands whose answer on the few runs here is no: exit code 1."""
UNRUN = {
    "make ": "installs packages from an index",
    "pip install ": "installs packages from an index",
    "python -m razorbench -m +experiment=": "does hundreds of runs, for hours",
    "python -m razorbench -m hydra/sweeper=optuna": "needs a plugin, and tests/registry/test_sweeps.py runs such a search",
    "python docs/make/study.py ": "adds runs to the results that this repository keeps",
    "razorbench tune ": "does sixteen runs; tests/statistics/test_tuning.py has small searches",
    "razorbench bench ": "measures speed for minutes; tests/bench/test_bench.py runs it small",
    "razorbench pretrain ": "trains a base policy for most of an hour",
}
"""Commands that cannot run in this test, by how they begin, and why."""
OPTIONAL = ("pandas", "pyarrow")
"""Packages that RazorBench does not need. A Python block that imports one of them is passed over where it is not installed."""
SAYS = {
    "CONTRIBUTING.md": ["my_task-v1: conforms", "my_method: conforms", "2 of 2 runs are done", "too few runs"],
    "docs/monitor.md": ["the budget ended training, the policy is the last one within it"],
}
"""What the blocks of a page print, among other things."""


class Block(NamedTuple):
    """A fenced block. file: the name of the file that it shows, if the words above it name one."""

    language: str
    text: str
    file: str | None


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        above = text[: found.start()].rstrip().rpartition("\n\n")[2]
        ending = {"python": "py", "yaml": "yaml"}.get(found[1], "none")
        file = re.search(rf"`([\w./]+\.{ending})`[^`]*:$", above)
        yield Block(found[1], found[2], file and file[1])


def commands(text):
    """The lines of a bash block as they are run here."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        line = re.sub(r"\s+# .*", "", line)
        if f"{line} ".startswith(tuple(UNRUN)):
            continue
        for whole, part in REDUCED.items():
            line = line.replace(whole, part)
        if re.search(r"\b(task|sequence)=", line):
            line = f"{line} {SMALL}"
        yield f"{line} || test $? = 1" if any(words in line for words in ANSWERS_NO) else line


def run(command, folder, tmp_path):
    """What a command prints; it must end well."""
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def marked(page):
    marks = [pytest.mark.slow] * (name(page) in SLOW) + [pytest.mark.gl] * (name(page) in GL)
    return pytest.param(page, marks=marks, id=name(page))


@pytest.mark.parametrize("page", [marked(page) for page in PAGES if name(page) not in ELSEWHERE])
def test_every_block_of_a_page_runs(page, tmp_path):
    (tmp_path / "bin").mkdir()
    for program, start in {"python": "", "razorbench": " -m razorbench"}.items():
        (file := tmp_path / "bin" / program).write_text(f'#!/bin/sh\nexec {sys.executable}{start} "$@"\n')
        file.chmod(0o755)
    (folder := tmp_path / "here").mkdir()
    printed = ""
    for block in blocks(page):
        if block.file is not None:
            (file := folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        elif block.language == "bash":
            printed += run(["bash", "-e", "-c", "\n".join(commands(block.text))], folder, tmp_path)
        elif block.language == "python":
            wanted = [package for package in OPTIONAL if package in block.text]
            if all(importlib.util.find_spec(package) for package in wanted):
                printed += run([sys.executable, "-c", block.text], ROOT, tmp_path)
    assert [words for words in SAYS.get(name(page), []) if words not in printed] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_file_that_a_page_shows_is_the_file_of_that_name(page):
    for block in blocks(page):
        if block.file is not None and "/" in block.file and (ROOT / block.file).exists():
            assert (ROOT / block.file).read_text(encoding="utf-8") == block.text, block.file


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_of_commands_says_that_it_is_one(page):
    """Or no test would run it."""
    for block in blocks(page):
        if block.language not in ("bash", "python", "yaml"):
            assert not re.search(r"^(\$ |python |razorbench |pip |make |cd |import |from )", block.text, re.MULTILINE), block.text


def test_the_examples_are_shown():
    shown = {block.file for block in blocks(ROOT / "CONTRIBUTING.md")}
    assert {name(path) for path in (ROOT / "examples").rglob("*.*") if path.suffix in (".py", ".yaml")} <= shown
