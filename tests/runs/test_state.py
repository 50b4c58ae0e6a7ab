"""What a run keeps to go on from is trusted only if it is whole and its own; a finished record stands until another does."""

import errno
import json
import re
import shutil

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_METHOD, compose
from hypothesis import given, settings
from hypothesis import strategies as st
from small import shrink

from razorbench.errors import FileDamaged, Unreadable, UsageError
from razorbench.measures.episodes import Episodes
from razorbench.runs.run import run
from razorbench.store import bounded, checkpoint, disk, provenance
from razorbench.store import folder as store
from razorbench.store.checkpoint import read_state, write_state
from razorbench.store.disk import seal, unseal


class PowerCut(BaseException):
    """Nothing catches it."""


@pytest.fixture(scope="module", autouse=True)
def _small():
    with pytest.MonkeyPatch.context() as patched:
        shrink(patched.setattr)
        yield


@pytest.fixture
def always_due(monkeypatch):
    """Checkpoints after every update."""
    monkeypatch.setattr(checkpoint, "_SHARE", float("inf"))


def do(results, method="sft", *overrides):
    spec, plain = compose("task=pick_place", f"method={method}", f"results={results}", *TINY, *TINY_METHOD[method], *overrides)
    return run(spec, results, plain, threads=1)


def cut_short(results, monkeypatch, writes, *overrides):
    """A run of sft whose power fails at a write; returns its folder."""
    left, replace = [writes], store.os.replace

    def replace_or_fail(source, target):
        left[0] -= 1
        if not left[0]:
            raise PowerCut
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(store.os, "replace", replace_or_fail)
        with pytest.raises(PowerCut):
            do(results, "sft", *overrides)
    return next(results.glob("*/sft/seed*"))


def same(one, other):
    for file in ("policy.safetensors", "episodes.csv.gz", "curve.jsonl"):
        assert (one.path / file).read_bytes() == (other.path / file).read_bytes(), file
    a, b = ({key: value for key, value in outcome.record.plain().items() if key not in ("wall_s", "measuring_s")} for outcome in (one, other))
    assert a == b


@settings(deadline=None)
@given(st.data())
def test_no_change_of_a_state_is_taken_for_the_state(tmp_path_factory, data):
    """Any bit turned, any byte lost or added, another owner."""
    path = tmp_path_factory.mktemp("state") / "state"
    write_state({"a": torch.arange(20.0), "b": [1, 2], "c": np.arange(3)}, path, "me")
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = data.draw(
        st.sampled_from([whole[:at] + bytes([whole[at] ^ 1 << data.draw(st.integers(0, 7))]) + whole[at + 1 :], whole[:at], whole + whole[:at] + b"\n"])
    )
    path.write_bytes(changed)
    with pytest.raises(FileDamaged, match=r"damaged or cut short|belongs to another run"):
        read_state(path, "me")


@settings(deadline=None)
@given(st.binary(), st.text("abc0", min_size=1, max_size=5), st.text("abc0", min_size=1, max_size=5))
def test_a_seal_says_whose_state_it_is(tmp_path_factory, data, owner, other):
    path = tmp_path_factory.mktemp("seal") / "state"
    path.write_bytes(seal(data, owner))
    assert unseal(path, owner) == data
    if other != owner:
        with pytest.raises(FileDamaged, match="belongs to another run"):
            unseal(path, other)


def test_a_file_that_the_file_system_refuses_is_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "state"
    path.write_bytes(seal(b"x", "me"))

    def refuse(self, *_, **more):
        raise OSError(errno.ESTALE, "Stale file handle", str(self))

    monkeypatch.setattr(disk.Path, "read_bytes", refuse)
    monkeypatch.setattr(bounded.os, "open", refuse)
    for read in (lambda: unseal(path, "me"), lambda: store.content(path)):
        with pytest.raises(Unreadable, match=r"Stale file handle: .*state: mount it again and give the same command again"):
            read()


def turned_episodes(path):
    rows = Episodes.read(path).rows
    Episodes(tuple((*row[:5], not row[5], row[6]) for row in rows)).write(path)


def turned_curve(path):
    path.write_text(re.sub(r'"rate": [\d.]+', '"rate": 0.5', path.read_text()))


def turned_bit(path):
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 4
    path.write_bytes(whole)


DAMAGE = {
    "a bit of a weight": ("state/loop0.state", turned_bit, "is damaged or cut short"),
    "outcomes of kept episodes": ("episodes.csv.gz", turned_episodes, "do not match the checkpoint"),
    "numbers of the curve": ("curve.jsonl", turned_curve, "do not match the checkpoint"),
    "a curve that is gone": ("curve.jsonl", lambda path: path.unlink(), "does not exist"),
    "a state that is gone": ("state/loop0.state", lambda path: path.rename(path.with_name("loop1.state")), "lacks the state of a loop before loop 1"),
    "a folder for a state": ("state/loop0.state", lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
}


@pytest.mark.usefixtures("always_due")
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_state_is_set_aside_and_the_run_ends_as_any_other(damage, tmp_path, monkeypatch, whole):
    name, change, said = DAMAGE[damage]
    folder = cut_short(tmp_path, monkeypatch, 14)
    change(folder / name)
    again = do(tmp_path)
    log = (folder / "log.txt").read_text()
    assert re.search(rf"{said}.*; the checkpoints are set aside, and the run starts again", log), log
    same(again, whole)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(("state", "claim"))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of sft that nothing broke."""
    return do(tmp_path_factory.mktemp("whole"))


@pytest.mark.usefixtures("always_due")
def test_the_state_of_another_seed_is_set_aside_and_foreign_files_are_passed_over(tmp_path, monkeypatch, whole):
    theirs = cut_short(tmp_path, monkeypatch, 14, "seed=3")
    ours = cut_short(tmp_path / "ours", monkeypatch, 14)
    for name in ("loop0 (copy).state", "loop00.state", "loop7.state~", "loopx.state", "notes"):
        shutil.copy(ours / "state" / "loop0.state", ours / "state" / name)
    same(do(tmp_path / "ours"), whole)
    assert "continues after update" in (ours / "log.txt").read_text()
    ours = cut_short(tmp_path / "again", monkeypatch, 14)
    shutil.copy(theirs / "state" / "loop0.state", ours / "state" / "loop0.state")
    same(do(tmp_path / "again"), whole)
    assert "loop0.state belongs to another run; the checkpoints are set aside, and the run starts again" in (ours / "log.txt").read_text()


@pytest.mark.parametrize("damage", ["bit", "failures", "another task's", "other rows", "a folder"])
def test_damaged_episodes_of_the_base_are_made_again(damage, tmp_path, whole):
    do(tmp_path, "frozen")
    (kept,) = (tmp_path / ".base").iterdir()
    good, key = kept.read_bytes(), kept.read_bytes().split()[1].decode()
    rows = Episodes.parsed(unseal(kept, key).decode()).rows
    if damage == "bit":
        turned_bit(kept)
    elif damage == "failures":
        kept.write_bytes(good.replace(b",1,", b",0,"))
    elif damage == "another task's":
        kept.write_bytes(seal(unseal(kept, key), "0" * 64))
    elif damage == "other rows":
        kept.write_bytes(seal(Episodes(rows[1:]).text().encode(), key))
    else:
        kept.unlink()
        kept.mkdir()
    again = do(tmp_path)
    assert "it is set aside, and the base is measured again" in (again.path / "log.txt").read_text()
    assert kept.read_bytes() == good
    same(again, whole)


def without_policy(tmp_path):
    """A finished sft_rl, and the folder of the run that it builds on, kept without a policy."""
    done = do(tmp_path, "sft_rl")
    folder = next(tmp_path.glob("*/ppo/seed0-*"))
    (folder / "policy.safetensors").unlink()
    return done, folder


def test_a_finished_record_stands_until_the_new_one_does(tmp_path, monkeypatch):
    """Killed at every write of the second try in turn, the run that was kept without its policy has a record, whole and with its curve, at any time."""
    done, folder = without_policy(tmp_path)
    record, curve = (folder / "record.json").read_bytes(), (folder / "curve.jsonl").read_bytes()
    shutil.rmtree(done.path)
    writes, replace = 0, store.os.replace
    for cut in range(1, 99):
        left = [cut]

        def replace_or_fail(source, target, left=left):
            left[0] -= 1
            if not left[0]:
                raise PowerCut
            replace(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(store.os, "replace", replace_or_fail)
            try:
                again = do(tmp_path, "sft_rl")
                break
            except PowerCut:
                writes += 1
        found = json.loads((folder / "record.json").read_bytes())
        assert {**found, "wall_s": 0, "measuring_s": 0} == {**json.loads(record), "wall_s": 0, "measuring_s": 0}
        assert (folder / "curve.jsonl").read_bytes() == curve
    assert writes > 10
    same(again, done)
    assert (folder / "policy.safetensors").exists()
    assert not (folder / ".again").exists()


def test_a_run_of_other_versions_is_not_made_again_under_its_old_record(tmp_path):
    done, folder = without_policy(tmp_path)
    shutil.rmtree(done.path)
    record = json.loads((folder / "record.json").read_text())
    (folder / "record.json").write_text(text := json.dumps({**record, "versions": {**record["versions"], "torch": "1.0.3"}}))
    with pytest.raises(UsageError, match=r"was made with torch 1\.0\.3, installed is .*: put the policy there, or choose another results folder"):
        do(tmp_path, "sft_rl")
    assert (folder / "record.json").read_text() == text
    (folder / "record.json").write_text(json.dumps({**record, "versions": {**record["versions"], "torch": f"{provenance.versions()['torch']}.post1"}}))
    same(do(tmp_path, "sft_rl"), done)
