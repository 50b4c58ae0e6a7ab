"""What a run's hash is made of: declared versions and settings for what ships, and a digest of one's own code for what does not."""

import functools
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import lock
import numpy as np
import pins
import pytest
from conftest import METHODS, ROOT, SKILLS, TASKS, TINY, compose, razorbench, task

from razorbench.errors import UsageError
from razorbench.identity import source
from razorbench.identity.parts import made_of
from razorbench.registry import config

TASK = """
from functools import partial
from {helper} import LIMIT
from razorbench.envs.lift import make as original
from dataclasses import replace

def solved(r, height):
    return r.object[:, 2] > height + 0 * LIMIT

def make(id, height):
    return replace(original(id=id), success=partial(solved, height=height))
"""


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("x = 1", "x = 1  # why"),
        ("def f():\n    return f'{1}\"'", "def f():\n  '''What.'''\n\n  return f'{1}\"'"),
        ("from a import b\nx: int = b(1)", "from c.a import b\n\nx: float = b(1)"),
        ("def f(x: int) -> int:\n    return x", "def f(x):\n    return (x)"),
        ("class A:\n    x: int = 0\n    'Doc.'", "class A:\n    x: float = 0"),
    ],
)
def test_what_decides_no_result_is_in_no_digest(one, same):
    assert source.digest(one) == source.digest(same)


@pytest.mark.parametrize(
    ("one", "other"), [("x = 1", "x = 2"), ("x = 1", "x = '1'"), ("x = 1", "x = True"), ("x = y", "x = 'y'"), ("a + b", "a - b"), ("f(a)", "f(b)")]
)
def test_what_decides_a_result_is_in_the_digest(one, other):
    assert source.digest(one) != source.digest(other)


def test_every_python_agrees_on_the_digest_of_every_file():
    """With whatever Pythons lie on this machine: they need nothing installed."""
    paths = [path for folder in ("razorbench", "envs", "baselines", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
    script = (
        "import importlib.util, json, sys\n"
        "spec = importlib.util.spec_from_file_location('source', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(json.dumps([module.digest(open(path, encoding='utf-8').read()) for path in sys.argv[2:]]))\n"
    )
    ours = [source.digest(path.read_text(encoding="utf-8")) for path in paths]
    for python in pythons():
        done = subprocess.run([python, "-I", "-c", script, source.__file__, *paths], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == ours, python


def pythons():
    """Every CPython from 3.11 on that can be found."""
    places = [*Path.home().glob(".pyenv/versions/3.*/bin/python"), *filter(None, map(shutil.which, ("python3.11", "python3.12", "python3.13", "python3.14")))]
    asked = [(place, subprocess.run([place, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True, text=True)) for place in places]
    return [str(place) for place, done in asked if done.stdout.strip() == "True"]


@dataclass
class Pair:
    first: object
    second: object


def closing(over):
    return lambda x: x + over


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, True),
        (1.0, float("nan")),
        ([1, [2]], [1, [3]]),
        ({"a": 1}, {"b": 1}),
        ({1, 2}, {1, 3}),
        (np.zeros(3), np.ones(3)),
        (np.zeros(3), np.zeros(3, dtype=np.float32)),
        (functools.partial(closing, over=1), functools.partial(closing, over=2)),
        (closing(0.12), closing(0.9)),
        (lambda x, y=1: x, lambda x, y=2: x),
        (Pair(1, 2), Pair(1, 3)),
        (Pair(1, 2).__eq__, Pair(2, 1).__eq__),
        (np.sin, np.cos),
    ],
)
def test_things_that_differ_are_made_of_other_things(one, other):
    told, again, others = (json.dumps(made_of(each), allow_nan=False) for each in (one, one, other))
    assert told == again != others


def test_a_thing_that_holds_itself_ends():
    pair = Pair(1, None)
    pair.second = [pair]
    assert made_of(pair)["second"] == ["itself"]


def module(place, monkeypatch, name, text):
    """A user's module, forgotten after the test."""
    (place / f"{name}.py").write_text(text)
    monkeypatch.setitem(sys.modules, name, None)
    del sys.modules[name]


@pytest.fixture
def own_task(tmp_path, monkeypatch):
    """A user's task with a setting, in a module that imports another; what a run of it with that setting is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "conf/task").mkdir(parents=True)
    (tmp_path / "conf/task/high.yaml").write_text("_target_: high.make\nid: high-v1\nheight: 0.12\n")

    def hash_of(height=0.12, limit=0.5, comment=""):
        module(tmp_path, monkeypatch, "limits", f"LIMIT = {limit}\n")
        module(tmp_path, monkeypatch, "high", comment + TASK.format(helper="limits"))
        with config.registry("conf") as known:
            (one,) = known.asked(["task=high", "method=frozen", f"task.height={height}"], False)
        return one.folder.hash

    return hash_of


def test_all_that_a_user_s_task_is_made_of_names_its_runs(own_task):
    assert own_task() == own_task() == own_task(comment="# A comment.\n")
    assert len({own_task(), own_task(height=0.9), own_task(limit=0.6)}) == 3


def test_a_user_s_method_carries_the_digest_of_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "conf/method").mkdir(parents=True)
    (tmp_path / "conf/method/mine.yaml").write_text("_target_: mine.Mine\nreward: 7.0\n")
    text = (
        "from dataclasses import dataclass\nfrom typing import ClassVar\n\n@dataclass(frozen=True)\nclass Mine:\n    reward: float = 1.0\n"
        "    family: ClassVar[str] = 'ours'\n    version: ClassVar[int] = 1\n    old_task_data: ClassVar[bool] = False\n\n"
        "    def adapt(self, base, task, budget, rng):\n        return {}base\n"
    )
    found = []
    for change in ("", "not "):
        module(tmp_path, monkeypatch, "mine", text.format(change))
        with config.registry("conf") as known:
            (one,) = known.asked(["task=stack", "method=mine"], False)
            (other,) = known.asked(["task=stack", "method=mine", "method.reward=1.0"], False)
        assert one.spec.method.reward == 7.0
        assert one.spec.identity()["method"]["settings"] == {"reward": 7.0}
        found += [one.folder.hash, other.folder.hash]
        assert re.fullmatch("[0-9a-f]{64}", one.spec.code)
    assert len(set(found)) == 4


def test_changed_code_under_one_version_is_said(own_task, tmp_path, capsys):
    def run(*more):
        return razorbench(capsys, "task=high", "method=frozen", "--config-dir", "conf", *TINY, *more)

    own_task()
    assert run()[0] == 0
    own_task(limit=0.7)
    code, _, err = run()
    assert code == 0
    assert "task=high: its code or settings differ from 1 earlier run of the same version; those stay, and new ones are made." in err
    assert len(list(tmp_path.glob("results/high/frozen/*/record.json"))) == 2


@pytest.mark.parametrize("name", [*TASKS, *SKILLS])
def test_a_shipped_task_is_its_id_and_settings(name):
    assert task(name).identity()["code"] is None
    assert replace(task(name), success=lambda r: r).identity()["code"] is not None
    assert "razorbench" not in json.dumps(task(name).identity())


@pytest.mark.parametrize("name", METHODS)
def test_a_shipped_method_is_its_name_version_and_settings(name):
    spec, _ = compose("task=stack", f"method={name}")
    assert spec.code is None
    assert "baselines" not in json.dumps(spec.identity())


def test_one_shipped_task_cannot_pass_for_another():
    with (
        config.registry() as known,
        pytest.raises(UsageError, match=r"task.id is pick_place-v1, the id of a task of razorbench.envs.pick_place.make, not of razorbench.envs.st"),
    ):
        known.asked(["task=stack", "method=frozen", "task.id=pick_place-v1"], False)


@pytest.mark.parametrize("group", ["task", "method", "base", "budget", "suite", "skill", "sequence", "study", "experiment"])
def test_a_user_s_yaml_with_a_shipped_name_is_refused_by_name(tmp_path, group):
    name = sorted(path.name for path in files("razorbench.conf").joinpath(group).iterdir())[0]
    (tmp_path / group).mkdir()
    (tmp_path / group / name).write_text("x: 1\n")
    with pytest.raises(UsageError, match=rf"{group}/{name}: RazorBench ships {group}/{Path(name).stem} .* rename yours"), config.registry(str(tmp_path)):
        pass


def test_a_user_s_yml_is_refused_by_name(tmp_path):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yml").write_text("x: 1\n")
    with pytest.raises(UsageError, match=r"task/mine.yml: configuration files end in .yaml; rename it to mine.yaml"), config.registry(str(tmp_path)):
        pass


@pytest.mark.parametrize("twice", [("seed=0", "seed=1"), ("task=stack", "task=pick_can"), ("results=a", "results=b")])
def test_what_is_given_twice_is_refused(capsys, twice):
    given = [word for word in ("task=stack", "method=frozen") if word not in twice]
    code, _, err = razorbench(capsys, *given, *twice)
    assert code == 2
    assert f"{twice[0]} and {twice[1]}: {twice[0].partition('=')[0]} is given twice" in err


def test_a_record_s_config_is_what_the_object_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from razorbench.runs.run import run

    spec, plain = compose("task=stack", "method=frozen", *TINY)
    plain["base"]["directory"] = str(tmp_path)
    record = run(spec, tmp_path, plain).record.plain()
    assert "directory" not in record["config"]["base"]
    assert str(tmp_path) not in json.dumps(record)


def test_no_code_changed_without_a_version_or_a_renewed_lock():
    assert lock.differences(lock.current(), lock.locked()) == []


def test_the_lock_notices_changed_new_and_gone():
    assert lock.differences({"a-1": "x", "b-1": "y"}, {"a-1": "z", "c-1": "y"}) == [
        "a-1: its code changed",
        "b-1: it is not in the lock",
        "c-1: nothing declares it any more",
    ]


SERVING = (
    *("errors", "types", "identity.catalog", "identity.source", "world.cores", "world.given", "runs.base_cache", "runs.history", "runs.log"),
    *(
        f"store.{name}"
        for name in ("bounded", "checkpoint", "disk", "estimate", "folder", "lock", "output", "provenance", "reading", "record", "sequence_record", "writable")
    ),
)
"""Modules that a run needs and that decide no result."""


def test_every_module_that_a_run_needs_is_locked_or_known_to_decide_nothing():
    loaded = "(name for name, module in sys.modules.items() if name.startswith('razorbench.') and not hasattr(module, '__path__'))"
    script = f"import sys, razorbench.runs.run, razorbench.runs.sequence; print(*{loaded})"
    needed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {name.removeprefix("razorbench.") for name in needed} == {*lock.DECIDING, *SERVING, lock.SUPERVISED.removeprefix("razorbench.")}


PINS = pins.read(ROOT / "tests" / "pins")


def test_pins_are_of_several_families_both_heads_and_a_sequence():
    assert len({pin.record["method"]["family"] for pin in PINS}) == 6
    assert {pin.record["base"].startswith("tokens") for pin in PINS} == {True, False}
    assert sum("sequence" in pin.record for pin in PINS) == 1
    assert len(PINS) == 10


@pytest.mark.slow
@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.name)
def test_a_pinned_run_is_what_it_was(pin):
    assert pins.faults(pin, pins.made(pin.overrides)) == []


def test_a_pin_notices_the_last_bit_where_it_was_made_and_three_digits_elsewhere():
    pin = PINS[0]
    value = pin.record["retention"]["value"]
    near = {**pin.record, "retention": {**pin.record["retention"], "value": float(np.nextafter(value, 9))}}
    assert len(pins.faults(replace(pin, platform=pins.here()), near)) == 1
    assert pins.faults(replace(pin, platform="elsewhere"), near) == []
    far = {**pin.record, "retention": {**pin.record["retention"], "value": value + 0.01}}
    assert pins.faults(replace(pin, platform="elsewhere"), far) == [f"record.retention.value is {value + 0.01!r}, pinned is {value!r}"]
