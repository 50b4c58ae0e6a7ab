"""Defaults stand in classes alone: every setting can be overridden, is listed and is in the record, whether a yaml names it or not."""

from pathlib import Path

import pytest
import yaml
from conftest import METHODS, ROOT, TASKS, TINY, compose, project, razorbench

from razorbench.errors import UsageError
from razorbench.registry import config
from razorbench.registry.filling import OPEN, defaults, imported, usual

METHOD = """
import math
from dataclasses import dataclass, field
from typing import ClassVar

@dataclass(frozen=True)
class Mine:
    strength: float = field(kw_only=True)
    rate: float = 1
    layers: list[int] = field(default_factory=lambda: [64])
    most: float = math.inf
    family: ClassVar[str] = "mine"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def adapt(self, base, task, budget, rng):
        return base
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A user's folder with a method whose yaml names no setting."""
    methods = project(tmp_path, monkeypatch, METHOD)
    (methods / "mine.yaml").write_text("_target_: mine.Mine\n")
    return methods


@pytest.mark.parametrize(("group", "name"), [*(("method", name) for name in METHODS), *(("task", name) for name in TASKS)])
def test_a_shipped_yaml_repeats_no_default(group, name):
    keys = yaml.safe_load((ROOT / "conf" / group / f"{name}.yaml").read_text())
    assert {key: value for key, value in usual(keys).items() if key in keys} == {}
    assert set(keys) - {"defaults", "_target_"} <= set(defaults(imported(keys["_target_"], "it")))


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_can_be_overridden(name):
    spec, _ = compose("task=stack", f"method={name}")
    for key, value in vars(spec.method).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            changed, _ = compose("task=stack", f"method={name}", f"method.{key}={value / 2 if isinstance(value, float) else value + 1}")
            assert getattr(changed.method, key) != getattr(spec.method, key) == value


def test_parts_of_a_run_that_no_yaml_names():
    spec, plain = compose("task=stack", "method=sft", "task.easy=true", "base.rounds=3", "eval.snapshots=7")
    assert spec.task.settings["easy"] is True
    assert (plain["base"]["rounds"], plain["base"]["directory"], spec.eval.snapshots, spec.eval.episodes) == (3, None, 7, 100)


def test_a_sweep_over_a_setting_that_no_yaml_names():
    with config.registry() as known:
        asked = known.asked(["task=stack", "method=sft,lwf", "method.epochs=1,2"], True)
    assert [(one.spec.method_name, one.spec.method.epochs) for one in asked] == [("sft", 1), ("sft", 2), ("lwf", 1), ("lwf", 2)]


def test_defaults_go_after_those_of_another_yaml(mine):
    """Which a child inherits: its class's defaults do not take the place of what its parent says."""
    (mine / "parent.yaml").write_text("_target_: razorbench.baselines.sft.SFT\nlearning_rate: 5.0\n")
    (mine / "child.yaml").write_text("defaults: [parent, _self_]\n_target_: razorbench.baselines.lwf.LwF\n")
    with config.registry("conf") as known:
        made = known.item("method", "child")
    assert (type(made).__name__, made.learning_rate, made.weight) == ("LwF", 5.0, 0.3)


def test_what_is_as_usual_is_what_the_class_holds(mine):
    """A list stays a list and a whole number one, as where the class alone is called: a run's name depends on them."""
    with config.registry("conf") as known:
        (one,) = known.asked(["task=stack", "method=mine", "method.strength=2"], False)
        (other,) = known.asked(["task=stack", "method=mine", "method.strength=2", "method.layers=[3]"], False)
    assert (one.spec.method.strength, one.spec.method.layers, one.spec.method.most) == (2.0, [64], float("inf"))
    assert one.spec.identity()["method"]["settings"] == {"strength": 2.0, "rate": 1, "layers": [64], "most": "inf"}
    assert other.spec.method.layers == (3,)


def test_the_record_has_all(mine, capsys):
    assert razorbench(capsys, "task=pick_place", "method=mine", "method.strength=2", "--config-dir", "conf", *TINY)[0] == 0
    record = yaml.safe_load(next(Path("results").rglob("record.json")).read_text())
    assert record["config"]["method"] == {"_target_": "mine.Mine", "strength": 2.0, "rate": 1, "layers": [64], "most": "inf"}
    assert record["config"]["task"]["easy"] is False
    assert record["config"]["base"]["rounds"] == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["method=mine"], "method.strength is missing: write it into the yaml, or give it on the command line as method.strength=..."),
        (["method=mine", "method.rat=1"], "method.rat: no such setting of method=mine (did you mean rate?); there are strength, rate, layers"),
        (["method=sft", "method.epoch=1"], "no such setting of method=sft (did you mean epochs?); there are learning_rate, batch_size, max_grad_norm, epochs"),
        (["method=sft", "base.round=1"], "base.round: no such setting of base=mlp (did you mean rounds?)"),
        (["method=builtin"], "method._target_=builtins.dict cannot be imported (no signature found for builtin type <class 'dict'>)"),
        (["method=nowhere", "method.rate=1"], "method._target_=nowhere.Mine cannot be imported (No module named 'nowhere')"),
    ],
)
def test_what_is_wrong_with_settings(words, sentence, mine, capsys):
    (mine / "builtin.yaml").write_text("_target_: builtins.dict\n")
    (mine / "nowhere.yaml").write_text("_target_: nowhere.Mine\n")
    code, _, err = razorbench(capsys, "task=stack", *words, "--config-dir", "conf")
    assert code == 2
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_keys_that_no_yaml_names_are_listed(mine, capsys):
    code, out, _ = razorbench(capsys, "list", "--keys", "method=mine", "--config-dir", "conf")
    assert code == 0
    assert yaml.safe_load(out)["method"] == {"_target_": "mine.Mine", "strength": OPEN, "rate": 1, "layers": [64]}


def test_a_target_that_cannot_be_imported_is_a_sentence():
    with pytest.raises(UsageError, match=r"here._target_=os.nothing cannot be imported \(module 'os' has no attribute 'nothing'\)"):
        imported("os.nothing", "here._target_")


def test_a_searching_sweeper_is_told_of_a_wrong_setting(mine, capsys):
    pytest.importorskip("optuna")
    sweep = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "task=stack", "method=sft", "eval.split=select"]
    code, _, err = razorbench(capsys, *sweep, "method.epoch=choice(1,2)")
    assert code == 2
    assert "method.epoch: no such setting of method=sft (did you mean epochs?)" in err


@pytest.mark.parametrize("group", ["method", "budget", "suite"])
def test_a_group_composed_at_once_is_each_of_its_objects(group, monkeypatch):
    with config.registry() as registry:
        alone = {name: registry.item(group, name) for name in registry.names(group)}
        monkeypatch.setattr(registry, "_sound_alone", lambda *arguments: pytest.fail("they were built one by one"))
        assert registry.sound(group) == alone
