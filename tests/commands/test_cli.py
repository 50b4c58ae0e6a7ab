"""The command line as a user meets it: right commands, and wrong ones."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, TINY_METHOD, project, razorbench
from omegaconf import OmegaConf

pytestmark = pytest.mark.usefixtures("few_states")

RUN = ["task=pick_place", "method=sft", *TINY, *TINY_METHOD["sft"]]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_run_and_the_same_run_again(capsys):
    code, out, err = razorbench(capsys, *RUN)
    assert (code, err) == (0, "")
    assert "retention of original skills" in out
    record = next(Path("results").rglob("record.json"))
    assert str(record) in out.replace("\n", "")
    assert (record.parent / "plots" / "summary.png").stat().st_size > 10_000
    assert sorted(path.name for path in Path().iterdir()) == ["results"]
    code, out, _ = razorbench(capsys, *RUN)
    assert code == 0
    assert "already done" in out
    assert len(list(Path("results").rglob("record.json"))) == 1


def test_multirun(capsys):
    code, out, _ = razorbench(capsys, "-m", "task=pick_place", "method=frozen,sft", "seed=0,1", *TINY)
    assert code == 0
    assert "4 of 4 runs are done" in out
    assert len(list(Path("results/pick_place").rglob("record.json"))) == 4


def test_a_suite_is_its_tasks(capsys):
    (suite := Path("mine/suite")).mkdir(parents=True)
    (suite / "two.yaml").write_text("tasks:\n  - stack\n  - carry_weak\n")
    code, out, _ = razorbench(capsys, "-m", "--config-dir", "mine", "task=two,stack", "method=frozen", *TINY)
    assert code == 0
    assert "2 of 2 runs are done" in out
    assert sorted(path.name for path in Path("results").iterdir() if not path.name.startswith(".")) == ["carry_weak", "stack"]


def test_a_sequence_and_the_same_again(capsys):
    (mine := Path("mine/sequence")).mkdir(parents=True)
    (mine / "two.yaml").write_text("defaults:\n  - /task@tasks.stack: stack\n  - /task@tasks.pick_can: pick_can\n")
    command = ("--config-dir", "mine", "sequence=two", "method=sft", *TINY, *TINY_METHOD["sft"])
    code, out, err = razorbench(capsys, *command)
    assert (code, err) == (0, "")
    for word in (
        "column k: after task k",
        "average performance",
        "backward transfer",
        "undefined: it needs the same runs from the base",
        "retention of original skills",
    ):
        assert word in out
    folder = next(Path("results/two/sft").glob("seed0-*"))
    assert (folder / "plots" / "matrix.png").stat().st_size > 10_000
    code, out, _ = razorbench(capsys, *command)
    assert code == 0
    assert "already done" in out
    code, out, _ = razorbench(capsys, "-m", "task=pick_can", "method=sft", *TINY, *TINY_METHOD["sft"])
    code, out, _ = razorbench(capsys, *command)
    assert code == 0
    assert "undefined: it needs" not in out


def test_check_says_yes_or_what_is_wrong(capsys, monkeypatch):
    code, out, _ = razorbench(capsys, "check", "button_press", "--golden", "kept/golden")
    assert (code, out) == (0, "button_press-v1: conforms\n")
    monkeypatch.setattr("razorbench.world.conformance.check_task", lambda task, others: [])  # it conforms; only the file is looked at from here on
    code, out, _ = razorbench(capsys, "check", "button_press", "--golden", "kept/golden")
    assert (code, out) == (0, "button_press-v1: conforms\n")
    code, out, _ = razorbench(capsys, "check", "lift", "--golden", "kept/golden")
    assert code == 1
    assert out.startswith("lift-v1: it has no golden trajectory in kept/golden: delete the file")
    with np.load("kept/golden", allow_pickle=False) as golden:
        arrays = dict(golden)
    arrays["button_press-v1"][1:] += 1e-3
    with Path("kept/golden").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    code, out, _ = razorbench(capsys, "check", "button_press", "--golden", "kept/golden")
    assert (code, out) == (1, "button_press-v1: the golden trajectory differs from decision 1 on, on the very platform of its file\n")
    Path("kept/golden").write_bytes(Path("kept/golden").read_bytes()[:300])
    code, out, err = razorbench(capsys, "check", "button_press", "--golden", "kept/golden")
    assert code == 2
    assert "kept/golden is not a file of golden trajectories" in err


def test_check_of_a_method_says_yes_or_what_is_wrong(capsys, tmp_path, monkeypatch):
    conf = project(tmp_path, monkeypatch, MINE)
    (conf / "mine.yaml").write_text("_target_: mine.Mine\n")
    mine = ["check", "mine", "--config-dir", "conf"]
    assert razorbench(capsys, *mine) == (0, "mine: conforms\n", "")
    Path("mine.py").write_text(MINE.replace("return base", "return None"))
    monkeypatch.delitem(sys.modules, "mine")
    assert razorbench(capsys, *mine) == (1, "mine: method=mine returned NoneType: `adapt` must return the tuned policy\n", "")
    Path("conf/task").mkdir()
    Path("conf/task/mine.yaml").write_text("_target_: mine.make\n")
    code, out, err = razorbench(capsys, *mine)
    assert (code, out) == (2, "")
    assert err == "razorbench: mine is the name of a task and of a method: rename one of the two yaml files\n"


MINE = """
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Mine:
    family: ClassVar[str] = "ours"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def adapt(self, base, task, budget, rng):
        return base
"""


def test_check_names_every_fault_of_a_broken_task():
    Path("broken.py").write_text(
        "from dataclasses import replace\nfrom razorbench.envs.lift import make as original\n\n"
        "def make(id):\n    return replace(original(id=id), slot=40, experts={})\n"
    )
    (mine := Path("mine/task")).mkdir(parents=True)
    (mine / "broken.yaml").write_text("_target_: broken.make\nid: broken-v1\n")
    command = [sys.executable, "-m", "razorbench", "check", "broken", "--config-dir", "mine"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "broken-v1: slot is 40: the observation has instruction slots 0 to 31",
        "broken-v1: experts is empty: a task needs at least one scripted expert, or nobody knows that it can be solved",
    ]


def test_a_failed_run_is_named_and_the_others_go_on(capsys):
    code, out, _ = razorbench(capsys, "-m", *RUN, "method.learning_rate=1e30,1e-4", "method.epochs=20")
    assert code == 1
    assert "1 of 2 runs are done" in out
    assert "failed: task=pick_place method=sft" in out
    assert "measuring after update 1: the policy's actions are not finite" in out
    assert len(list(Path("results/pick_place").rglob("record.json"))) == 1


def test_a_damaged_record_is_not_trusted(capsys):
    razorbench(capsys, *RUN)
    record = next(Path("results").rglob("record.json"))
    record.write_text(record.read_text()[:200])
    code, _, err = razorbench(capsys, *RUN)
    assert code == 2
    assert "damaged or cut short; delete its folder and run again" in err


def test_help_is_quick_and_plain():
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "razorbench", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("RazorBench")
    assert "torch" not in done.stderr
    for command in ("list", "pretrain", "video"):
        subprocess.run([sys.executable, "-m", "razorbench", command, "--help"], capture_output=True, check=True)


def test_list(capsys):
    code, out, _ = razorbench(capsys, "list")
    assert code == 0
    for line in (
        "stack +Stack: put the cube down on the blue block",
        "mend +Mend: `dagger` on",
        "mlp +A diagonal Gaussian",
        "standard +153,600 env steps",
    ):
        assert re.search(rf"^  {line}", out, re.MULTILINE)
    Path("mine/method").mkdir(parents=True)
    Path("mine/method/gentle.yaml").write_text("defaults:\n  - sft\n  - _self_\nlearning_rate: 1.0e-6\n")
    code, out, _ = razorbench(capsys, "list", "--config-dir", "mine")
    assert code == 0
    assert re.search(r"gentle +Supervised fine-tuning", out)
    code, out, _ = razorbench(capsys, "list", "pick_place", "mend")
    assert code == 0
    assert "Styles: `direct`; `detour`" in out and "method=mend" in out


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], {"task.id": "pick_place-v1", "method.num_envs": 128}),
        (["method=sft"], {"task.id": "pick_place-v1", "method.epochs": 30}),
        (["method=sft", "task=stack", "method.epochs=2", "budget=quick"], {"task.id": "stack-v1", "method.epochs": 2, "budget.name": "quick"}),
        (["sequence=core6"], {"sequence.tasks.pick_can.id": "pick_can-v1", "method.num_envs": 128}),
    ],
)
def test_keys_of_the_run_that_is_asked_for(overrides, expected, capsys):
    code, out, err = razorbench(capsys, "list", "--keys", *overrides)
    assert (code, err) == (0, "")
    keys = OmegaConf.create(out)
    assert {key: OmegaConf.select(keys, key) for key in expected} == expected


def test_a_users_own_task_and_method(tmp_path):
    """One file and one yaml each, given with --config-dir, stand on the same footing as ours."""
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass, replace\n"
        "from typing import ClassVar\n"
        "from razorbench.envs.pick_place import make as original\n\n"
        "def make(id, horizon):\n    return replace(original(id=id), horizon=horizon)\n\n"
        "@dataclass(frozen=True)\nclass Nothing:\n"
        "    strength: float = 1.0\n    family: ClassVar[str] = 'mine'\n    version: ClassVar[int] = 1\n    old_task_data: ClassVar[bool] = False\n\n"
        "    def adapt(self, base, task, budget, rng):\n        return base\n"
    )
    for group, text in (("task", "_target_: mine.make\nid: mine-v1\nhorizon: 20\n"), ("method", "_target_: mine.Nothing\nstrength: 2\n")):
        (tmp_path / "my_conf" / group).mkdir(parents=True)
        (tmp_path / "my_conf" / group / "mine.yaml").write_text(text)
    command = [sys.executable, "-m", "razorbench", "--config-dir", "my_conf", "task=mine", "method=mine", *TINY]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mine-v1" in done.stdout
    assert next((tmp_path / "results").rglob("record.json"))


SMALL = ["study=projection", "study.bandits=3", "study.tabular=[3]", "study.linear=[[4,2]]", "study.heads=[[2,2]]"]


def test_a_controlled_study(capsys):
    code, out, _ = razorbench(capsys, *SMALL, "results=mine")
    assert code == 0
    assert "KL-minimal policy" in out
    folder = Path("mine/studies/projection")
    assert str(folder) in out
    assert {"report.md", "study.json"} < {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["study=parite"], "study=parite: no such study (did you mean parity?); there are"),
        (["study=asked"], "study=asked is not a controlled study: its command is `python docs/make/recall_file.py`"),
        (["study=tuning"], "study=tuning is not a controlled study: its command is `razorbench tune --study tuning`"),
        (["study=projection", "task=reach"], "task=reach: a study takes only"),
        (["study=projection", "study.bandit=3"], "study.bandit: no such setting of study=projection (did you mean bandits?); there are bandits"),
        (["study=projection", "study.bandits=many"], "study.bandits is 'many': it must be a whole number"),
        (["study=projection", "-m"], "unrecognized arguments: -m"),
        (["study=claims2"], "study=claims2 is not a controlled study: its command is `razorbench claims RESULTS`"),
        (["tune", "--study", "projection"], "its command is `python -m razorbench study=projection`"),
        (["tune", "--study", "claims2"], "its command is `razorbench claims RESULTS`"),
    ],
)
def test_studies_that_are_not_possible(capsys, arguments, word):
    code, _, err = razorbench(capsys, *arguments)
    assert code == 2
    assert word in err
    assert len(err.strip().splitlines()) == 1
