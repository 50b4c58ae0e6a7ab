"""A package of the size that the board asks for, six tasks and three seeds: what it takes to check, and the answer to a pull request with it."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.long]
WORKFLOW = ROOT / ".github" / "workflows" / "submission.yml"


def razorbench(*words, **options):
    return subprocess.run([sys.executable, "-m", "razorbench", *map(str, words)], capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    sweep = ["task=core", "method=sft", "budget=quick", "seed=0,1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "results=runs"]
    done = razorbench("-m", *sweep, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    about = ["--author", "A. Nonymous", "--description", "Maximum likelihood."]
    done = razorbench("pack", "runs", "--method", "sft", "--budget", "quick", *about, "--out", "sft", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_it_is_validated_in_a_minute_and_a_gigabyte(full):
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "razorbench", "validate", "sft"], cwd=full, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - began
    print(f"validated in {took:.1f} s with {used.ru_maxrss / 1e6:.2f} GB")
    assert said.startswith("sft is valid: sft, 18 runs; its numbers follow from its rows and weights; declared")
    assert took < 60
    assert used.ru_maxrss < 1e6  # kB


@pytest.fixture(scope="module")
def replayed(full):
    """The seconds that it took, and what was said."""
    (full / "levels").mkdir()
    began = time.monotonic()
    done = razorbench("replay", "sft", "--out", "levels/sft.json", "--who", "the test", cwd=full)
    return time.monotonic() - began, done.stdout + done.stderr


def test_it_is_replayed_in_three_minutes(replayed):
    took, said = replayed
    print(f"replayed in {took:.1f} s")
    assert "18 of 18 policies do what it says, 18 of them to the row" in said
    assert took < 180


def test_a_site_of_two_hundred_is_built_in_a_minute(full, replayed, tmp_path):
    """From the packages as a board keeps them: replayed before, without their policies."""
    level = json.loads((full / "levels" / "sft.json").read_text())
    (tmp_path / "levels").mkdir()
    for number in range(200):
        package = shutil.copytree(full / "sft", tmp_path / "entries" / f"sft{number}", ignore=shutil.ignore_patterns("policy.safetensors"))
        about = json.loads((package / "submission.json").read_text())
        # A policy of its own each: what is like another's is not drawn.
        moved = about["scores"]["forward_kl"]
        about["scores"]["forward_kl"] = {**moved, "value": moved["value"] * 0.97**number, "ci95": [end * 0.97**number for end in moved["ci95"]]}
        (package / "submission.json").write_text(json.dumps({**about, "name": f"SFT {number}"}))
        for path in package.rglob("record.json"):
            record = json.loads(path.read_text())
            for values in record["divergence"].values():
                values |= {states: value * 0.97**number for states, value in values.items()}
            path.write_text(json.dumps(record))
        changed = {f"{path.relative_to(package)}": hashlib.sha256(path.read_bytes()).hexdigest() for path in package.rglob("*.json")}
        sums = (package / "SHA256SUMS").read_text()
        (package / "SHA256SUMS").write_text(re.sub(r"[0-9a-f]{64}(?=  (.*\.json)$)", lambda found, changed=changed: changed[found[1]], sums, flags=re.M))
        digest = hashlib.sha256((package / "SHA256SUMS").read_bytes()).hexdigest()
        (tmp_path / "levels" / f"{number}.json").write_text(json.dumps({**level, "package": digest}))
    began = time.monotonic()
    done = razorbench("leaderboard", *sorted((tmp_path / "entries").iterdir()), "--levels", tmp_path / "levels", "--out", tmp_path / "site")
    took = time.monotonic() - began
    print(f"200 entries: {took:.1f} s")
    assert f"200 entries, 200 replayed (with a place), 0 retrained (with a rank): {tmp_path / 'site'}" in done.stdout, done.stdout + done.stderr
    assert took < 60


def steps(folder, by="NONE"):
    """Do the workflow's own commands, but those of actions and of the installation, as its runner would; return the exit code of the last."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    code = 0
    for step in yaml.safe_load(WORKFLOW.read_text())["jobs"]["validate"]["steps"]:
        if "run" in step and step["name"] != "install":
            environment = {**os.environ, "PATH": path, "BY": by}
            code = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, capture_output=True, check=False, env=environment).returncode
    return code


def merged(folder, change):
    """A checkout as the workflow finds it: the merge of a pull request whose files `change` makes, with the board as its first parent."""
    pull, place = folder / "pull", folder / "pull" / "baselines" / "results"

    def git(*words):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", "-C", pull, *words], capture_output=True, check=True)

    if not pull.exists():
        (place / "entries").mkdir(parents=True)
        (pull / "README.md").write_text("A board.")
        git("init", "-q", "-b", "main")
        git("add", ".")
        git("commit", "-qm", "board")
    git("checkout", "-q", "--detach")
    git("checkout", "-qb", f"change{time.monotonic_ns()}")
    change(place)
    git("add", ".")
    git("commit", "-qm", "change")
    if (folder / "board").exists():
        git("worktree", "remove", "--force", "../board")


def test_a_pull_request_learns_what_it_changes(full, replayed, tmp_path):
    assert (full / "levels" / "sft.json").exists(), replayed
    said = tmp_path / "comment.txt"
    merged(tmp_path, lambda place: shutil.copytree(full / "sft", place / "entries" / "sft"))
    assert steps(tmp_path) == 0, said.read_text()
    lines = said.read_text().splitlines()
    assert lines[0].startswith("checked by the program of ")
    assert "entries/sft is valid: sft, 18 runs; its numbers follow from its rows and weights" in lines[2]
    assert lines[3].startswith("1 entries, 0 replayed (with a place)")
    # It is taken; its submitter brings a level for it, and then a keeper does.
    merged(tmp_path, lambda place: shutil.copytree(full / "levels", place / "levels", dirs_exist_ok=True))
    assert steps(tmp_path) == 1
    assert "levels are given by whoever keeps the board" in said.read_text()
    assert steps(tmp_path, "OWNER") == 0, said.read_text()
    assert "- sft on core: validated, without a rank; now replayed, without a rank, place 1" in said.read_text()

    def lie(place):
        shutil.copytree(full / "sft", place / "entries" / "again")
        record = place / "entries" / "again" / "runs" / "pick_can" / "seed1" / "record.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "score": 1.0}))

    merged(tmp_path, lie)
    assert steps(tmp_path) == 1
    assert "entries/again is not valid: 2 faults" in said.read_text()
    assert "runs/pick_can/seed1/record.json: score is 1.0, expected" in said.read_text()
    assert "again: it has the checksums of sft" in said.read_text()
    merged(tmp_path, lambda place: shutil.rmtree(place / "entries" / "sft"))
    assert steps(tmp_path) == 1
    assert "a file that is there is deleted" in said.read_text()
