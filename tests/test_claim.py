"""Who holds a run: one worker at a time, for as long as it lives."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from razorbench import claim
from razorbench.claim import Claim, holder
from razorbench.errors import Claimed
from razorbench.store import RunFolder


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(claim, "BEAT_S", 0.02)
    monkeypatch.setattr(claim, "SILENT_S", 0.5)


def write(folder, number, worker, silent=0.0, progress=None):
    path = folder / f"claim-{number}"
    path.write_text(json.dumps({"worker": vars(worker), "progress": progress or {}}))
    os.utime(path, (time.time() - silent,) * 2)


def stranger(**changes):
    return replace(claim._here(), host="elsewhere", **changes)


def dead_process():
    code = "import json; from razorbench import claim; print(json.dumps(vars(claim._here())))"
    return claim.Worker(**json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout))


def test_one_at_a_time(tmp_path):
    with Claim(tmp_path) as mine:
        assert [path.name for path in tmp_path.iterdir()] == ["claim-1"]
        found = holder(tmp_path)
        assert found.alive
        assert found.worker.pid == os.getpid()
        with (
            pytest.raises(Claimed, match=rf"is being done by process {os.getpid()} on .*, last sign of life \d s ago: wait for it, or stop it"),
            Claim(tmp_path),
        ):
            pass
        mine.check()
    assert holder(tmp_path) is None
    with Claim(tmp_path) as again:
        assert again.taken_from is None


def test_a_process_of_this_machine_that_is_gone_is_followed_at_once(tmp_path):
    write(tmp_path, 1, dead_process())
    with Claim(tmp_path) as mine:
        assert not mine.taken_from.alive
        assert [path.name for path in tmp_path.iterdir()] == ["claim-2"]
        mine.check()
    assert not list(tmp_path.iterdir())


def test_another_process_with_the_number_of_the_dead_one_is_no_holder(tmp_path):
    write(tmp_path, 1, replace(claim._here(), began="12345"))
    with Claim(tmp_path):
        pass


def test_a_stranger_is_believed_as_long_as_it_gives_signs_of_life(tmp_path):
    write(tmp_path, 1, stranger(), silent=3.0)
    with pytest.raises(Claimed, match="on elsewhere, last sign of life 3 s ago"), Claim(tmp_path):
        pass
    write(tmp_path, 1, stranger(), silent=2 * claim.SILENT_S)
    with Claim(tmp_path) as mine:
        assert mine.taken_from.worker.host == "elsewhere"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"worker": {}}', '{"worker": 3, "progress": {}}', "\x00\x01"])
def test_a_claim_that_says_nothing_counts_by_its_age(tmp_path, text):
    (tmp_path / "claim-3").write_text(text)
    with pytest.raises(Claimed, match="an unknown worker"), Claim(tmp_path):
        pass
    os.utime(tmp_path / "claim-3", (0, 0))
    with Claim(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["claim-4"]


def test_whoever_is_topped_writes_no_more(tmp_path):
    folder = RunFolder(tmp_path, "task", "method", 0, "ab" * 32)
    with folder.claimed():
        folder.write_text("one", "1")
        write(folder.path, 2, stranger())
        with pytest.raises(Claimed, match="was taken over by another worker"):
            folder.write_text("two", "2")
    assert (folder.path / "one").exists()
    assert not (folder.path / "two").exists()
    assert holder(folder.path).worker.host == "elsewhere"


def test_the_heart_beats_and_tells_of_progress(tmp_path, quick):
    with Claim(tmp_path) as mine:
        mine.progress = {"update": 3}
        before = (tmp_path / "claim-1").stat().st_mtime_ns
        deadline = time.monotonic() + 20
        while (tmp_path / "claim-1").stat().st_mtime_ns == before or holder(tmp_path).progress != {"update": 3}:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (tmp_path / "claim-1").unlink()
        time.sleep(0.2)
        assert not list(tmp_path.iterdir())  # a claim that was taken away is not made anew
        with pytest.raises(Claimed):
            mine.check()


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_that_try_at_once_one_gets_it(tmp_path, stale):
    gone, all_tried = dead_process(), Barrier(8)

    def attempt(folder):
        try:
            with Claim(folder):
                all_tried.wait()
                return True
        except Claimed:
            all_tried.wait()
            return False

    with ThreadPoolExecutor(8) as workers:
        for turn in range(20):
            (folder := tmp_path / str(turn)).mkdir()
            if stale:
                write(folder, 1, gone)
            assert sum(workers.map(attempt, [folder] * 8)) == 1
            assert not list(folder.iterdir())
