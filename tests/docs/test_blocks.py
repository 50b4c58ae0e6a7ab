"""Every bash and Python block of README.md, CONTRIBUTING.md, docs/*.md and docs/worlds/*.md runs, a page's blocks one after the other in one folder."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest
from conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "worlds").glob("*.md")])
PYTHONS = {"docs/worlds/fetch.md": "FETCH_PYTHON", "docs/worlds/metaworld.md": "METAWORLD_PYTHON", "docs/worlds/pusht.md": "PUSHT_PYTHON"}
"""Pages that need a Python of their own, and the environment variable that names it; without it they are skipped."""
SLOW = {"CONTRIBUTING.md", "docs/own_world.md", "docs/sweeps.md", "docs/usage.md", *PYTHONS}
"""Pages whose blocks take more than half a minute."""
GL = {"docs/usage.md"}
"""Pages with a block that draws pictures by OpenGL."""
ELSEWHERE = {"docs/leaderboard.md": "tests/submissions/test_walkthrough.py runs its blocks and looks at what each prints"}
"""Pages that another test runs."""
UNRUN = {
    r"(\w+/bin/)?pip install ": "downloads from a package index, and no test uses a network",
    "python -m venv ": "makes the Python of a page in PYTHONS, which is there already",
    r"export \w+_PYTHON=": "names the Python of a page in PYTHONS, which is named already",
    "razorbench tune ": "takes a minute, and tests/statistics/test_tuning.py runs it",
    "razorbench bench": "takes a minute, and tests/bench/test_bench.py runs it",
    "razorbench video ": "takes a minute, and tests/commands/test_video.py runs it",
    "razorbench pretrain base=mlp": "takes a minute, and tests/world/test_own_world.py runs it for another base",
}
"""Commands that are not run here, by a pattern of how they begin, and why."""
NEEDS = {"pyarrow": "pyarrow", "hydra/sweeper=optuna": "optuna"}
"""Packages that RazorBench does not need, by a part of the commands and Python blocks that do; without the package these are passed over."""

SMALL = (
    "eval.snapshots=2 eval.episodes=4 eval.skill_episodes=2 budget.env_steps=16384 budget.demo_episodes=40 budget.expert_queries=2000 budget.gradient_steps=200"
)
"""Added to commands that do whole runs: seconds instead of minutes."""
WHOLE_RUNS = r"\b(task=|sequence=)"
REDUCED = {
    "make ": f"make -n -C {ROOT} ",
    "task=core": "task=stack",
    "seed=0,1,2": "seed=0",
    "seed0-...": "seed0-*",
    "n_trials=20": "n_trials=2",
    "--hours 2.5": "--hours 0.002",
    "docs/make/study.py razor_core": f"{ROOT}/docs/make/study.py razor_core --study results --kept kept",
    "study=parity": "study=parity study.seeds=[3,4] study.hidden=[8,6] study.pretrain_images=60 study.pretrain_epochs=8 study.tune_images=40 "
    "study.test_images=60 study.learning_rates=3 study.epochs=[1,2] study.checkpoints=2 study.targets=[0.6,0.99]",
}
"""Parts of commands that would take hours, install packages or change what this repository keeps, and what takes their place."""
ANSWERS_NO = ("compare results", "claims results", "pretrain base=pusht", "pretrain base=fetch", "check fetch_push")
"""Commands whose answer here, on few runs and little training, is no: exit code 1. The pages of PushT and FetchPush say why theirs is."""
SAYS = {
    "CONTRIBUTING.md": ["my_task-v1: conforms", "my_method: conforms", "2 of 2 runs are done", "too few runs"],
    "docs/monitor.md": ["the budget ended training, the policy is the last one within it"],
    "docs/sweeps.md": ["2 of 2 runs are done", "time is up"],
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


def can_run(text):
    return all(importlib.util.find_spec(package) for part, package in NEEDS.items() if part in text)


def commands(text):
    """The commands of a bash block, without comments, each in one line."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if command := re.sub(r"(^|\s+)# .*", "", line):
            yield command


def as_run(command):
    """A command as it is run here."""
    for whole, part in REDUCED.items():
        command = command.replace(whole, part)
    if re.search(WHOLE_RUNS, command):
        command = f"{command} {SMALL}"
    return f"{command} || test $? = 1" if any(words in command for words in ANSWERS_NO) else command


def run(command, folder, tmp_path):
    """What a command prints; it must end well."""
    # With one thread: two that wait for each other on busy processors take three times as long.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def marked(page):
    marks = [pytest.mark.slow] * (name(page) in SLOW) + [pytest.mark.gl] * (name(page) in GL)
    return pytest.param(page, marks=marks, id=name(page))


@pytest.mark.parametrize("page", [marked(page) for page in PAGES if name(page) not in ELSEWHERE])
def test_every_block_of_a_page_runs(page, tmp_path):
    if not os.environ.get(variable := PYTHONS.get(name(page), "PATH")):
        pytest.skip(f"{variable} is not set: the page says how to make the Python that it names")
    (tmp_path / "bin").mkdir()
    for program, start in {"python": "", "razorbench": " -m razorbench"}.items():
        (file := tmp_path / "bin" / program).write_text(f'#!/bin/sh\nexec {sys.executable}{start} "$@"\n')
        file.chmod(0o755)
    (folder := tmp_path / "here").mkdir()
    shutil.copytree(ROOT / "examples" / "worlds", folder / "examples" / "worlds")
    printed, programs = "", []
    for block in blocks(page):
        if block.file is not None:
            (file := folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        elif block.language == "bash":
            lines = [as_run(each) for each in commands(block.text) if can_run(each) and not re.match("|".join(UNRUN), each)]
            printed += run(["bash", "-e", "-c", "\n".join(lines)], folder, tmp_path)
        elif block.language == "python" and can_run(block.text):
            programs.append(block.text)
    # In one interpreter, as most of the time is that of imports; no block sees another's names.
    each_alone = "import sys\nfor text in sys.argv[1:]: exec(text, {'__name__': '__main__'})"
    if programs:
        printed += run([sys.executable, "-c", each_alone, *programs], ROOT, tmp_path)
    assert [words for words in SAYS.get(name(page), []) if words not in printed] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_says_what_it_is(page):
    """Or no test would run it."""
    found = list(blocks(page))
    assert len(found) == len(re.findall(r"^\s*(```|~~~)", page.read_text(encoding="utf-8"), re.MULTILINE)) / 2, "a block that is indented, or of ~~~"
    for block in found:
        assert block.language in ("bash", "python", "yaml", "text", "")
        if block.language in ("text", ""):
            assert not re.search(r"^(\$ |python |razorbench |pip |make |cd |import |from )", block.text, re.MULTILINE), block.text


def test_what_is_said_of_pages_and_commands_is_of_some_that_exist():
    """An entry that stands for none would hide one to come."""
    assert {*SLOW, *GL, *ELSEWHERE, *SAYS, *PYTHONS} <= {name(page) for page in PAGES}
    shown = [block for page in PAGES for block in blocks(page)]
    lines = [line for block in shown if block.language == "bash" for line in commands(block.text)]
    assert [start for start in UNRUN if not any(re.match(start, line) for line in lines)] == []
    texts = [*lines, *(block.text for block in shown if block.language == "python")]
    assert [part for part in (*REDUCED, *ANSWERS_NO, *NEEDS) if not any(part in text for text in texts)] == []


def test_the_files_that_pages_show_are_the_examples_to_the_letter():
    shown = {block.file: block.text for page in PAGES if name(page) not in ELSEWHERE for block in blocks(page) if block.file is not None}
    files = [path for kind in ("*.py", "conf/*/*.yaml") for path in (ROOT / "examples").glob(kind)]
    assert shown == {name(path): path.read_text(encoding="utf-8") for path in files}
