"""The README's first screen and the page of the reference study follow from the records."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import write_run

from razorbench.claims import Claim
from razorbench.reporting.reference import Study, markdown, write
from razorbench.reporting.tables import Table
from razorbench.results import pool, read_runs

ROOT = Path(__file__).parent.parent
METHODS = {"ppo": ("on-policy reward", 0.05), "sft": ("offline supervised", 0.4), "lwf": ("continual learning", 0.1)}


def test_a_table_as_markdown():
    assert markdown(Table("t", "T", ("a", "b"), [("x|y", 1), ("z", 0.5)])) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n| z | 0.50 |"


def test_pages_are_written_from_runs(tmp_path):
    for task in ("alpha", "beta"):
        for method, (family, harm) in METHODS.items():
            for seed in range(2):
                write_run(tmp_path / "results", task, method, seed, speed=0.3, harm=harm, family=family, machine={"processor": "abacus"})
    found = pool(read_runs(tmp_path / "results", {}), "mlp", "standard")
    (readme := tmp_path / "README.md").write_text("# Before\n<!-- reference: anew -->\nyesterday\n<!-- /reference -->\nafter\n")
    claims = [(Claim("C1", "it is so", ()), ["do this"])]
    study = Study(found, claims, {name: family for name, (family, _) in METHODS.items()}, 24, 12, 3.25)
    write(study, readme, tmp_path / "docs" / "reference")
    text = readme.read_text()
    assert text.startswith("# Before\n<!-- reference: anew -->\nSo far 12 of 24 runs, 3.2 processor hours on abacus: the numbers will move.\n")
    assert text.endswith("\n<!-- /reference -->\nafter\n") and "yesterday" not in text
    assert "with the fit.](docs/reference/trade_and_law.png)" in text
    assert "| C1 | it is so |" in text
    for arm in METHODS:
        assert f"\n| {arm}" in text
    page = (tmp_path / "docs" / "reference" / "README.md").read_text()
    assert "| forward KL, new task | " in page
    assert (tmp_path / "docs" / "reference" / "trade_and_law.png").stat().st_size > 10_000
    write(Study(found, claims, study.families, 12, 12, 3.25), readme, tmp_path / "docs" / "reference")
    assert "All 12 runs, 3.2 processor hours on abacus.\n" in readme.read_text()


@pytest.mark.slow
def test_what_is_in_the_repository_is_of_the_records_there(tmp_path):
    if not (ROOT / "baselines" / "results" / "runs").exists():
        pytest.skip("there is no checkout here")
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    command = [sys.executable, "-m", "razorbench.reporting.reference", ROOT / "baselines" / "results", tmp_path / "README.md", tmp_path / "docs" / "reference"]
    subprocess.run(command, check=True, cwd=ROOT)
    for file in ("README.md", "docs/reference/README.md"):
        assert (tmp_path / file).read_text() == (ROOT / file).read_text(), "run `make results`"
