"""What is shown never decides over what is done: readers that go away, full disks, odd encodings, pictures that cannot be drawn."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, TINY_METHOD, razorbench
from terminal import RAZORBENCH

from razorbench.commands import progress, terminal
from razorbench.reports import run_pictures
from razorbench.store import output
from razorbench.store.output import Lenient, harmless, once_harmless

pytestmark = pytest.mark.usefixtures("few_states")

RUN = ["task=pick_place", "method=sft", *TINY, *TINY_METHOD["sft"]]
FROZEN = ["-m", "task=pick_place", "method=frozen", *TINY]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def shell(line):
    """A line of bash with its pipe's first exit code, and what it printed."""
    done = subprocess.run(["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def program(*words):
    return " ".join([*RAZORBENCH, *words])


class Broken:
    """A stream whose writes fail."""

    encoding = "utf-8"

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    flush = None

    def fileno(self):
        raise OSError("this is no file")


def test_a_stream_that_fails_is_told_of_once_unless_its_reader_went_away(capsys):
    for error, said in ((OSError(28, "No space left on device"), 1), (BrokenPipeError(32, "Broken pipe"), 0), (ValueError("closed"), 0)):
        stream = Lenient(Broken(error), "standard output")
        assert stream.write("one line\n") == 9
        err = capsys.readouterr().err
        assert err.count("standard output cannot be written (No space left on device)") == said
        assert len(err.splitlines()) == said


def test_a_reader_that_goes_away_changes_nothing():
    code, out, err = shell(f"{program('list')} | head -1")
    assert (code, out, err) == (0, "new tasks\n", "")
    code, out, err = shell(f"{program(*FROZEN)} | head -1")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert len(list(Path("results").rglob("record.json"))) == 1
    assert not list(Path("results").rglob("failed.txt"))


@pytest.mark.slow
def test_a_full_disk_behind_standard_output_is_one_line():
    code, _, err = shell(f"{program(*FROZEN)} > /dev/full")
    assert code == 0
    assert err == "razorbench: standard output cannot be written (No space left on device): the rest of it is lost; results are not affected\n"
    assert len(list(Path("results").rglob("record.json"))) == 1


@pytest.mark.slow
def test_an_encoding_without_the_letters_of_a_path():
    Path("Žofie").mkdir()
    code, out, err = shell(f"cd Žofie && PYTHONIOENCODING=ascii {program('status', 'Zürich')}")
    assert code == 2
    assert err.startswith("razorbench: Z\\xfcrich: no such folder")
    code, out, err = shell(f"PYTHONIOENCODING=ascii {program(*FROZEN, 'results=Žofie')}")
    assert (code, err) == (0, "")
    assert "record   \\u017dofie/pick_place" in out


def test_brackets_and_colons_are_no_markup(capsys):
    code, out, _ = razorbench(capsys, *RUN, "results=[red]runs[/v2]:smile:")
    assert code == 0
    record = next(Path("[red]runs[").rglob("record.json"))
    assert f"record   {record}" in out


def fails(*_, **__):
    raise RuntimeError("this [cannot] be\nshown")


@pytest.mark.parametrize("what", ["report", "_files", "the line", "the picture", "the tracker"])
def test_what_fails_in_showing_is_one_line_and_the_run_is_whole(what, capsys, monkeypatch):
    place, name = {
        "report": (terminal, "report"),
        "_files": (terminal, "_files"),
        "the line": (progress.Line, "whole"),
        "the picture": (run_pictures, "summary"),
        "the tracker": ("torch.utils.tensorboard", "SummaryWriter"),
    }[what]
    if what == "the tracker":
        pytest.importorskip("tensorboard", reason="no tensorboard here: pip install 'razorbench[tensorboard]'")
        monkeypatch.setattr(f"{place}.{name}", fails)
    else:
        monkeypatch.setattr(place, name, fails)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    code, _, err = razorbench(capsys, *RUN, *(["track=tensorboard"] if what == "the tracker" else []))
    assert code == 0
    assert err.count("\n") == 1
    assert "failed (RuntimeError: this [cannot] be shown); results are not affected" in err
    record = json.loads(next(Path("results").rglob("record.json")).read_text())
    assert record["new_task"]["final"]["greedy"]["episodes"] == 4
    assert not list(Path("results").rglob("failed.txt"))


@pytest.mark.slow
def test_pictures_are_drawn_in_plain_style_whatever_the_environment_says():
    Path("matplotlibrc").write_text("text.usetex: True\nbackend: TkAgg\nfont.size: 40\n")
    code, _, err = shell(f"MPLBACKEND=module://nowhere.at_all {program(*RUN)}")
    assert (code, err) == (0, "")
    picture = next(Path("results").rglob("summary.png")).read_bytes()
    Path("matplotlibrc").unlink()
    code, _, err = shell(program(*RUN, "results=plain"))
    assert (code, err) == (0, "")
    assert next(Path("plain").rglob("summary.png")).read_bytes() == picture


def test_harmless_lets_a_person_stop():
    with pytest.raises(KeyboardInterrupt), harmless("showing"):
        raise KeyboardInterrupt
    calls = []

    def twice(number):
        calls.append(number)
        raise ValueError(number)

    guarded = once_harmless(twice, "watching")
    guarded(1)
    guarded(2)
    assert calls == [1]


def test_lenient_streams_are_put_back(capsys):
    before = sys.stdout, sys.stderr
    with output.lenient():
        assert isinstance(sys.stdout, Lenient)
        print("seen")
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "seen\n"
