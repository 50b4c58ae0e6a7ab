"""Packages for the leaderboard: made, found valid, and, however they are changed, found out."""

import hashlib
import json
import lzma
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from packages import CURVE, EPISODES, POLICY, RECORD, RUN, packed, small_known, small_runs
from safetensors.torch import load_file, save_file

from razorbench.commands.main import main
from razorbench.errors import UsageError
from razorbench.store.folder import turned
from razorbench.store.packing import xz
from razorbench.submissions.package import Package
from razorbench.submissions.schema import json_schema
from razorbench.submissions.validate import validate


@pytest.fixture(scope="module")
def known(few_states):
    return small_known()


@pytest.fixture(scope="module")
def results(few_states, tmp_path_factory):
    return small_runs(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def whole(results, known, tmp_path_factory):
    packed(results, known, out := tmp_path_factory.mktemp("packages") / "sft")
    return out


@pytest.fixture
def package(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "package"))


def seal(package):
    """Make the checksums right again, as someone would who means it."""
    files = sorted(path for path in package.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(package)}\n" for path in files)
    (package / "SHA256SUMS").write_text("".join(lines))


def faults(package, known):
    return [str(fault) for fault in validate(Package(package), known)[2]]


def test_a_package_is_valid_and_says_what_it_was_given(results, known, tmp_path):
    submission = packed(results, known, tmp_path / "sft")
    assert submission.track.demonstrations and not submission.track.environment_steps
    assert faults(tmp_path / "sft", known) == []
    submission = packed(results, known, tmp_path / "frozen", arm="frozen", suite="two")
    assert submission.scores["retention"].value == 1.0
    assert not any((submission.track.demonstrations, submission.track.environment_steps, submission.track.old_task_data, submission.track.expert_queries))
    assert faults(tmp_path / "frozen", known) == []


def test_a_setting_that_an_older_record_lacks_is_the_default(package, known):
    record = json.loads((package / RECORD).read_text())
    del record["config"]["task"]["easy"], record["config"]["base"]["rounds"]
    (package / RECORD).write_text(json.dumps(record))
    seal(package)
    assert faults(package, known) == []
    del record["config"]["base"]["epochs"]
    (package / RECORD).write_text(json.dumps(record))
    seal(package)
    assert faults(package, known) == [f"{RECORD}: config.base.epochs is missing, expected something"]


def test_what_cannot_be_packed(results, known, tmp_path):
    leaderboard = f"python -m razorbench -m results={results} budget=quick base=mlp method=sft task=stack seed=1"
    with pytest.raises(UsageError, match=f"1 of 2 runs of sft on two are missing: do them with `{leaderboard}`, then pack again"):
        packed(results, known, tmp_path / "sft", suite="two")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(UsageError, match="the folder is not empty"):
        packed(results, known, tmp_path / "full")
    with pytest.raises(UsageError, match="code is 'ftp://there': string should match pattern"):
        packed(results, known, tmp_path / "address", code="ftp://there")
    assert not (tmp_path / "address").exists()


def edit(package, file, change):
    path = package / file
    if path.name == "curve.jsonl.xz":
        points = [json.loads(line) for line in lzma.decompress(path.read_bytes()).splitlines()]
        change(points)
        path.write_bytes(xz("".join(json.dumps(point) + "\n" for point in points).encode()))
    elif path.suffix == ".xz":
        path.write_bytes(xz(turned(change(turned(lzma.decompress(path.read_bytes()).decode()))).encode()))
    elif path.suffix == ".safetensors":
        tensors = load_file(path)
        save_file(change(tensors) or tensors, path)
    else:
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))


def setting(path, value):
    def change(node):
        *parents, last = path.split(".")
        for key in parents:
            node = node[int(key) if isinstance(node, list) else key]
        node[int(last) if isinstance(node, list) else last] = value

    return change


def better(text):
    """One failure of the final policy becomes a success."""
    lines = text.splitlines()
    found = next(k for k, line in enumerate(lines) if line.startswith("final,stack,test,greedy,") and line.split(",")[5] == "0")
    words = lines[found].split(",")
    lines[found] = ",".join([*words[:5], "1", words[6]])
    return "\n".join(lines) + "\n"


def endless(text):
    """The first episode takes longer than its task's horizon."""
    first = text.splitlines()[1]
    return text.replace(first, f"{first.rpartition(',')[0]},900")


LIES = {
    "a better rate": (RECORD, setting("new_task.final.greedy.rate", 1.0), f"{RECORD}: new_task.final.greedy.rate is 1.0, expected 0."),
    "a better retention": (RECORD, setting("retention.value", 1.0), f"{RECORD}: retention.value is 1.0, expected"),
    "a better score": (RECORD, setting("score", 1.0), f"{RECORD}: score is 1.0, expected"),
    "a narrower interval": (RECORD, setting("forgetting.ci95", [0.0, 0.0]), f"{RECORD}: forgetting.ci95[1] is 0.0, expected"),
    "a smaller KL": (RECORD, setting("divergence.kl_forward.new", 0.01), f"{RECORD}: divergence.kl_forward.new is 0.01, expected"),
    "a smaller KL on old tasks": (RECORD, setting("divergence.kl_forward.original", 0.01), f"{RECORD}: divergence.kl_forward.original is 0.01"),
    "less drift": (RECORD, setting("drift.weights.l2", 0.001), f"{RECORD}: drift.weights.l2 is 0.001, expected"),
    "a lost skill left out": (RECORD, lambda record: record["original"].pop("lift"), f"{RECORD}: original.lift is missing, expected something"),
    "a skill made up": (RECORD, lambda record: record["original"].update(fly=1), f"{RECORD}: original.fly is 1, expected a mapping"),
    "another seed": (RECORD, setting("seed", 1), f"{RECORD}: seed is 1, expected 0"),
    "another base": (RECORD, setting("base", "mlp-s1"), f"{RECORD}: base is mlp-s1, expected mlp-s0"),
    "another task": (RECORD, setting("hashes.task_spec", "0" * 64), f"{RECORD}: hashes.task_spec is 000"),
    "another world": (RECORD, setting("world", "elsewhere-1"), f"{RECORD}: world is elsewhere-1, expected workcell-2"),
    "another KL": (RECORD, setting("estimator", "sampled"), f"{RECORD}: estimator is sampled, expected closed form, diagonal Gaussian"),
    "another protocol": (RECORD, setting("protocol", 1), f"{RECORD}: protocol is 1, expected"),
    "a seed that is true": (RECORD, setting("seed", False), f"{RECORD}: seed is False, expected a valid integer"),
    "more episodes": (RECORD, setting("config.eval.episodes", 9), f"{RECORD}: config.eval.episodes is 9, expected 10"),
    "a larger cap": (RECORD, setting("budget.caps.gradient_steps", 10**6), f"{RECORD}: budget.caps.gradient_steps is 1000000, expected 1000"),
    "more than the cap": (
        RECORD,
        setting("budget.gradient_steps", 10**6),
        f"{RECORD}: budget.gradient_steps is 1000000, expected a whole number, 0 or more, at most",
    ),
    "a cost below 0": (RECORD, setting("budget.env_steps", -1), f"{RECORD}: budget.env_steps is -1, expected greater than or equal to 0"),
    "old data unsaid": (RECORD, setting("budget.old_task_data", True), f"{RECORD}: budget.old_task_data is True, expected False"),
    "other hyper-parameters": (RECORD, setting("config.method.learning_rate", 1e-5), f"{RECORD}: hashes.run is "),
    "code to import": (RECORD, setting("config.method._target_", "os.system"), "config.method is not of razorbench.baselines.sft.SFT"),
    "a setting that is none": (RECORD, setting("config.method.speed", 9), "config.method.speed: no such setting"),
    "a list for a number": (RECORD, setting("config.method.epochs", [1]), "config.method.epochs is (1,): it must be a whole number"),
    "a part missing": (RECORD, lambda record: record.pop("drift"), f"{RECORD}: drift is missing, expected there"),
    "no mapping": (RECORD, None, f"{RECORD}: content is [], expected a mapping"),
    "a better snapshot": (CURVE, setting("5.new_task.test.rate", 1.0), f"{CURVE}, line 6: new_task.test.rate is 1.0, expected"),
    "a snapshot missing": (CURVE, lambda points: points.pop(5), f"{CURVE}: update is ["),
    "a snapshot twice": (CURVE, lambda points: points.insert(5, points[5]), f"{CURVE}, line 7: update is"),
    "steps that run back": (CURVE, setting("5.gradient_steps", 0), f"{CURVE}, line 6: gradient_steps is 0, expected a whole number"),
    "a success made up": (EPISODES, better, f"{RECORD}: new_task.final.greedy.successes is"),
    "an episode missing": (EPISODES, lambda text: text.rpartition("final,")[0], f"{EPISODES}: number of episodes is"),
    "an episode twice": (EPISODES, lambda text: text + text.splitlines()[-1] + "\n", f"{EPISODES}: number of episodes is"),
    "an episode for another": (EPISODES, lambda text: text.replace("base,stack,test,greedy,7,", "base,stack,test,greedy,8,"), "expected each episode once"),
    "an endless episode": (EPISODES, endless, "length is 900"),
    "a start of its own": (
        EPISODES,
        lambda text: text.replace(",greedy,7,", ",greedy,700,"),
        "expected an episode that the run plays",
    ),
    "another policy": (POLICY, lambda tensors: {name: 0.99 * tensor for name, tensor in tensors.items()}, f"{RECORD}: divergence.kl_forward"),
    "a log-std out of range": (POLICY, lambda tensors: {**tensors, "log_std": tensors["log_std"] - 9}, f"{POLICY}: log_std is ["),
    "a tensor too many": (POLICY, lambda tensors: {**tensors, "more": tensors["log_std"].clone()}, f"{POLICY}: more is there, expected no such tensor"),
    "a better total": ("submission.json", setting("scores.score", {"value": 1.0, "ci95": [1.0, 1.0]}), "submission.json: scores.score is"),
    "a track of its own": ("submission.json", setting("track.demonstrations", False), "submission.json: track.demonstrations is False, expected True"),
    "another suite": ("submission.json", setting("suite", "all"), "submission.json: suite is all, expected one of core, full, one, two"),
    "a word too many": ("submission.json", setting("prize", 1), "submission.json: prize is 1, expected Extra inputs are not permitted"),
    "an address of a script": ("submission.json", setting("code", "javascript:alert(1)"), "submission.json: code is javascript:alert(1)"),
    "no author": ("submission.json", setting("authors", []), "submission.json: authors is []"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_found_though_the_checksums_are_right(lie, package, known):
    file, change, sentence = LIES[lie]
    if change is None:
        (package / file).write_text("[]")
    else:
        edit(package, file, change)
    seal(package)
    found = faults(package, known)
    assert any(sentence in fault for fault in found), found


def test_all_faults_are_listed(package, known):
    edit(package, RECORD, setting("seed", 5))
    edit(package, "submission.json", setting("track.demonstrations", False))
    (package / "run_me.py").write_text("1")
    (package / "away").symlink_to("/etc")
    (package / RUN / "policy.safetensors").unlink()
    found = faults(package, known)
    for sentence in (
        "away: kind is a link, expected a regular file",
        "run_me.py: presence is there, expected nothing",
        "submission.json: SHA-256 is",
        f"{RECORD}: SHA-256 is",
        f"{RECORD}: seed is 5, expected 0",
    ):
        assert any(sentence in fault for fault in found), sentence


@pytest.mark.parametrize("file", ["submission.json", "SHA256SUMS", RECORD, CURVE, EPISODES, POLICY])
def test_files_that_are_missing_cut_or_changed(file, package, known):
    data = (package / file).read_bytes()
    for other in (data[: len(data) // 2], data[:-2], b"", data + b"x", bytes(1000)):
        (package / file).write_bytes(other)
        assert faults(package, known)
    (package / file).unlink()
    assert any(fault.startswith(f"{file}: presence is missing") for fault in faults(package, known))


def test_the_command(package, capsys):
    def validated(*words):
        with pytest.raises(SystemExit) as exit_:
            main(["validate", *map(str, words)])
        return exit_.value.code, capsys.readouterr()

    code, said = validated(package)
    assert code == 1
    assert "submission.json: suite is one, expected one of core, full" in said.out
    assert said.out.endswith("is not valid: 1 fault\n")
    code, said = validated(package, "--json")
    assert json.loads(said.out)["faults"][0] == {"file": "submission.json", "field": "suite", "found": "one", "expected": "one of core, full"}
    code, said = validated(package / "nowhere")
    assert code == 2
    assert "no such folder" in said.err


@pytest.mark.pages
def test_the_published_schema_is_the_present_one():
    docs = ROOT / "docs" / "submission.schema.json"
    assert docs.read_text() == json_schema(), "write razorbench.submissions.schema.json_schema() there"


def test_a_method_that_is_not_registered_enters_by_its_records(package, known):
    without = replace(known, methods={})
    assert faults(package, without) == []
    edit(package, RECORD, setting("new_task.final.greedy.successes", 10))
    seal(package)
    assert faults(package, without)
