"""A world of a user's own, with its own engine: what it has runs, and what it lacks is undefined, in one sentence, before any work."""

import json
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, TINY_METHOD

from razorbench.registry import config

BUDGET = ["budget.env_steps=1920", "budget.demo_episodes=40", "budget.expert_queries=2000", "budget.gradient_steps=200"]
SMALL = [*BUDGET, "eval.snapshots=2", "eval.episodes=20", "eval.skill_episodes=10"]
MUTE = "_target_: my_world.make\nid: mute-v1\nside: 1.0\nscripted: false\n"


def typed(folder, *words):
    done = subprocess.run([sys.executable, "-m", "razorbench", *words, "--config-dir", "conf"], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the examples, with a task without experts, and a base that was made for their world."""
    folder = shutil.copytree(ROOT / "examples", tmp_path_factory.mktemp("plane") / "examples")
    (folder / "conf" / "task" / "mute.yaml").write_text(MUTE)
    _, out, err = typed(folder, "pretrain", "base=plane")
    assert (err, "left" in out) == ("", True), out + err
    return folder


def without_needs():
    with config.registry() as registry:
        return [name for name, method in registry.sound("method").items() if not getattr(method, "needs", ())]


@pytest.mark.parametrize(
    ("task", "method"),
    [
        *[("right", "sft"), ("right", "dagger"), ("mute", "ppo"), ("mute", "frozen")],
        *(pytest.param("mute", method, marks=pytest.mark.slow) for method in without_needs() if method not in ("ppo", "frozen")),
    ],
)
def test_it_runs(folder, task, method):
    settings = {setting.partition("=")[0]: setting for setting in (*SMALL, *TINY_METHOD[method])}
    code, out, err = typed(folder, f"task={task}", f"method={method}", "base=plane", *settings.values())
    assert (code, err) == (0, ""), out + err
    (record,) = (json.loads(path.read_text()) for path in (folder / "results" / task / method).rglob("record.json"))
    assert (record["world"], record["method"]["demos"]) == ("plane-1", "straight" if task == "right" else "none")
    assert record["retention"]["value"] is not None
    assert "new_instructed" not in record["divergence"]["kl_forward"]


def test_demonstrations_may_come_from_a_file(folder):
    assert typed(folder, "demos", "right", "--episodes", "60", "--out", "shown.safetensors")[0] == 0
    code, _, err = typed(folder, "task=right", "method=sft", "base=plane", "demos=shown.safetensors", "results=filed", *SMALL)
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["task=mute", "method=sft"],
            "method=sft is undefined on mute-v1 from plane-s0: it needs demonstrations: a scripted expert, or a file of them (demos=FILE)",
        ),
        (["task=mute", "method=dagger"], "it needs a scripted expert, which answers on the policy's own states"),
        (["task=right", "method=lwf"], "it needs an original skill whose instruction is not the new task's"),
        (["task=right", "method=sft_recall"], "and goals for the original skills in the new task's scenes (`goals` in the base's yaml)"),
    ],
)
def test_what_it_lacks_is_undefined_before_any_work(folder, words, said):
    code, _, err = typed(folder, *words, "base=plane", "results=none", *SMALL)
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (folder / "none").exists()


@pytest.mark.parametrize(("task", "base"), [("pick_place", "plane"), ("right", "mlp")])
def test_task_and_base_are_of_one_world(folder, task, base):
    code, _, err = typed(folder, f"task={task}", "method=ppo", f"base={base}", "results=none")
    assert code == 2
    assert "choose a task and a base of one world" in err


def test_a_film_needs_a_mujoco_model_and_says_so(folder):
    test_it_runs(folder, "mute", "frozen")
    (run,) = (path.parent for path in (folder / "results" / "mute" / "frozen").rglob("record.json"))
    code, _, err = typed(folder, "video", str(run))
    assert code == 2, err
    assert "lives in plane-1, which brings an engine of its own: this needs a world of MuJoCo models" in err


@pytest.mark.parametrize("task", ["right", "mute"])
def test_its_tasks_are_checked_without_physics(folder, task):
    assert typed(folder, "check", task) == (0, f"{task}-v1: conforms\n", "")
