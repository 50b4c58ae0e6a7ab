"""The wheel works from anywhere, beside a user's own envs/ and conf/."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.mark.slow
def test_wheel(tmp_path):
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("there is no checkout to build a wheel from")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    place = tmp_path / "venv"
    # The dependencies of this very environment, without its own RazorBench in front.
    venv.create(place, with_pip=True, system_site_packages=False)
    python = place / "bin" / "python"
    site = subprocess.run([sys.executable, "-c", "import gymnasium; print(gymnasium.__path__[0])"], capture_output=True, text=True, check=True).stdout.strip()
    wheel = next(tmp_path.glob("*.whl"))
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    packages = next((place / "lib").glob("python*")) / "site-packages"
    (packages / "dependencies.pth").write_text(str(Path(site).parent) + "\n")
    project = tmp_path / "project"
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for folder in ("envs", "conf", "baselines"):
        (project / folder).mkdir(parents=True)
        (project / folder / "__init__.py").write_text("raise RuntimeError('the user own package was imported')\n")
    tiny = ["eval.snapshots=2", "eval.episodes=4", "eval.skill_episodes=2", "budget.demo_episodes=8", "budget.gradient_steps=20"]
    for command in (["list"], ["task=pick_place", "method=sft", *tiny], ["-m", "task=pick_place", "method=sft,frozen", *tiny]):
        done = subprocess.run([python, "-m", "razorbench", *command], cwd=project, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    where = [python, "-c", "import razorbench; print(razorbench.__file__)"]
    assert str(place) in subprocess.run(where, cwd=project, env=clean, capture_output=True, text=True, check=True).stdout
    assert len(list(project.rglob("record.json"))) == 2
