"""`razorbench status`: which runs of a sweep are done, running, failed or missing."""

import json
import re
from pathlib import Path

import pytest
from conftest import FROZEN, TINY, razorbench

from razorbench.registry import config, launching

pytestmark = pytest.mark.usefixtures("few_states")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def status(capsys, *words):
    return razorbench(capsys, "status", *words)


def test_status_tells_done_running_failed_and_missing(capsys, monkeypatch):
    assert razorbench(capsys, *FROZEN)[0] == 0
    code, out, _ = status(capsys, "results")
    assert (code, out) == (0, "2 runs: 2 done, 0 running, 0 failed, 0 missing\n")
    monkeypatch.setattr(launching, "launch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert razorbench(capsys, *FROZEN, "seed=0,1,2")[0] == 1
    code, out, _ = status(capsys, "results")
    assert code == 0
    assert re.match(r"6 runs: 2 done, 0 running, 0 failed, 4 missing; about \d+ s left with 1 worker\n", out)
    assert f"missing  task=stack method=frozen {' '.join(TINY)} seed=2" in out
    with config.registry() as registry:
        one, two, *_ = registry.asked([word for word in (*FROZEN, "seed=1") if word != "-m"], True)
    with one.folder.claimed() as held:
        held.progress = {"update": 3, "total": 9, "left_s": 40.0}
        held._path.write_text(held._text())
        two.folder.path.mkdir(parents=True)
        two.folder.write_failure(ValueError("no"))
        code, out, _ = status(capsys, "results")
        assert code == 1
        assert out.startswith("6 runs: 2 done, 1 running, 1 failed, 2 missing; about ")
        assert "         update 3 of 9, by process " in out
        assert "failed   task=stack method=frozen" in out
        assert "unexpected ValueError: no" in out
        code, out, _ = status(capsys, "results", "--json")
        assert {each["state"] for each in json.loads(out)} == {"done", "running", "failed", "missing"}


@pytest.mark.parametrize(
    ("words", "sentence"), [(["nowhere"], "nowhere: no such folder"), (["."], "it has no run, and no sweep lists one"), ([], "required: results")]
)
def test_status_of_nothing(capsys, words, sentence):
    code, _, err = status(capsys, *words)
    assert code == 2
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_what_a_sweep_left_damaged_is_named(capsys):
    assert razorbench(capsys, *FROZEN)[0] == 0
    next(Path("results/.sweeps").glob("*.json")).write_text("{")
    code, _, err = status(capsys, "results")
    assert code == 0
    assert "delete it, and start its sweep again" in err
    assert len(err.splitlines()) == 1
