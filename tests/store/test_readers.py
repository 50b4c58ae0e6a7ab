"""Every reader of results, given a record with calls in it: nothing in it is imported, called or opened."""

import json
import sys
from pathlib import Path

import kept_runs
import pytest
import readme
import recall_file
import search_tables
from conftest import TINY, compose, razorbench
from sequence_table import sequences

from razorbench.errors import UsageError
from razorbench.registry import config
from razorbench.runs import film
from razorbench.runs.run import run
from razorbench.store.record import Record
from razorbench.store.walk import read_records

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
