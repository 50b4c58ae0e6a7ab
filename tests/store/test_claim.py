"""Who holds a run: one worker at a time, for as long as it lives."""

import errno
import json
import os
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from razorbench.errors import Claimed, TakenOver
from razorbench.store import lock
from razorbench.store.folder import RunFolder
from razorbench.store.lock import Claim, holder


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lock, "BEAT_S", 0.02)
    monkeypatch.setattr(lock, "SILENT_S", 0.5)


def write(folder, number, worker, silent=0.0, progress=None):
    (made := folder / f"claim-{number}").mkdir()
    path = made / "token"
    path.write_text(json.dumps({"worker": vars(worker), "progress": progress or {}}))
    os.utime(path, (time.time() - silent,) * 2)


def stranger(**changes):
    return replace(lock._here(), host="elsewhere", **changes)


def dead_process():
    code = "import json; from razorbench.store import lock; print(json.dumps(vars(lock._here())))"
    return lock.Worker(**json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout))


def test_one_at_a_time(tmp_path):
    with Claim(tmp_path) as mine:
        assert [path.name for path in tmp_path.iterdir()] == ["claim-1"]
        found = holder(tmp_path)
        assert found.alive
        assert found.worker.pid == os.getpid()
        with (
            pytest.raises(Claimed, match=rf"process {os.getpid()} on .* works on .*: wait for it, or stop it"),
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
    write(tmp_path, 1, replace(lock._here(), began="12345"))
    with Claim(tmp_path):
        pass


@pytest.mark.parametrize("hours", [-10_000, 0, 10_000])
def test_a_stranger_is_believed_as_long_as_it_gives_signs_of_life_whatever_any_clock_says(tmp_path, quick, hours):
    write(tmp_path, 1, stranger(), silent=3600 * hours)
    with pytest.raises(Claimed, match="on elsewhere, first seen 0 s ago"), Claim(tmp_path):
        pass
    for beat in range(6):
        time.sleep(lock.SILENT_S / 3)
        os.utime(tmp_path / "claim-1" / "token", (time.time() - 3600 * hours - beat,) * 2)
        assert holder(tmp_path).alive and holder(tmp_path).heard
    with pytest.raises(Claimed, match="on elsewhere, last sign of life 0 s ago"), Claim(tmp_path):
        pass
    time.sleep(1.1 * lock.SILENT_S)
    with Claim(tmp_path) as mine:
        assert mine.taken_from.worker.host == "elsewhere"


@pytest.mark.parametrize(
    "text", [None, b"", b"{", b"[]", b'{"worker": {}}', b'{"worker": 3, "progress": {}}', b"\x00\x01", b"\xff", b"[" * 90_000, b'"' * 90_000, b" " * 200_000]
)
@pytest.mark.parametrize("name", ["claim-3", "claim-3/token"], ids=["of an earlier version", "of this version"])
def test_a_claim_that_says_nothing_counts_as_long_as_it_is_watched(tmp_path, quick, text, name):
    path = tmp_path / name
    if path.parent != tmp_path:
        path.parent.mkdir()
    path.mkdir() if text is None else path.write_bytes(text)
    with pytest.raises(Claimed, match="an unknown worker"), Claim(tmp_path):
        pass
    time.sleep(1.1 * lock.SILENT_S)
    with Claim(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["claim-4"]


@pytest.mark.parametrize("name", ["claim-1", "claim-1/token"])
def test_a_claim_that_is_a_pipe_stops_nobody(tmp_path, quick, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(Claimed, match="an unknown worker"), Claim(tmp_path):
        pass


def test_workers_elsewhere_are_listened_to_side_by_side(tmp_path, quick):
    living, dead, mine = (tmp_path / name for name in ("living", "dead", "mine"))
    for folder in (living, dead, mine):
        folder.mkdir()
    write(dead, 1, stranger())
    write(living, 1, stranger())
    with Claim(mine), ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(lambda: (time.sleep(0.01), os.utime(living / "claim-1" / "token", (7, 7))))
        found = lock.watch([living, dead, mine, tmp_path])
    assert {folder.name: held.is_here or held.heard for folder, held in found.items()} == {"living": True, "dead": False, "mine": True}


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
        (file,) = (tmp_path / "claim-1").iterdir()
        before = file.stat().st_mtime_ns
        deadline = time.monotonic() + 20
        while file.stat().st_mtime_ns == before or holder(tmp_path).progress != {"update": 3}:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        file.unlink()
        time.sleep(0.2)
        assert not list((tmp_path / "claim-1").iterdir())  # a claim that was taken away is not made anew
        with pytest.raises(Claimed):
            mine.check()


def held_by_a_stranger(folder, monkeypatch):
    """A claim of this process that others take for one of another machine, and its heart stands still, as if the machine slept."""
    other = stranger(began=uuid.uuid4().hex)
    with monkeypatch.context() as patched:
        patched.setattr(lock, "_here", lambda: other)
        patched.setattr(lock, "BEAT_S", 1e9)
        (asleep := Claim(folder)).__enter__()
    watched_for_long(folder)
    return asleep


def watched_for_long(folder):
    """As if this process had watched a folder's claim for days, and seen nothing new."""
    holder(folder)
    lock._SEEN |= {path: (sign, since - 1e6, changes) for path, (sign, since, changes) in lock._SEEN.items() if path.parent == folder}


@pytest.mark.parametrize("sleepers", [1, 2, 3])
def test_whoever_wakes_finds_another_at_its_number_and_stops(tmp_path, monkeypatch, sleepers):
    """A sleeps, B takes over and ends, C begins and comes to A's number: A neither holds the run nor writes over C's claim."""
    asleep = [held_by_a_stranger(tmp_path, monkeypatch) for _ in range(sleepers)]
    with Claim(tmp_path):
        pass
    with Claim(tmp_path) as last:
        assert [path.name for path in tmp_path.iterdir()] == ["claim-1"]
        for one in asleep:
            with pytest.raises(TakenOver, match="was taken over by another worker"):
                one.check()
            monkeypatch.setattr(lock, "BEAT_S", 0.0)
            one._stop = Once()
            one._beat()
        last.check()
        assert holder(tmp_path).worker == lock._here()
        for one in asleep:
            one._stop.set = lambda: None
            one._leave()
        last.check()
    assert not list(tmp_path.iterdir())


class Once:
    """Lets a heart beat once."""

    def __init__(self):
        self.beats = 0

    def wait(self, _):
        self.beats += 1
        return self.beats > 1


@pytest.mark.parametrize("when", ["before its text", "after its text"])
def test_a_worker_that_sleeps_while_it_claims_holds_nothing(tmp_path, monkeypatch, when):
    """It made its number, slept, and was topped by one that is at work."""
    text, taken = Claim._text, []

    def slow(self):
        if not taken:
            taken.append(None)
            if when == "after its text":
                (tmp_path / "claim-1" / self._token).write_text("{}")
            watched_for_long(tmp_path)
            taken[0] = Claim(tmp_path)
            taken[0].__enter__()
        return text(self)

    monkeypatch.setattr(Claim, "_text", slow)
    with pytest.raises(Claimed, match=f"process {os.getpid()}"), Claim(tmp_path):
        pass
    taken[0].check()
    taken[0].__exit__(None, None, None)
    assert not list(tmp_path.iterdir())


def test_a_claim_that_this_process_could_not_remove_does_not_hold_it_up(tmp_path, monkeypatch):
    with monkeypatch.context() as patched, Claim(tmp_path):
        patched.setattr(Claim, "_leave", lambda self: None)
    assert list(tmp_path.glob("claim-1/*"))
    with Claim(tmp_path) as mine:
        assert mine.taken_from.worker.pid == os.getpid()


def test_a_folder_that_cannot_be_read_is_no_folder_without_claims(tmp_path, monkeypatch):
    def refuses(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with Claim(tmp_path) as mine, monkeypatch.context() as patched:
        patched.setattr(os, "listdir", refuses)
        with pytest.raises(PermissionError):
            mine.check()
        with pytest.raises(PermissionError), Claim(tmp_path):
            pass


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


def test_dead_claims_are_cleared_where_nothing_is_left_to_do(tmp_path):
    write(tmp_path, 1, dead_process())
    write(tmp_path, 2, stranger())
    lock.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["claim-2"]
    lock.clear(tmp_path / "nowhere")
