"""Attacks by kind: each is answered with its sentence, in ten seconds and a gigabyte, and none is taken."""

# Fixtures of another module are given as arguments of the same name.
# ruff: noqa: F811

import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import attacks
import pytest
from attacks import PACKAGES, PAIRS
from attacks_board import ALIKE, LEVELS, NAMES, PULLS, raw
from packages import packed
from test_board import entry as shown
from test_board import submission
from test_submission import edit, known, results, seal, setting, whole  # noqa: F401

from razorbench.errors import UsageError
from razorbench.submissions import board, pull_request, replay
from razorbench.submissions.hostile import Faults
from razorbench.submissions.levels import contradiction, read_levels
from razorbench.submissions.likeness import reads_like
from razorbench.submissions.names import unseen
from razorbench.submissions.package import Package
from razorbench.submissions.schema import Level, Submission
from razorbench.submissions.validate import validate

MOST_S = 10
ON_PACKAGES = [(kind, name) for kind, attacks_ in PACKAGES.items() for name in attacks_]
COUNTED = sum(map(len, (ON_PACKAGES, NAMES, ALIKE, PULLS, LEVELS, PAIRS)))


def test_there_are_enough():
    assert COUNTED >= 150


@pytest.mark.parametrize("name", NAMES)
def test_names_are_what_one_sees(name):
    for field in ("name", "licence"):
        with pytest.raises(ValueError, match=field):
            submission("mine").model_validate({**submission("mine").model_dump(by_alias=True), field: NAMES[name]})
    with pytest.raises(ValueError, match="authors"):
        Submission.model_validate({**submission("mine").model_dump(by_alias=True), "authors": [NAMES[name]]})


@pytest.mark.parametrize("name", ["SFT, once more", "Müller & Söhne", "李小龙", "カタカナと漢字", "Ольга", "PPO (ours), v2", "sft/2", "Nguyễn Văn A"])
def test_names_of_every_language_are_fine(name):
    assert unseen(name) is None


@pytest.mark.parametrize(("ours", "theirs"), ALIKE)
def test_names_that_imitate_an_entry_are_found(ours, theirs):
    assert reads_like(submission(theirs), submission(ours)) == f"its name {theirs} reads like {ours}"
    assert reads_like(submission("x", authors=[theirs]), submission("y", authors=[ours])) is not None
    first, second = board.entries_of([replace(shown("one"), submission=submission(ours)), replace(shown("two"), submission=submission(theirs))])
    assert (first.level, second.level) == (board.VALIDATED, board.SELF_REPORTED)


def test_different_names_are_no_imitations():
    names = ["sft", "sft/2", "sft_cf", "sft_kl", "sft_rl", "ppo", "ppo_kl", "lwf", "lora", "ewc", "grpo", "joint", "SFT 10", "SFT 11"]
    assert [(a, b) for a in names for b in names if a < b and reads_like(submission(a), submission(b))] == []


@pytest.mark.parametrize("name", PULLS)
def test_pull_requests(name):
    by, changes, sentence = PULLS[name]
    began = time.perf_counter()
    found = pull_request.refusals(pull_request.parse(raw(*changes)), by, ["sft", "ppo"])
    assert time.perf_counter() - began < MOST_S
    assert any(sentence in why for why in found), found


def test_what_a_pull_request_may_be():
    mine = [("A", f"baselines/results/entries/mine/{file}") for file in ("submission.json", "SHA256SUMS", "runs/stack/seed0/record.json")]
    assert pull_request.refusals(pull_request.parse(raw(*mine)), "NONE", ["sft"]) == []
    levels = [("A", "baselines/results/levels/mine.json"), ("D", "baselines/results/entries/sft/runs/stack/seed0/policy.safetensors")]
    assert pull_request.refusals(pull_request.parse(raw(*levels)), "OWNER", ["sft"]) == []
    for cut in (raw(*mine)[:-1], raw(*mine)[5:], b"x\0", b":100644\0a\0"):
        with pytest.raises(ValueError, match="git diff --raw"):
            pull_request.parse(cut)


def test_the_command_for_pull_requests():
    def said(changes, *words):
        command = [sys.executable, "-m", "razorbench.submissions.pull_request", *words]
        done = subprocess.run(command, input=changes, capture_output=True, check=False)
        return done.returncode, done.stdout.decode()

    assert said(raw(("A", "baselines/results/entries/mine/submission.json")), "--there", "sft") == (0, "\n")
    code, text = said(raw(("D", "baselines/results/entries/sft/submission.json")), "--by", "CONTRIBUTOR")
    assert code == 1
    assert text.endswith("this pull request is not taken as it is: 1 reason\n")


def test_git_says_what_is_read(tmp_path):
    """The list as git itself writes it, of a merge, as the workflow does."""

    def git(*words):
        return subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", *words], cwd=tmp_path, capture_output=True, check=True).stdout

    git("init", "-q", "-b", "main")
    entries = tmp_path / "baselines" / "results" / "entries"
    for name in ("sft", "mine"):
        (entries / name).mkdir(parents=True)
        (entries / name / "submission.json").write_text(name)
        git("add", ".")
        git("commit", "-qm", name)
    (entries / "mine" / "link").symlink_to("/etc/passwd")
    (entries / "sft" / "submission.json").unlink()
    git("add", ".")
    git("commit", "-qm", "more")
    found = pull_request.parse(git("diff", "--raw", "-z", "--no-renames", "--no-abbrev", "HEAD~2", "HEAD"))
    assert [(change.status, change.mode, Path(change.path).name) for change in found] == [
        ("A", "120000", "link"),
        ("A", "100644", "submission.json"),
        ("D", "000000", "submission.json"),
    ]


@pytest.fixture(scope="module")
def attacked(results, known, tmp_path_factory):
    """The registry, the whole package and one of two runs; memory of before."""
    packed(results, known, both := tmp_path_factory.mktemp("both") / "frozen", arm="frozen", suite="two")
    base = known.base("mlp", 0)
    attacks.HORIZONS.update({each.name: each.horizon for each in (known.tasks["stack"], *base.skills)})
    return both, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def refused(package, known):
    began = time.perf_counter()
    _, _, faults = validate(Package(package), known)
    assert time.perf_counter() - began < MOST_S
    found = [str(fault) for fault in faults]
    assert all(each.isprintable() and len(each) < 1000 for each in found)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), ON_PACKAGES)
def test_packages(kind, name, whole, known, attacked, tmp_path):
    change, sentence = PACKAGES[kind][name]
    package = Path(shutil.copytree(whole, tmp_path / "package"))
    change(package, known)
    try:
        seal(package)
    except OSError:
        pass
    found = refused(package, known)
    assert any(sentence in fault for fault in found), found
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - attacked[1] < 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_a_package_is_one_experiment(name, known, attacked, tmp_path):
    """Of a method that is not registered, which enters by its records."""
    change, sentence = PAIRS[name]
    package = Path(shutil.copytree(attacked[0], tmp_path / "package"))
    change(package, known)
    seal(package)
    found = refused(package, replace(known, methods={}))
    assert any(sentence in fault for fault in found), found


@pytest.fixture(scope="module")
def vouched(whole, known):
    submission, runs, faults = validate(package := Package(whole), known)
    assert not faults
    found = replay.replay(package, submission, runs, known, fresh_seed=1, episodes=10, faults=faults, say=print)
    assert not faults
    return replay.entry(package, found, 1, "me", True, None), runs


@pytest.mark.slow
@pytest.mark.parametrize("name", LEVELS)
def test_levels(name, vouched, tmp_path):
    change, sentence = LEVELS[name]
    level, runs = json.loads(json.dumps(vouched[0])), vouched[1]
    assert contradiction(Level.model_validate(level), runs) is None
    change(level)
    (tmp_path / "level.json").write_text(json.dumps(level))
    try:
        (found,) = read_levels(tmp_path).values()
        said = contradiction(found, runs)
    except UsageError as error:
        said = str(error)
    assert said is not None and sentence in said, said


@pytest.mark.slow
def test_weights_moved_a_little_are_someone_elses(whole, known, results, tmp_path):
    thief = Path(shutil.copytree(whole, tmp_path / "thief"))
    attacks.moved(thief, known.base("mlp", 0).policy.state_dict())
    edit(thief, "submission.json", setting("name", "Entirely Mine"))
    seal(thief)
    assert refused(thief, known) == []
    first, second = board.entries([whole, thief], known, {})
    assert (first.level, second.level, second.runs) == ("validated", "self-reported", ())
    assert second.why == "1 of its 1 policies are nearly those of sft"


@pytest.mark.slow
def test_a_file_that_changes_after_it_was_read_changes_nothing(whole, known, tmp_path):
    package = Package(Path(shutil.copytree(whole, tmp_path / "package")))
    submission, runs, faults = validate(package, known)
    before = package.digest
    for path in [path for path in package.root.rglob("*") if path.is_file()]:
        path.write_bytes(b"other")
    found = replay.replay(package, submission, runs, known, fresh_seed=1, episodes=2, faults=faults, say=print)
    assert not faults and len(found) == 1
    assert package.digest == before


def test_a_missing_file_is_named_once(tmp_path):
    (tmp_path / "package").mkdir()
    package, faults = Package(tmp_path / "package"), Faults()
    assert package.read("submission.json", faults) is None and package.read("submission.json", faults) is None
    assert len(faults) == 1
