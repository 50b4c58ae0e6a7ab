"""The README's first screen and the page of the reference study follow from the records."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import write_run

from razorbench.claims import Claim
from razorbench.reporting.excerpts import markdown
from razorbench.reporting.reference import Study, write
from razorbench.reporting.sequences import sequences
from razorbench.reporting.tables import Table
from razorbench.reporting.trade_and_law import way
from razorbench.results import pool, read_runs
from razorbench.rules import Finding
from razorbench.store import SCHEMA, SequenceFolder
from razorbench.suite import Undefined
from razorbench.verdicts import Verdict

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
    claims = {"`core`": [Claim("C1", "it is so", ())]}
    study = Study(found, claims, {name: family for name, (family, _) in METHODS.items()}, 24, 12, 3.25, sequences(tmp_path / "results", ()))
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
    assert "task after task" not in page
    assert "Kept as well" not in page
    write(replace(study, asked=12, spare=3), readme, tmp_path / "docs" / "reference")
    assert "in no number here: 3 runs of studies that are not complete." in (tmp_path / "docs" / "reference" / "README.md").read_text()
    assert "All 12 runs, 3.2 processor hours on abacus.\n" in readme.read_text()
    assert "## On more tasks" not in page


def test_what_was_also_run_on_more_tasks_stands_beside_the_main_runs(tmp_path):
    for task in ("alpha", "beta", "gamma"):
        for method, (family, harm) in METHODS.items():
            if task != "gamma" or method != "lwf":
                write_run(tmp_path / "results", task, method, 0, speed=0.3, harm=harm, family=family, machine={"processor": "abacus"})
    runs = read_runs(tmp_path / "results", {})
    main, wide = (pool([run for run in runs if which(run)], "mlp", "standard") for which in (lambda run: run.task != "gamma", lambda run: run.method != "lwf"))
    (readme := tmp_path / "README.md").write_text("<!-- reference: anew -->\n<!-- /reference -->\n")
    undecided, more = (Claim("C1", "it is so", (Finding("x - y", "best", ("more",), None, "2 tasks", Verdict((word,))),)) for word in ("undecided", "more"))
    decided = {"`core`": [undecided], "all twelve tasks": [more]}
    families = {name: family for name, (family, _) in METHODS.items()}
    write(Study(main, decided, families, 8, 8, 1.0, sequences(tmp_path / "results", ()), wide=wide), readme, tmp_path / "docs" / "reference")
    page = (tmp_path / "docs" / "reference" / "README.md").read_text()
    for text in (readme.read_text(), page):
        assert "| claim | it says | at 0.9, `core` | at best, `core` | at end, `core` | at 0.9, all twelve tasks |" in text
        assert "| C1 | it is so |  | undecided (0 of 1 as expected) |  |  | more (1 of 1 as expected) |  |" in text
    before, beside = page.split("## On more tasks")
    assert "gamma" not in before
    beside = beside.split("\n## ")[0]
    assert "| arm | alpha | beta | gamma |" in beside and "lwf" not in beside
    assert page.count("| C1 | x - y | best | more |") == 2


def test_an_arms_way_leads_from_its_bases_to_its_final_policies_and_every_task_counts_alike(tmp_path):
    for task, seeds, snapshots in (("alpha", 1, 12), ("beta", 3, 6)):
        for seed in range(seeds):
            write_run(tmp_path, task, "sft", seed, speed=0.3, harm=0.4, snapshots=snapshots)
    runs = read_runs(tmp_path, {})
    found = way(runs)
    assert found.shape == (49, 2)
    for place in (0, -1):
        of = {run.task: [] for run in runs}
        for run in runs:
            of[run.task].append((run.curve[place]["new_task"]["test"]["rate"], run.curve[place]["retention"]["value"]))
        assert found[place] == pytest.approx(np.mean([np.mean(each, axis=0) for each in of.values()], axis=0))
    # Half of a run with an even number of updates is one of its snapshots.
    alone = way([run for run in runs if run.task == "alpha"])
    (run,) = (run for run in runs if run.task == "alpha")
    assert alone[24] == pytest.approx((run.curve[6]["new_task"]["test"]["rate"], run.curve[6]["retention"]["value"]))


def test_sequences_by_hand(tmp_path):
    for seed, (success, kept) in enumerate(((0.5, 0.8), (0.7, 0.6))):
        undefined = {"value": None, "undefined": "a sequence of one task has none"}
        transfer = {
            "average_performance": {"value": success},
            "forgetting": {"value": 0.1},
            "backward_transfer": {"value": -0.1},
            "forward_transfer": undefined,
        }
        record = dict.fromkeys(SequenceFolder.required) | {
            "schema": SCHEMA,
            "sequence": "two",
            "method": {"name": "sft", "demos": ["direct", "high", "direct"]},
        }
        record |= {"hashes": {"run": f"a{seed}"}, "transfer": transfer, "retention": [{"value": 1.0}, {"value": kept}]}
        (folder := tmp_path / "two" / "sft" / f"seed{seed}").mkdir(parents=True)
        (folder / "sequence.json").write_text(json.dumps(record))
    ((name, method, demos, seeds, success, forgot, back, forward, kept),) = sequences(tmp_path, ("a0", "a1")).rows
    assert (name, method, demos, seeds) == ("two", "sft", "direct, high", 2)
    # Student's t for two values is 12.7062, the standard errors .1 and .1.
    assert (success.value, success.low, kept.value, kept.high) == pytest.approx((0.6, 0.6 - 1.27062, 0.7, 0.7 + 1.27062), abs=1e-4)
    assert (forgot.value, back.value) == pytest.approx((0.1, -0.1))
    assert forward == Undefined("a sequence of one task has none")
    assert [row[3] for row in sequences(tmp_path, ("a1",)).rows] == [1]
    assert not sequences(tmp_path, ()).rows


@pytest.mark.slow
def test_what_is_in_the_repository_is_of_the_records_there(tmp_path):
    if not (ROOT / "baselines" / "results" / "runs").exists():
        pytest.skip("there is no checkout here")
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    command = [sys.executable, "-m", "razorbench.reporting.reference", ROOT / "baselines" / "results", tmp_path / "README.md", tmp_path / "docs" / "reference"]
    subprocess.run(command, check=True, cwd=ROOT)
    for file in ("README.md", "docs/reference/README.md"):
        assert (tmp_path / file).read_text() == (ROOT / file).read_text(), "run `make results`"
