"""Damaged and hostile results: each bad run is named, and the rest is read."""

import json
import lzma
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
from synthetic import write_run

from razorbench.errors import UsageError
from razorbench.runs.standings import standings
from razorbench.statistics.finished_runs import read_runs
from razorbench.store import lock
from razorbench.store.folder import MOST_RECORD
from razorbench.store.walk import read_records, walk


@contextmanager
def within(seconds):
    """Fail, rather than hang, after so many seconds."""

    def over(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def good(results, tasks=("alpha", "beta", "gamma"), seeds=(0, 1)):
    for task in tasks:
        for method, family in (("ppo", "on-policy reward"), ("sft", "offline supervised")):
            for seed in seeds:
                hashes = {"run": f"{task}{method}{seed}".encode().hex(), "task_spec": task}
                write_run(results, task, method, seed, speed=0.3, harm=0.1, family=family, hashes=hashes)


def edited(*path, to):
    """A change of a record's or a snapshot's text at a path."""

    def edit(text):
        node = whole = json.loads(text)
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = to
        return json.dumps(whole)

    return edit


def linked(target):
    return lambda path: path.symlink_to(target)


def sparse(path):
    with path.open("wb") as file:
        file.truncate(MOST_RECORD + 1)


BAD_PLACES = {
    "a pipe": os.mkfifo,
    "a link to what never ends": linked("/dev/zero"),
    "a link to a terminal": linked("/dev/tty"),
    "a link to itself": linked("record.json"),
    "a link to nothing": linked("nowhere"),
    "a link to a kernel's file": linked("/proc/kmsg"),
    "a folder": Path.mkdir,
    "too large": sparse,
}
BAD_TEXTS = {
    "empty": lambda _: "",
    "cut short": lambda text: text[:-5],
    "a list": lambda text: f"[{text}]",
    "a number": lambda _: "3",
    "nothing": lambda _: "null",
    "deep": lambda _: "[" * 1_000_000,
    "deep and whole": lambda _: "[" * 100_000 + "]" * 100_000,
    "quotes": lambda _: '"' * 2_000_000,
    "quotes and strokes": lambda _: '"\\' * 1_000_000,
    "a long number": lambda text: text.replace('"seed": ', '"seed": ' + "9" * 100_000),
    "no number": lambda text: text.replace('"wall_s": 60.0', '"wall_s": NaN'),
    "no UTF-8": lambda text: text.replace("alpha", "\udcff"),
    "a key twice": lambda text: text.replace('"seed"', '"seed": 1, "seed"', 1),
    "no method": edited("method", to=None),
    "a method in a word": edited("method", to="sft"),
    "an endless number": edited("divergence", "kl_forward", "new", to=1e308),
    "a word for a number": edited("divergence", "kl_forward", "new", to="1.0"),
    "a word for a rate": edited("new_task", "final", "greedy", "rate", to="high"),
    "a rate above 1": edited("new_task", "final", "greedy", "rate", to=1.5),
    "no greedy episodes": edited("new_task", "final", to={}),
    "a value without its interval": edited("retention", "ci95", to=None),
    "no episodes": edited("original", "push", "final", "greedy", "episodes", to=0),
    "truth for a number": edited("seed", to=True),
    "a list for a mapping": edited("original", to=[1, 2]),
    "a mapping for a number": edited("score", to={}),
    "control characters": edited("method", "family", to="\x1b[2J"),
    "a name that turns text round": edited("method", "family", to="\u202etfs"),
    "half a character": edited("method", "family", to="\ud800"),
    "a path for a hash": edited("hashes", "run", to="/../../.."),
    "a path for a task": edited("task", to="../../away-v1"),
    "a path for a method": edited("method", "name", to=".."),
    "a path for a base": edited("base", to="/etc/passwd-s0"),
    "a path for a budget": edited("budget", "name", to="a/b"),
    "settings in a word": edited("config", to={"method": "sft"}),
}
BAD_CURVES = {
    **{name: make for name, make in BAD_PLACES.items() if name not in ("a link to itself", "a link to nothing", "too large")},
    "a bomb": lambda path: path.with_name("curve.jsonl.xz").write_bytes(lzma.compress(bytes(40_000_000), preset=0)),
    "no xz": lambda path: path.with_name("curve.jsonl.xz").write_bytes(b"xz"),
    "no mappings": lambda path: path.write_text("[]\n3\n"),
    "words": lambda path: path.write_text('{"update": "one", "new_task": {}}\n'),
    "no number deep inside": lambda path: path.write_text('{"update": 1, "new_task": {}, "drift": {"weights": {"l1": "far"}}}\n'),
    "deep": lambda path: path.write_text("[" * 1_000_000),
    "much": lambda path: path.write_text("[]," * 20_000_000),
}


def bad(results, kinds):
    """One bad run of each kind; returns their folders by kind."""
    made = {}
    for number, (where, kind) in enumerate(kinds, 10):
        write_run(results, "alpha", "lwf", number, speed=0.3, harm=0.1, hashes={"run": f"{number:012x}", "task_spec": "alpha"})
        made[kind] = folder = results / "alpha" / "lwf" / f"seed{number}-direct"
        record, curve = folder / "record.json", folder / "curve.jsonl"
        if where == "text":
            record.write_text(BAD_TEXTS[kind](record.read_text()), errors="surrogateescape")
        else:
            made_of = record if where == "place" else curve
            made_of.unlink()
            (BAD_PLACES if where == "place" else BAD_CURVES)[kind](made_of)
    return made


KINDS = [("place", kind) for kind in BAD_PLACES] + [("text", kind) for kind in BAD_TEXTS] + [("curve", kind) for kind in BAD_CURVES]


@pytest.mark.parametrize(("where", "kind"), KINDS)
def test_a_bad_run_is_named_and_the_rest_is_read(tmp_path, capsys, where, kind):
    good(tmp_path, ("alpha",), (0,))
    folder = bad(tmp_path, [(where, kind)])[kind]
    with within(10):
        runs = read_runs(tmp_path, {})
    (said,) = capsys.readouterr().err.splitlines()
    assert len(runs) == 2
    assert said.startswith("razorbench: set apart: ") and str(folder.name) in said and len(said) < 900 and said.isprintable()
    if where != "curve":
        with within(10):
            states = {one.folder.name: one.state for one in standings(tmp_path)}
        assert states == {"seed0-direct": "done", folder.name: "failed"}


def test_nothing_but_bad_runs_is_a_sentence(tmp_path):
    bad(tmp_path, [("text", "a list"), ("place", "a pipe")])
    with within(10), pytest.raises(UsageError, match=r"none of 2 records can be used; the first: record .*seed1\d-direct/record.json has schema list"):
        read_runs(tmp_path, {})


def test_one_walk_for_all(tmp_path, capsys, monkeypatch):
    """Links are followed once, hidden folders left out, and what cannot be looked into is named."""
    monkeypatch.setattr(lock, "BEAT_S", 0.05)
    results, other = tmp_path / "results", tmp_path / "other"
    good(results, ("alpha",), (0,))
    good(other, ("beta",), (0, 1))
    good(results / ".sweeps" / "old", ("gamma",), (0,))
    good(results / ".hidden", ("delta",), (0,))
    (results / "beta").symlink_to(other / "beta")
    (results / "again").symlink_to(other)
    (results / "round").symlink_to(results)
    (results / "alpha" / "up").symlink_to("..")
    (results / "itself").symlink_to("itself")
    (results / "gone").symlink_to("nowhere")
    os.mkfifo(results / "pipe")
    results.joinpath(*["deep"] * 40).mkdir(parents=True)
    (begun := results / "alpha" / "sft" / "seed7-0123456789ab").mkdir()
    os.mkfifo(begun / "failed.txt")
    os.mkfifo(begun / "claim-1")
    (results / ".sweeps" / "one.json").write_text(json.dumps({"alpha/sft/seed8-0123456789ab": "task=alpha seed=8"}))
    (results / ".sweeps" / "two.json").write_text(json.dumps({"../../../etc": "task=alpha seed=8"}))
    os.mkfifo(results / ".sweeps" / "three.json")
    with within(30):
        found = walk(results)
        runs = read_runs(results, {})
        assert len(found.runs) == len(runs) == len(read_records(results)) == 2 + 4
        assert found.runs == [run.folder / "record.json" for run in runs] == sorted(found.runs)
        assert all("up" not in path.parts and "round" not in path.parts for path in found.runs)
        capsys.readouterr()
        states = [one.state for one in standings(results)]
    assert sorted(states) == ["done"] * 6 + ["failed", "missing"]
    said = capsys.readouterr().err
    for words in ("itself (a broken link: Too many levels", "gone (a broken link: No such file", "deep (more than 16 folders deep)"):
        assert words in said
    for words in ("two.json cannot be read (its run is ../../../etc: task=alpha seed=8", "three.json cannot be read (its kind is no regular file"):
        assert words in said
