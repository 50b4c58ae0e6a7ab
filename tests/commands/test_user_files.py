"""A user's own files with mistakes in them, folders with odd names, and methods that report oddly: each ends in a sentence, and nothing else is stopped."""

import json
from pathlib import Path

import pytest
from conftest import TINY, project, razorbench

from razorbench.commands import doctor
from razorbench.errors import UpdatesWrong, UsageError
from razorbench.method.data import Notes
from razorbench.registry import config
from razorbench.registry.overrides import literal, quoted
from razorbench.runs import sweep

pytestmark = pytest.mark.usefixtures("few_states")

METHODS = """
from dataclasses import dataclass
from typing import ClassVar
from razorbench import policy

@dataclass(frozen=True)
class Good:
    rate: float = 1.0
    numbers: ClassVar[tuple[int, ...]] = (1, 2, 3)
    family: ClassVar[str] = "mine"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def adapt(self, base, task, budget, rng):
        tuned = policy.clone(base)
        for update in self.numbers:
            task.update(tuned, update, 3)
        return tuned

class Plain(Good):
    pass

class NoDataclass:
    family, version, old_task_data = "mine", 1, False

    def adapt(self, base, task, budget, rng):
        return base

@dataclass(frozen=True)
class NoVersion:
    family: ClassVar[str] = "mine"

@dataclass(frozen=True)
class Idle:
    family: ClassVar[str] = "mine"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

@dataclass(frozen=True)
class Asserts(Good):
    def __post_init__(self):
        assert self.rate > 2

@dataclass(frozen=True)
class Restarts(Good):
    numbers: ClassVar[tuple[int, ...]] = (1, 2, 1)

@dataclass(frozen=True)
class Skips(Good):
    numbers: ClassVar[tuple[int, ...]] = (1, 3)

@dataclass(frozen=True)
class Exceeds(Good):
    numbers: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)

@dataclass(frozen=True)
class StopsEarly(Good):
    numbers: ClassVar[tuple[int, ...]] = (1, 2)

@dataclass(frozen=True)
class Silent(Good):
    def adapt(self, base, task, budget, rng):
        tuned = policy.clone(base)
        optimizer = task.optimizer(tuned, 1e-4)
        next(p for p in optimizer.param_groups[0]["params"]).sum().backward()
        optimizer.step()
        return tuned

@dataclass(frozen=True)
class Forgets(Good):
    def adapt(self, base, task, budget, rng):
        super().adapt(base, task, budget, rng)

@dataclass(frozen=True)
class Notes(Good):
    def adapt(self, base, task, budget, rng):
        task.notes["seen"] = {1, 2}

@dataclass(frozen=True)
class Breaks(Good):
    def adapt(self, base, task, budget, rng):
        return {}["nothing"]
"""
FAULTY = {
    "a tab": (b"_target_: mine.Good\n\trate: 1\n", "conf/method/faulty.yaml is not sound YAML: found character '\\t' that cannot start any token, in line 2"),
    "a doubled key": (b"_target_: mine.Good\nrate: 1.0\nrate: 2.0\n", "found duplicate key rate, in line 3"),
    "UTF-16": ("_target_: mine.Good\n".encode("utf-16"), "conf/method/faulty.yaml is not UTF-8 text"),
    "Latin-1": ("# é\n_target_: mine.Good\n".encode("latin-1"), "conf/method/faulty.yaml is not UTF-8 text"),
    "nothing": (b"", "method=faulty: its yaml names no class"),
    "a list": (b"- one\n- two\n", "method=faulty: its yaml names no class"),
    "no target": (b"rate: 1.0\n", "method=faulty: its yaml names no class"),
    "a reference to nothing": (b"_target_: mine.Good\nrate: ${nothing}\n", "method.rate: Interpolation key 'nothing' not found"),
    "a resolver": (b"_target_: mine.Good\nrate: ${now:%H}\n", "method.rate: the value of ${name:...} may differ between jobs"),
    "no such class": (b"_target_: mine.Nobody\n", "module 'mine' has no attribute 'Nobody'"),
    "no dataclass": (b"_target_: mine.NoDataclass\n", "NoDataclass is not a dataclass"),
    "no version": (b"_target_: mine.NoVersion\n", "NoVersion does not declare version"),
    "no adapt": (b"_target_: mine.Idle\n", "Idle has no method `adapt(self, base, task, budget, rng)`"),
    "an assert": (b"_target_: mine.Asserts\n", "Asserts does not take these values (AssertionError in `assert self.rate > 2`)"),
    "not a number": (b"_target_: mine.Good\nrate: .nan\n", "method.rate is nan: it must be a finite number"),
}


@pytest.fixture(autouse=True)
def conf(tmp_path, monkeypatch):
    """A user's folder, from where commands are given, with a module and a conf folder."""
    return project(tmp_path, monkeypatch, METHODS)


@pytest.mark.parametrize("kind", FAULTY)
def test_a_faulty_file_is_a_sentence_and_stops_nothing_else(kind, conf, capsys, monkeypatch):
    content, sentence = FAULTY[kind]
    (conf / "faulty.yaml").write_bytes(content)
    (conf / "good.yaml").write_text("_target_: mine.Good\n")
    code, out, err = razorbench(capsys, "task=pick_place", "method=faulty", "--config-dir", "conf")
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1
    monkeypatch.setattr(config.Registry, "names", lambda self, group: ["faulty", "good", "sft"])
    with config.registry("conf") as registry:
        assert set(registry.sound("method")) == {"good", "sft"}
    passed = capsys.readouterr().err
    assert passed.startswith("razorbench: method faulty is left out: ")
    assert sentence in passed


def test_a_faulty_task_does_not_stop_the_check_of_another(capsys, monkeypatch):
    monkeypatch.setattr(config.Registry, "names", lambda self, group: {"task": ["faulty", "stack"], "skill": ["lift"], "method": []}[group])
    (tasks := Path("conf/task")).mkdir()
    (tasks / "faulty.yaml").write_text("- a list\n")
    code, out, err = razorbench(capsys, "check", "stack", "--config-dir", "conf")
    assert (code, out) == (0, "stack-v1: conforms\n")
    assert err.startswith("razorbench: task faulty is left out: task=faulty: its yaml makes no Task")
    code, _, err = razorbench(capsys, "check", "faulty", "--config-dir", "conf")
    assert code == 2
    assert len(err.splitlines()) == 1


ODD = {
    "Restarts": "the method reported update 1 of 3 after update 2 of 3",
    "Skips": "the method reported update 3 of 3 after update 1 of 3",
    "Exceeds": "the method reported update 4 of 3 after update 3 of 3",
    "Silent": "the method trained (gradient steps counted: 1) and reported no update",
    "Forgets": "returned NoneType: `adapt` must return the tuned policy",
    "Notes": "task.notes['seen'] is {1, 2}: a note must be a JSON value",
    "Breaks": "unexpected KeyError: 'nothing' (line ",
}


def test_methods_that_report_oddly_fail_in_a_sentence(conf, capsys, monkeypatch):
    monkeypatch.setattr(sweep, "TRIES", 1)
    for name in ODD:
        (conf / f"{name.lower()}.yaml").write_text(f"_target_: mine.{name}\n")
    names = ",".join(name.lower() for name in ODD)
    code, out, err = razorbench(capsys, "-m", "task=pick_place", f"method={names}", "--config-dir", "conf", *TINY)
    assert (code, err) == (1, "")
    assert "0 of 7 runs are done." in out
    for sentence in ODD.values():
        assert sentence in out, sentence
    assert "of mine.py); see results/pick_place/breaks/seed0-" in out


def test_a_method_that_ends_early_is_measured_where_it_ended(conf, capsys):
    (conf / "early.yaml").write_text("_target_: mine.StopsEarly\n")
    (conf / "good.yaml").write_text("_target_: mine.Good\n")
    code, _, _ = razorbench(capsys, "-m", "task=pick_place", "method=early,good", "--config-dir", "conf", *TINY)
    assert code == 0
    for name, updates in (("early", [0, 1, 2]), ("good", [0, 1, 3])):
        curve = next(Path("results", "pick_place", name).rglob("curve.jsonl")).read_text()
        assert [json.loads(line)["update"] for line in curve.splitlines()] == updates


def test_notes_hold_what_json_holds_and_say_so_at_once():
    notes = Notes()
    notes["share"], notes["words"] = 0.5, ["one", None, {"deep": True}]
    notes.update(count=3)
    notes["words"].append("two")
    assert dict(notes) == {"share": 0.5, "words": ["one", None, {"deep": True}, "two"], "count": 3}
    for bad in ({1}, float("nan"), b"bytes", object()):
        with pytest.raises(UsageError, match=r"task.notes\['bad'\] is .*: a note must be a JSON value"):
            notes["bad"] = bad
        with pytest.raises(UsageError):
            notes.setdefault("bad", [bad])
    assert "bad" not in notes
    assert issubclass(UpdatesWrong, Exception)


FOLDERS = ["Žofie", "a=b", "c,d", "g(h)", "e[f]", "m#n", "~q", "r{s}", "i'j", "it's", "back\\slash", 'quo"te', "$x", "${y}", "p%20q", "sp ace", "x:y"]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_project_in_a_folder_of_that_name(name, conf, tmp_path, monkeypatch):
    place = tmp_path / name
    place.mkdir()
    (tmp_path / "conf").rename(place / "conf")
    (place / "conf" / "method" / "good.yaml").write_text("_target_: mine.Good\n")
    monkeypatch.chdir(place)
    with config.registry("conf") as registry:
        (asked,) = registry.asked(["task=pick_place", "method=good", *TINY], False)
        composed = registry.whole(asked.overrides)
    assert asked.folder.results == place / "results"
    assert config.results_of(composed) == place / "results"


def test_runs_in_a_folder_of_all_odd_characters(conf, tmp_path, monkeypatch, capsys):
    place = tmp_path / "Žofie a=b,c(d)[e]#m~{s}i'j $x"
    place.mkdir()
    (tmp_path / "conf").rename(place / "conf")
    (place / "conf" / "method" / "good.yaml").write_text("_target_: mine.Good\n")
    monkeypatch.chdir(place)
    for words in (["task=pick_place"], ["-m", "task=pick_place,stack", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]):
        code, out, err = razorbench(capsys, *words, "method=good", "--config-dir", "conf", "results=runs=1", *TINY)
        assert (code, err) == (0, ""), out
    assert len(list((place / "runs=1").rglob("record.json"))) == 2


MEANT = {word: word for word in ("1e5", "null", "true", "lr=0.1", "a,b", "runs[v2]", "{a}", "x#y")} | {"'quoted'": "quoted"}


@pytest.mark.parametrize("typed", MEANT)
def test_results_are_where_they_say(typed, tmp_path):
    with config.registry() as registry:
        (asked,) = registry.asked(["task=pick_place", "method=sft", f"results={typed}"], False)
        composed = registry.compose(["task=pick_place", "method=sft", f"results={typed}"])
    assert asked.folder.results == config.results_of(composed) == tmp_path / MEANT[typed]
    assert asked.name == "task=pick_place method=sft"


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert literal(["results=~/runs"]) == [quoted("results", str(tmp_path / "home" / "runs"))]


def test_demonstrations_with_an_odd_name_and_styles(capsys, tmp_path):
    assert razorbench(capsys, "demos", "pick_place", "--episodes", "8", "--out", "a=b,c.safetensors")[0] == 0
    with config.registry() as registry:
        (asked,) = registry.asked(["task=pick_place", "method=sft", "demos=a=b,c.safetensors"], False)
        several = registry.asked(["task=pick_place", "method=sft", "demos=direct,detour,null"], True)
    assert asked.spec.recorded is not None
    assert f"demos='{tmp_path}/a=b,c.safetensors'" in asked.overrides
    assert [one.spec.style for one in several] == ["direct", "detour"]


BAD = {
    "a broken task": ("task", "_target_: razorbench.envs.stack.make\n\tid: bad-v1\n", "conf/task/bad.yaml is not sound YAML"),
    "a broken method": ("method", "_target_: [\n", "conf/method/bad.yaml is not sound YAML"),
    "a task without an id": ("task", "_target_: razorbench.envs.stack.make\n", "task.id is missing: write it into the yaml"),
    "a task with an unknown key": ("task", "_target_: razorbench.envs.stack.make\nid: bad-v1\nhigth: 1\n", "task.higth: no such setting; there are easy, id"),
    "a method with an unknown key": ("method", "_target_: mine.Good\nrat: 1.0\n", "method.rat: no such setting (did you mean rate?); there is rate"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_fails_alone(kind, conf, capsys):
    group, text, sentence = BAD[kind]
    (conf / "good.yaml").write_text("_target_: mine.Good\n")
    (tasks := Path("conf/task")).mkdir()
    (tasks / "quoted.yaml").write_text("_target_: razorbench.envs.stack.make\nid: 'quoted-v1'\n")
    Path("conf", group, "bad.yaml").write_text(text)
    words = {"task": "quoted", "method": "good", group: "bad"}
    code, out, err = razorbench(capsys, *(f"{key}={name}" for key, name in words.items()), "--config-dir", "conf")
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1
    for others in (["--help"], ["list", "--config-dir", "conf"], ["list", "--keys", "task=quoted", "method=good", "--config-dir", "conf"]):
        code, out, err = razorbench(capsys, *others)
        assert (code, err) == (0, ""), others
        assert out
    with config.registry("conf") as known:
        asked = known.asked(["task=quoted,stack", "method=good,frozen"], True)
    assert [one.spec.task.id for one in asked] == ["quoted-v1", "quoted-v1", "stack-v1", "stack-v1"]


@pytest.mark.parametrize("kind", BAD)
def test_the_doctor_names_a_file_that_cannot_be_read(kind, conf, capsys, monkeypatch):
    group, text, sentence = BAD[kind]
    (Path("conf") / group).mkdir(exist_ok=True)
    Path("conf", group, "bad.yaml").write_text(text)
    for part in ("_bases", "_physics", "_pictures"):
        monkeypatch.setattr(doctor, part, lambda *_: "fine")
    code, out, err = razorbench(capsys, "doctor", "--config-dir", "conf")
    broken = "YAML" in sentence
    assert (code, err) == (int(broken), "")
    (line,) = [line for line in out.splitlines() if line[6:].startswith("settings")]
    assert line.startswith("wrong") is broken
    assert not broken or sentence in line
    assert sum(line.startswith("wrong") for line in out.splitlines()) == broken
