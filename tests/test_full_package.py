"""A package of the size that the board asks for, six tasks and three seeds: what it takes to check, and what a pull request with it is told."""

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

pytestmark = [pytest.mark.slow, pytest.mark.timed]
WORKFLOW = Path(__file__).parent.parent / ".github" / "workflows" / "submission.yml"


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
    assert said == "sft is valid: sft, 18 runs; what it says follows from the rows and weights in it\n"
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
        (package / "submission.json").write_text(json.dumps({**about, "name": f"SFT {number}"}))
        changed = hashlib.sha256((package / "submission.json").read_bytes()).hexdigest()
        sums = (package / "SHA256SUMS").read_text()
        (package / "SHA256SUMS").write_text(re.sub(r"[0-9a-f]{64}(?=  submission\.json)", changed, sums))
        digest = hashlib.sha256((package / "SHA256SUMS").read_bytes()).hexdigest()
        (tmp_path / "levels" / f"{number}.json").write_text(json.dumps({**level, "package": digest}))
    began = time.monotonic()
    done = razorbench("leaderboard", *sorted((tmp_path / "entries").iterdir()), "--levels", tmp_path / "levels", "--out", tmp_path / "site")
    took = time.monotonic() - began
    print(f"200 entries: {took:.1f} s")
    assert f"200 entries, 200 of them ranked: {tmp_path / 'site' / 'index.html'}" in done.stdout, done.stdout + done.stderr
    assert took < 60


def steps(folder):
    """Do the workflow's own commands, but those of actions and of the installation, as its runner would; return the exit code of the last."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    code = 0
    for step in yaml.safe_load(WORKFLOW.read_text())["jobs"]["validate"]["steps"]:
        if "run" in step and step["name"] != "install":
            code = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=folder, capture_output=True, check=False, env={**os.environ, "PATH": path}).returncode
    return code


def test_a_pull_request_is_told_what_it_changes(full, replayed, tmp_path):
    assert (full / "levels" / "sft.json").exists(), replayed
    (tmp_path / "board").mkdir()
    entries = tmp_path / "pull" / "baselines" / "results" / "entries"
    shutil.copytree(full / "sft", entries / "sft")
    assert steps(tmp_path) == 0
    said = (tmp_path / "comment.txt").read_text().splitlines()
    assert said[0].endswith("entries/sft is valid: sft, 18 runs; what it says follows from the rows and weights in it")
    assert said[1] == "1 entries, 0 of them ranked: after/index.html"
    # It is taken, and replayed; the next one lies.
    shutil.copytree(tmp_path / "pull", tmp_path / "board", dirs_exist_ok=True)
    shutil.copytree(full / "levels", tmp_path / "pull" / "baselines" / "results" / "levels", dirs_exist_ok=True)
    shutil.copytree(full / "sft", entries / "again")
    record = entries / "again" / "runs" / "pick_can" / "seed1" / "record.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "score": 1.0}))
    (tmp_path / "comment.txt").unlink()
    assert steps(tmp_path) == 1
    said = (tmp_path / "comment.txt").read_text()
    assert "entries/again is not valid: 2 faults" in said
    assert "runs/pick_can/seed1/record.json: score is 1.0, expected" in said
    assert "again: it has the checksums of sft" in said
    assert "- sft on core: validated, without a rank; now replayed, rank 1" in said
