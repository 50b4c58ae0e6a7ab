"""Every reader of results, given what no run wrote: nothing in it is imported, called or opened, and the rest is read."""

import json
import lzma
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import kept_runs
import pytest
import readme
import recall_file
import search_tables
from conftest import TINY, compose, razorbench
from sequence_table import sequences
from synthetic import write_run

from razorbench.errors import UsageError
from razorbench.registry import config
from razorbench.runs import film
from razorbench.runs.run import run
from razorbench.runs.standings import standings
from razorbench.statistics.finished_runs import read_runs
from razorbench.store import lock
from razorbench.store.folder import MOST_RECORD
from razorbench.store.record import Record
from razorbench.store.walk import read_records, walk

pytestmark = pytest.mark.usefixtures("few_states")

WITNESS = "witness.called"
CODE = {"_target_": WITNESS, "_args_": ["touch"], "_partial_": False}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run's folder."""
    spec, plain = compose("task=stack", "method=frozen", *TINY)
    return run(spec, tmp_path_factory.mktemp("results"), plain)


@pytest.fixture
def witness(tmp_path, monkeypatch):
    """A module that anyone could import here, and that would leave a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "witness.py").write_text("import pathlib\npathlib.Path('ran').touch()\n\ndef called(*args, **settings):\n    raise SystemExit(3)\n")
    yield
    assert not Path("ran").exists() and "witness" not in sys.modules


def everywhere(node):
    """Plain data with a call in the place of every mapping's first value, and beside its others."""
    if not isinstance(node, dict):
        return node
    return {**{key: everywhere(value) for key, value in node.items()}, **CODE}


POISON = {
    "the task": lambda record: record["config"].update(task=CODE),
    "a task that is right but for its target": lambda record: record["config"]["task"].update(_target_=WITNESS),
    "a setting of the task": lambda record: record["config"]["task"].update(instruction=CODE),
    "a setting that the task does not have": lambda record: record["config"]["task"].update(easy=CODE),
    "the method": lambda record: record["config"].update(method={**CODE, "upstream": CODE}),
    "the base": lambda record: record["config"].update(base=CODE),
    "a skill of the base": lambda record: record["config"]["base"]["skills"].update(reach=CODE),
    "the base's goals and folder": lambda record: record["config"]["base"].update(goals=CODE, directory="/"),
    "upstream": lambda record: record.update(upstream={"method": WITNESS, "run": "0" * 12}),
    "a sequence": lambda record: record["config"].update(sequence={"tasks": {"one": CODE}}),
    "names": lambda record: record.update(task=f"{WITNESS}-v1", base=f"{WITNESS}-s0", method={**record["method"], "name": WITNESS}),
    "a call for a name": lambda record: record.update(task=CODE),
    "every mapping of the configuration": lambda record: record.update(config=everywhere(record["config"])),
    "every mapping": lambda record: record.update(everywhere(record)),
}


def poisoned(finished, folder, poison):
    record = finished.record.plain()
    POISON[poison](record)
    folder.mkdir(parents=True)
    for file in finished.path.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / "record.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize("poison", POISON)
def test_a_run_is_filmed_by_names_alone(finished, witness, monkeypatch, poison):
    folder = poisoned(finished, Path("results/stack/frozen/seed0-0123456789ab"), poison)
    monkeypatch.setattr(film, "write", lambda path, frames: path.write_bytes(b"film"))
    with config.registry() as registry:
        try:
            films = film.film(folder, registry.recorded, "gif", 1)
        except UsageError as error:
            assert len(str(error)) < 700 and "\n" not in str(error)
        else:
            assert films[0].name == "stack.gif"
            assert poison in (
                "a task that is right but for its target",
                "the method",
                "the base",
                "a skill of the base",
                "the base's goals and folder",
                "a sequence",
                "upstream",
                "every mapping",
                "every mapping of the configuration",
            )


def test_a_task_of_ones_own_is_found_in_ones_own_folder_with_its_settings(finished, witness, monkeypatch):
    """The yaml's name is not the task's, and the record has another instruction slot than the yaml."""
    (mine := Path("conf/task")).mkdir(parents=True)
    (mine / "pile.yaml").write_text("_target_: razorbench.envs.stack.make\nid: heap-v3\ninstruction: own\nreward: sparse\n")
    record = finished.record.plain()
    record |= {"task": "heap-v3"}
    record["config"]["task"] = {"_target_": "theirs.make", "id": "heap-v3", "instruction": "shared", "reward": "sparse"}
    with config.registry("conf") as registry:
        task, base = registry.recorded(Record.model_validate(record))
        assert (task.id, base.id) == ("heap-v3", finished.record.base)
        assert task.slot != registry.item("task", "pile").slot
        for key, value, said in (
            ("instruction", 3, "must be a plain value such as own"),
            ("height", 1, "no such registered setting; there are easy, id, in"),
        ):
            told = {**record, "config": {"task": {**record["config"]["task"], key: value}}}
            with pytest.raises(UsageError, match=said):
                registry.recorded(Record.model_validate(told))
        with pytest.raises(UsageError, match="has other weights than the one here"):
            registry.recorded(Record.model_validate({**record, "hashes": {**record["hashes"], "base_policy": "0"}}))
    with config.registry() as registry, pytest.raises(UsageError, match=r"task heap-v3, which is not registered here; there are .*--config-dir"):
        registry.recorded(Record.model_validate(record))


def commands(results):
    """Every command and module that reads results, with what it is given."""
    yield from (["status", results], ["claims", results, "--budget", "standard"], ["compare", results, "ppo", "sft"], ["report", results, "--out", "out"])
    yield ["pack", results, "--method", "frozen", "--out", "package", "--author", "A", "--description", "b"]
    package = f"{results}/stack/frozen/seed0-000000000000"
    yield from (["validate", package], ["replay", package], ["leaderboard", package, "--levels", package, "--since", f"{package}/record.json", "--out", "site"])


def modules(results, monkeypatch):
    yield lambda: kept_runs.keep(results, Path("kept"))
    yield lambda: kept_runs.restore(results, Path("again"))
    yield lambda: read_records(results)
    yield lambda: sequences(results, ["0" * 12])
    for module, words in (
        (recall_file, [results, "asked.csv"]),
        (search_tables, ["tuning", "page.md", "records.jsonl.gz", results]),
        (readme, ["README.md", "bases.md"]),
    ):

        def do(module=module, words=words):
            monkeypatch.setattr(sys, "argv", ["module", *map(str, words), *([str(next(results.rglob("record.json")))] if module is readme else [])])
            module.main()

        yield do


@pytest.mark.slow
def test_no_reader_does_what_a_record_says(finished, witness, capsys, monkeypatch):
    results = Path("results")
    for number, poison in enumerate(POISON):
        folder = poisoned(finished, results / "stack" / "frozen" / f"seed0-{number:012x}", poison)
        record = json.loads((folder / "record.json").read_text())
        (folder / "sequence.json").write_text(json.dumps({**record, "sequence": "core6", "tasks": [CODE], "transfer": CODE, "success": CODE}))
        (folder / "submission.json").write_text(json.dumps({**CODE, "method": CODE, "suite": WITNESS}))
    Path("README.md").write_text("")
    Path("bases.md").write_text("")
    Path("page.md").write_text("")
    for command in commands("results"):
        code, _, err = razorbench(capsys, *command)
        assert code in (0, 1, 2), command
        assert "Traceback" not in err, command
    for do in modules(results, monkeypatch):
        try:
            do()
        except UsageError as error:
            assert "\n" not in str(error)


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
