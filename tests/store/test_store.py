import errno
import json
import logging
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import record

from razorbench.errors import FileDamaged, TakenOver, UsageError
from razorbench.measures.episodes import Episodes
from razorbench.runs.log import logging_to
from razorbench.store.folder import REQUIRED, SCHEMA, RunFolder, digest, read_curve, read_record
from razorbench.store.packing import compact
from razorbench.store.reading import read_run


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path, "task", "method", 0, "ab" * 32)
    with made.claimed():
        yield made


def whole_record():
    return {key: None for key in REQUIRED} | {"schema": SCHEMA}


def test_a_record_is_read_back(folder):
    assert not folder.finished()
    folder.write_record(record(seed=7))
    assert folder.finished()
    assert read_run(folder.path / "record.json") == record(seed=7)
    assert folder.path.name == "seed0-abababababab"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"schema": 99}', '{"schema": 1}'])
def test_damaged_records_are_refused(folder, text):
    (folder.path / "record.json").write_text(text)
    with pytest.raises(FileDamaged, match=r"record\.json"):
        folder.finished()


@given(st.integers(0, 200))
def test_no_cut_of_a_record_is_taken_for_a_whole_one(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "record.json"
    text = json.dumps(whole_record())
    path.write_text(text[: max(0, len(text) - 1 - cut)])
    with pytest.raises(FileDamaged):
        read_record(path)


def test_a_failing_write_leaves_the_old_file_and_no_litter(folder):
    folder.write_text("file.txt", "old")

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.write("file.txt", fail)
    assert (folder.path / "file.txt").read_text() == "old"
    assert sorted(path.name for path in folder.path.rglob("*") if path.parent.name != "claim-1") == ["claim-1", "file.txt"]
    assert len(list((folder.path / "claim-1").iterdir())) == 1


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "results").write_text("a file, not a folder")
    folder = RunFolder(tmp_path / "results", "task", "method", 0, "ab" * 32)
    with pytest.raises(UsageError, match="choose a writable folder"), folder.claimed():
        pass


@pytest.mark.parametrize("name", ["..", "../away", "a/b", "/etc", ".hidden", "", "new\nline", "a" * 101])
def test_a_name_never_leads_away(tmp_path, name):
    for names in ((name, "method"), ("task", name)):
        with pytest.raises(UsageError, match="cannot be a folder's name"):
            RunFolder(tmp_path, *names, 0, "ab" * 32)


def test_a_failure_is_kept_until_there_is_a_record(folder):
    folder.write_failure(UsageError("so it is"))
    assert folder.failure() == "so it is"
    folder.write_failure(ValueError("a bug"))
    assert "unexpected ValueError" in (folder.failure() or "")
    assert "Traceback" in (folder.path / "log.txt").read_text() or "ValueError" in (folder.path / "log.txt").read_text()
    folder.write_record(record())
    assert folder.failure() is None


def test_digest_is_of_content_not_of_order():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    with pytest.raises(ValueError):
        digest({"a": float("nan")})


def test_a_damaged_curve_is_refused(folder):
    (folder.path / "curve.jsonl").write_text('{"update": 0}\n{"upd')
    with pytest.raises(FileDamaged):
        read_curve(folder.path)


words = st.text("abc_", min_size=1, max_size=5)


@given(st.lists(st.tuples(words, words, words, words, st.integers(0, 99), st.booleans(), st.integers(1, 60))))
def test_episodes_are_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("episodes") / "episodes.csv.gz"
    Episodes(tuple(rows)).write(path)
    first = path.read_bytes()
    assert Episodes.read(path).rows == tuple(rows)
    Episodes(tuple(rows)).write(path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("cut", [0, 5, 20, -3])
def test_damaged_episodes_are_refused(tmp_path, cut):
    path = tmp_path / "episodes.csv.gz"
    Episodes((("base", "lift", "test", "greedy", 0, True, 7),)).write(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FileDamaged):
        Episodes.read(path)


def test_a_compact_run_is_read_as_the_run(tmp_path):
    (whole := tmp_path / "whole" / "seed0").mkdir(parents=True)
    rows = tuple(("base", "lift", "test", "greedy", start, True, 7) for start in range(100))
    Episodes(rows).write(whole / "episodes.csv.gz")
    (whole / "curve.jsonl").write_text('{"update": 0}\n{"update": 3}\n')
    (whole / "record.json").write_text("{}")
    for made, source in ((tmp_path / "one", whole), (tmp_path / "two", tmp_path / "one")):
        compact(source, made, policy=False)
        assert sorted(path.name for path in made.iterdir()) == ["curve.jsonl.xz", "episodes.columns.xz", "record.json"]
        assert read_curve(made) == read_curve(whole)
        assert Episodes.read(made / "episodes.columns.xz").rows == rows
    (whole / "curve.jsonl").unlink()
    with pytest.raises(FileDamaged, match=r"curve\.jsonl does not exist; do the run again"):
        compact(whole, tmp_path / "three", policy=False)


def test_what_a_worker_was_writing_when_it_fell_asleep_never_gets_into_place(tmp_path):
    """It is taken over between its last look and its move: what it wrote went with its claim."""
    folder, other = (RunFolder(tmp_path, "task", "method", 0, "ab" * 32) for _ in range(2))
    with folder.claimed() as held:
        folder.write_text("file.txt", "mine")

        def slowly(path):
            path.write_text("late")
            held.room.rename(tmp_path / "gone")
            taken = (folder.path / "claim-2").mkdir()
            (folder.path / "claim-2" / "token").write_text("{}")
            return taken

        with pytest.raises(TakenOver, match="was taken over by another worker"):
            folder.write("file.txt", slowly)
        with pytest.raises(TakenOver):
            folder.set_aside("file.txt")
    assert (other.path / "file.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, r"Permission denied: .*seed0-abababababab: change its permissions and give the same command again"),
        (errno.ENOSPC, r"no space left on the disk of .*seed0-abababababab: free some space and give"),
        (errno.ESTALE, r"Stale file handle: .*: mount it again and give"),
        (errno.EIO, r"Input/output error: .*: check the disk and give"),
    ],
)
def test_an_error_of_the_file_system_is_a_sentence(folder, number, said):
    folder.write_failure(OSError(number, os.strerror(number), str(folder.path)))
    assert re.match(said, folder.failure())
    assert "Traceback" not in (folder.path / "log.txt").read_text()


def test_no_failure_stands_beside_a_record(folder, monkeypatch, capsys):
    write = RunFolder.write_text

    def meanwhile(self, name, text):
        write(self, name, text)
        write(self, "record.json", json.dumps(whole_record()))

    monkeypatch.setattr(RunFolder, "write_text", meanwhile)
    folder.write_failure(UsageError("late"))
    assert not (folder.path / "failed.txt").exists()
    monkeypatch.undo()
    (folder.path / "record.json").unlink()
    RunFolder(folder.results, "task", "none", 0, "ab" * 32).write_failure(UsageError("so it is"))
    assert capsys.readouterr().err == "razorbench: so it is\n"


def test_a_log_that_takes_no_more_costs_lines_only(folder, capsys, monkeypatch):
    log = logging.getLogger("razorbench")
    with logging_to(folder.path / "log.txt", folder._claim):
        log.info("one")
    (folder.path / "log.txt").unlink()
    (folder.path / "log.txt").mkdir()
    with logging_to(folder.path / "log.txt", folder._claim):
        log.info("two")
        log.info("three")
    said = capsys.readouterr().err
    assert said.count("log.txt cannot be written") == 1
    assert "results are not affected" in said
    (folder.path / "log.txt").rmdir()
    with logging_to(folder.path / "log.txt", folder._claim):
        folder._claim.room.rename(folder.path / "claim-9")
        log.info("of a worker that was taken over")
        (folder.path / "claim-9").rename(folder._claim.room)
    assert not (folder.path / "log.txt").exists()
