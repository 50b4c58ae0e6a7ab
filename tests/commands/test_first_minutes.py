"""What a stranger meets first: the version, whether the installation works, the list, both ways to start the program, and commands to paste."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import gymnasium
import mujoco
import pytest
import torch
from conftest import TINY, project, razorbench
from hypothesis import given
from hypothesis import strategies as st

import razorbench as package
from razorbench.commands import doctor
from razorbench.errors import among, nearest
from razorbench.identity import catalog
from razorbench.runs import sweep as sweeps
from razorbench.runs.suggest import completed, finding, sweep
from razorbench.store.writable import filling
from razorbench.world import golden

SCRIPT = "import sys\nfrom razorbench.commands.main import main\n\nif __name__ == '__main__':\n    sys.exit(main())\n"
"""What an installer writes for the console script."""
METHOD = """
from dataclasses import dataclass
from typing import ClassVar

@dataclass(frozen=True)
class Idle:
    \"\"\"Does nothing at all.\"\"\"

    family: ClassVar[str] = "mine"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def adapt(self, base, task, budget, rng):
        return base

class Fails(Idle):
    def adapt(self, base, task, budget, rng):
        raise ValueError("no")
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A user's folder with a module and a conf folder `my conf`, whose name a shell has to be told in quotes."""
    methods = project(tmp_path, monkeypatch, METHOD)
    (methods / "idle.yaml").write_text("_target_: mine.Idle\n")
    Path("conf").rename("my conf")
    return Path("my conf")


def test_the_version(capsys):
    assert razorbench(capsys, "--version") == (0, f"razorbench {package.__version__}\n", "")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("pp0", "ppo"),
        ("PPO", "ppo"),
        ("lr", "learning_rate"),
        ("clip", "clip_range"),
        ("batchsize", "batch_size"),
        ("--huors", "--hours"),
        ("ab", None),
        ("", None),
        ("zzz", None),
    ],
)
def test_what_was_meant(word, meant):
    assert nearest(word, ["ppo", "learning_rate", "critic_learning_rate", "clip_range", "batch_size", "--hours"]) == meant


def test_the_end_of_a_sentence_about_a_wrong_name():
    assert among("pp0", ["ppo", "sft"]) == " (did you mean ppo?); there are ppo, sft"
    assert among("x", ["ppo"]) == "; there is ppo"
    assert among("x", []) == "; there are none"
    assert among("coer", ["stack"], ["core"]) == " (did you mean core?); there is stack"


@given(st.text(), st.lists(st.text()))
def test_a_guess_is_a_name_that_there_is(word, names):
    assert nearest(word, names) in (None, *names)


@pytest.mark.parametrize(
    ("sentence", "whole"),
    [
        ("do `python -m razorbench -m task=core`, then", "do `python -m razorbench -m task=core --config-dir 'my conf'`, then"),
        ("see `razorbench list`; `razorbench tune sft`", "see `razorbench list --config-dir 'my conf'`; `razorbench tune sft --config-dir 'my conf'`"),
        ("`razorbench x --config-dir other`", "`razorbench x --config-dir other`"),
        ("`make study`, `razorbenchmark` and razorbench --help", "`make study`, `razorbenchmark` and razorbench --help"),
    ],
)
def test_a_suggested_command_finds_the_users_folder(sentence, whole):
    assert completed(sentence, "my conf") == whole
    assert completed(sentence, None) == sentence


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_shell_reads_what_was_meant(folder, results):
    words = shlex.split(sweep(Path(results), "quick", folder))
    assert words == ["python", "-m", "razorbench", "-m", "--config-dir", folder, f"results={Path(results)}", "budget=quick"]
    assert shlex.split(finding(folder)) == ["--config-dir", folder]


def test_commands_that_messages_suggest_have_the_users_folder(mine, capsys):
    own = ("--config-dir", "my conf")
    quoted = "--config-dir 'my conf'"
    Path("empty").mkdir()
    for words in (["task=stack"], ["task=core", "method=idle"], ["task=stack", "method=idle", "lr=1"], ["demos", "core"], ["status", "empty"], ["study=law"]):
        code, _, err = razorbench(capsys, *words, *own)
        commands = re.findall(r"`((?:python -m )?razorbench[^`]*)`", err)
        assert code == 2
        assert all(command.endswith(quoted) for command in commands), err
        assert commands or words[0] == "demos", err
    code, _, err = razorbench(capsys, "task=stack")
    assert "config-dir" not in err


def test_a_failed_run_is_named_as_it_is_to_be_typed(mine, capsys, monkeypatch):
    monkeypatch.setattr(sweeps, "TRIES", 1)
    (mine / "method" / "fails.yaml").write_text("_target_: mine.Fails\n")
    code, out, _ = razorbench(capsys, "-m", "task=stack", "method=fails", "--config-dir", "my conf", *TINY)
    assert code == 1
    name = f"task=stack method=fails {' '.join(TINY)} --config-dir '{mine.absolute()}'"
    assert f"failed: {name}\n" in out
    code, out, _ = razorbench(capsys, "status", "results")
    assert code == 1
    assert f"failed   {name}\n" in out


def test_what_a_failed_command_was_to_fill_is_as_before(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").write_text("")
    (tmp_path / "empty").mkdir()
    for name, left in (("new/deep", []), ("empty", ["empty"]), ("full", ["full", "full/kept", "full/part"])):
        with pytest.raises(KeyboardInterrupt), filling(tmp_path / name, name, "--out"):
            (tmp_path / name / "part").mkdir()
            raise KeyboardInterrupt
        found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob(f"{name.split('/')[0]}/**") if path != tmp_path)
        assert (tmp_path / "full" / "kept").exists()
        assert [path for path in found if "kept" not in path] == [path for path in left if "kept" not in path]
    with filling(tmp_path / "new" / "deep", "new", "--out"):
        (tmp_path / "new" / "deep" / "whole").write_text("")
    assert (tmp_path / "new" / "deep" / "whole").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["report", "runs", "--out", "new/page"],
        pytest.param(["pack", "runs", "--method", "sft", "--author", "A", "--description", "D", "--out", "new/package"], marks=pytest.mark.slow),
        pytest.param(["leaderboard", "runs", "--out", "new/site", "--since", "none"], marks=pytest.mark.slow),
    ],
)
def test_a_command_that_fails_leaves_no_folder(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    code, _, err = razorbench(capsys, *words)
    assert code == 2, err
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_the_list_is_read_and_not_built():
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "razorbench", "list"], capture_output=True, text=True, check=True)
    imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"torch", "mujoco", "hydra", "omegaconf", "stable_baselines3", "scipy"}
    lines = done.stdout.splitlines()
    assert all(len(line.split()) > 2 for line in lines if line.startswith("  ") and "  core" not in line), [line for line in lines if len(line.split()) < 3]


BROKEN = {
    "a tab": "id: x-v1\n\t_target_: a.b\n",
    "no id": "_target_: razorbench.envs.stack.make\n",
    "an id without a version": "_target_: razorbench.envs.stack.make\nid: stack\n",
    "a list for an id": "_target_: razorbench.envs.stack.make\nid: [1, 2]\n",
    "no target": "id: x-v1\n",
    "a list": "- id: x-v1\n",
    "nothing": "",
    "only a comment": "# stack\n",
    "another's id": "_target_: razorbench.envs.stack.make\nid: stack-v1\n",
    "itself for a default": "defaults: [broken]\n",
}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A conf folder that stands in for the shipped one, with one sound task, and a registry that knows none."""
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "stack.yaml").write_text('# A task.\nid: "stack-v1" # its name\n_target_: razorbench.envs.stack.make\n')
    monkeypatch.setattr(catalog, "files", lambda package: tmp_path)
    monkeypatch.setattr(gymnasium, "registry", known := {})
    monkeypatch.setattr(gymnasium, "register", lambda id, **rest: known.update({id: rest}))
    return known


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_task_does_not_end_what_needs_another(kind, shipped, tmp_path):
    (tmp_path / "task" / "broken.yaml").write_text(BROKEN[kind])
    (tmp_path / "task" / "stack.yaml~").write_text("an editor's copy")
    package._register()
    assert {id: rest["kwargs"] for id, rest in shipped.items()} == {"RazorBench/Stack-v1": {"target": "razorbench.envs.stack.make", "task_id": "stack-v1"}}
    lines = list(catalog.Catalog().lines())
    assert "  stack            A task." in lines
    assert next(line for line in lines if line.startswith("  broken"))


def test_a_file_that_cannot_be_read_says_why_in_the_list(mine, capsys):
    (mine / "task").mkdir()
    (mine / "task" / "bad.yaml").write_bytes(b"id: x-v1\n\t_target_: a.b\n")
    (mine / "method" / "sft.yaml").write_text("_target_: mine.Idle\n")
    (mine / "method" / "away.yaml").write_text("_target_: nowhere.Method\n")
    code, out, err = razorbench(capsys, "list", "--config-dir", "my conf")
    assert (code, err) == (0, "")
    assert re.search(r"bad +cannot be used: my conf/task/bad.yaml is not sound YAML: .*, in line 2; correct that line", out)
    assert re.search(r"sft +cannot be used: my conf/method/sft.yaml has the name of a shipped method: give the file another name", out)
    assert re.search(r"away +nowhere.Method cannot be found from here", out)
    assert re.search(r"idle +Does nothing at all.", out)


def doctored(capsys, *words):
    code, out, err = razorbench(capsys, "doctor", *words)
    assert err == ""
    lines = {line[6:17].strip(): (line[:6].strip(), line[17:]) for line in out.splitlines()}
    assert len(lines) == len(out.splitlines())
    return code, lines


@pytest.mark.slow
def test_the_doctor_finds_this_installation_well(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, lines = doctored(capsys)
    assert list(lines) == ["RazorBench", "Python", "torch", "MuJoCo", "cores", "results", "settings", "bases", "physics", "pictures"]
    assert code == 0
    assert {mark for mark, _ in lines.values()} <= {"ok", "note"}
    assert lines["bases"][1].startswith("12 base policies fit")
    assert lines["physics"][1].startswith("20 tasks move as in their golden trajectories")
    assert not list(tmp_path.iterdir())


def test_the_doctor_says_what_is_wrong_and_the_way_out(capsys, mine, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(doctor, "_OLDEST", (4, 0))
    monkeypatch.setattr(golden, "difference", lambda task, file: "it differs" if task.name == "stack" else None)
    monkeypatch.setenv("RAZORBENCH_THREADS", "many")
    monkeypatch.setenv("MUJOCO_GL", "nothing")
    monkeypatch.setattr(mujoco, "__version__", "3.3.0")
    monkeypatch.setattr(doctor, "_bases", lambda config_dir: importlib.import_module("nowhere"))
    (mine / "method" / "idle.yaml").write_text("a: [\n")
    Path("file").write_text("")
    code, lines = doctored(capsys, "--results", "file/runs", "--config-dir", "my conf")
    assert code == 1
    assert lines["torch"][0] == "note" and f"--index-url {doctor.CPU_INDEX}` installs the CPU build" in lines["torch"][1]
    expected = {
        "Python": "it must be 4.0 or newer",
        "MuJoCo": "3.3.0: it must be 4 or newer",
        "cores": "RAZORBENCH_THREADS is 'many'",
        "results": "choose a writable folder with results=DIR",
        "settings": "my conf/method/idle.yaml is not sound YAML",
        "bases": "No module named 'nowhere'; install RazorBench's packages again",
        "physics": "stack-v1: it differs: results here would differ from published ones",
    }
    assert {name: lines[name][0] for name in expected} == dict.fromkeys(expected, "wrong")
    for name, words in expected.items():
        assert words in lines[name][1]
    assert lines["pictures"][0] == "note" and "apt-get install libegl1" in lines["pictures"][1]


def started(tmp_path, *words):
    """The program as its console script starts it, which lies in a folder of its own."""
    (script := tmp_path / "bin" / "razorbench").parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT)
    return subprocess.run([sys.executable, script, *words], cwd=tmp_path, capture_output=True, text=True, check=False)


def test_the_console_script_finds_a_module_in_the_working_folder(mine, tmp_path):
    done = started(tmp_path, "list", "idle", "--config-dir", "my conf")
    assert (done.returncode, done.stdout, done.stderr) == (0, "method=idle\nDoes nothing at all.\n\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local"])
def test_the_console_script_finds_a_module_with_a_launcher(launcher, mine, tmp_path):
    if launcher == "submitit_local":
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    done = started(tmp_path, "-m", "task=pick_place", "method=idle", "seed=0,1", f"hydra/launcher={launcher}", "--config-dir", "my conf", *TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(Path("results/pick_place/idle").rglob("record.json"))) == 2


def test_in_the_program_itself_no_folder_is_added(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    razorbench(capsys, "--version")
    assert sys.path == before
