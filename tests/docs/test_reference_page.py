"""The README's first screen and the page of the reference study follow from the records."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from first_picture import first_picture
from reference_page import Study, write
from sequence_table import sequences
from synthetic import QUESTIONS, estimate, write_run

from razorbench.measures.episodes import rate
from razorbench.reports.content import Material
from razorbench.reports.drawing import styled
from razorbench.reports.findings import CarriesOver, Saved, Shown
from razorbench.reports.tables import Table
from razorbench.statistics.claim_rules import Finding
from razorbench.statistics.claims import Claim
from razorbench.statistics.comparison import MEASURES, contrast, numbers, paired
from razorbench.statistics.finished_runs import read_runs
from razorbench.statistics.pooling import pool
from razorbench.statistics.verdicts import Verdict, told
from razorbench.store.estimate import Undefined
from razorbench.store.folder import PROTOCOL, SCHEMA, SequenceFolder

METHODS = {"ppo": ("on-policy reward", 0.05), "sft": ("offline supervised", 0.4), "lwf": ("continual learning", 0.1)}


def test_a_table_as_markdown():
    assert Table("t", "T", ("a", "b"), [("x|y", 1), ("z", 0.5)]).markdown() == "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n| z | 0.50 |"


def study(results, fresh=False, **more):
    """A study of made-up runs; alpha, beta and gamma are its core, the other tasks, if any, had no part in it."""
    for task in ("alpha", "beta", "gamma", *(("delta", "zeta", "eta") if fresh else ())):
        for method, (family, harm) in METHODS.items():
            for seed in range(2):
                write_run(results, task, method, seed, speed=0.3, harm=harm, family=family, machine={"processor": "abacus"})
    runs = read_runs(results, dict.fromkeys(("alpha", "beta", "gamma", "delta", "zeta", "eta"), ("direct",)))
    core, others = ([run for run in runs if (run.task in ("alpha", "beta", "gamma")) == which] for which in (True, False))
    families = {name: family for name, (family, _) in METHODS.items()}
    shown = Shown(
        ("sft", "ppo"), ("ppo", "sft"), (Saved("sft", "It saves {number}, {verdict}.", "reference/README.md#here"), CarriesOver("R2 {number}", "law"))
    )
    decided = {"`core`": [Claim("C1", "it is so", (Finding("x - y", "best", ("more",), None, "2 tasks", Verdict(("same",))),))]}
    pools = [pool(each, "mlp", "standard") if each else None for each in (core, others, runs)]
    made = Study(
        *(pools[0], decided, families, len(runs), len(runs), 3.25, sequences(results, ()), QUESTIONS, shown),
        **{"fresh": pools[1], "wide": pools[2] if fresh else None},
    )
    return replace(made, **more)


def test_pages_are_written_from_runs(tmp_path):
    made = study(tmp_path / "results", asked=24)
    (readme := tmp_path / "README.md").write_text("# Before\n<!-- reference: anew -->\nyesterday\n<!-- /reference -->\nafter\n")
    write(made, readme, out := tmp_path / "docs" / "reference")
    text = readme.read_text()
    assert text.startswith('# Before\n<!-- reference: anew -->\n<img src="docs/reference/stops_other_tasks.png"')
    assert text.endswith("\n<!-- /reference -->\nafter\n") and "yesterday" not in text
    assert "18 of 24 runs so far, 3.2 core hours (abacus): the numbers will change." in text
    best, end = (numbers(made.pool.runs, "sft", MEASURES[f"retention@{stop}"]) for stop in ("best", "end"))
    assert f"- It saves {told(paired(best, end).difference)}, " in text and "[More](docs/reference/README.md#here)" in text
    differences = [contrast(made.pool.runs, "ppo", "sft", MEASURES[f"retention@{stop}"]).difference for stop in ("best", "end")]
    assert all(told(each) in text for each in differences)
    page = (out / "README.md").read_text()
    assert "[the law](../results/law.md)" in page and "| C1 | it is so |  | same (0 of 1 as expected) |  |" in page
    for arm in METHODS:
        assert page.count(f"\n| {arm} |") > 4
    assert all((out / name).stat().st_size > 10_000 for name in ("stops.png", "stops_other_tasks.png"))
    assert len((out / "runs.csv").read_text().splitlines()) == 19
    assert "R2 undefined" not in text and (tmp_path / "docs" / "results" / "law.md").exists()
    assert "not used here" not in page and "not used in the design" not in page
    write(replace(made, asked=18, spare=3), readme, out)
    assert "Committed but not used here: 3 runs of incomplete studies." in (out / "README.md").read_text()
    assert "18 runs, 3.2 core hours (abacus)." in readme.read_text()


def test_what_had_no_part_in_the_design_stands_beside_it_and_is_what_the_readme_quotes(tmp_path):
    made = study(tmp_path / "results", fresh=True)
    (readme := tmp_path / "README.md").write_text("<!-- reference: anew -->\n<!-- /reference -->\n")
    write(made, readme, tmp_path / "docs" / "reference")
    before, beside = (tmp_path / "docs" / "reference" / "README.md").read_text().split("## Tasks not used in the design")
    assert "delta" not in before and "| arm | delta | eta | zeta |" in beside.split("\n## ")[0]
    quoted, other = (contrast(each.runs, "ppo", "sft", MEASURES["retention@end"]).difference for each in (made.fresh, made.pool))
    assert told(quoted) in readme.read_text() and told(other) not in readme.read_text()


def test_a_picture_has_at_most_a_colour_for_each_arm(tmp_path):
    made = study(tmp_path)
    material = Material.of(made.pool, made.families, tmp_path)
    with pytest.raises(ValueError, match="a picture has a colour for each of 7 arms, not 8"):
        first_picture(material, tuple("abcdefgh"), "here")
    with styled():
        assert not first_picture(material, ("nobody",), "here").axes[0].get_yticklabels()
        above, below = first_picture(material, ("ppo", "sft", "nobody"), "here").axes
    # The arm that has the higher score at best stands first, and arms without runs nowhere.
    assert [label.get_text() for label in above.get_yticklabels()] == ["ppo", "sft"]
    kept = [material.suite("ppo", MEASURES[f"retention@{stop}"]).value for stop in ("best", "end")]
    assert [list(line.get_xdata()) for line in above.lines[:4]] == [[kept[0].low, kept[0].high], [kept[0].value], [kept[1].low, kept[1].high], [kept[1].value]]
    assert below.get_xlim()[0] <= 0 and below.get_xlim()[1] >= 1


def test_sequences_by_hand(tmp_path):
    for seed, (success, kept) in enumerate(((0.5, 0.8), (0.7, 0.6))):
        numbers = {"average_performance": success, "forgetting": 0.1, "backward_transfer": -0.1}
        undefined = {"value": None, "undefined": "a sequence of one task has none"}
        record = dict.fromkeys(SequenceFolder.required) | {
            "schema": SCHEMA,
            "sequence": "two",
            "protocol": PROTOCOL,
            "seed": seed,
            "base": "mlp-s0",
            "tasks": ["stack-v1", "pick_can-v1", "push_far-v1"],
            "versions": {"mujoco": "4.0.0", "torch": "2.13.0"},
            "wall_s": 1.0,
            "budget": {"name": "quick"},
            "success": {"stack": [rate(np.ones(5, dtype=bool)).plain()]},
            "original_skills": ["push"],
            "method": {"name": "sft", "family": "offline supervised", "version": 1, "demos": ["direct", "high", "direct"]},
        }
        record |= {"hashes": {"run": f"a{seed}" * 6}, "retention": [estimate(1.0), estimate(kept)]}
        record["transfer"] = {**{name: estimate(value) for name, value in numbers.items()}, "forward_transfer": undefined}
        (folder := tmp_path / "two" / "sft" / f"seed{seed}").mkdir(parents=True)
        (folder / "sequence.json").write_text(json.dumps(record))
    ((name, method, demos, seeds, success, forgot, back, forward, kept),) = sequences(tmp_path, ("a0" * 6, "a1" * 6)).rows
    assert (name, method, demos, seeds) == ("two", "sft", "direct, high", 2)
    # Student's t for two values is 12.7062, the standard errors .1 and .1.
    assert (success.value, success.low, kept.value, kept.high) == pytest.approx((0.6, 0.6 - 1.27062, 0.7, 0.7 + 1.27062), abs=1e-4)
    assert (forgot.value, back.value) == pytest.approx((0.1, -0.1))
    assert forward == Undefined("a sequence of one task has none")
    assert [row[3] for row in sequences(tmp_path, ("a1" * 6,)).rows] == [1]
    assert not sequences(tmp_path, ()).rows


@pytest.mark.pages
@pytest.mark.slow
def test_what_is_in_the_repository_is_of_the_records_there(tmp_path):
    if not (ROOT / "baselines" / "results" / "runs").exists():
        pytest.skip("there is no checkout here")
    shutil.copy(ROOT / "README.md", tmp_path / "README.md")
    command = [
        sys.executable,
        ROOT / "docs" / "make" / "reference_page.py",
        ROOT / "baselines" / "results",
        tmp_path / "README.md",
        tmp_path / "docs" / "reference",
    ]
    subprocess.run(command, check=True, cwd=ROOT)
    for file in ("README.md", "docs/reference/README.md", "docs/results/law.md", "docs/reference/runs.csv"):
        assert (tmp_path / file).read_text() == (ROOT / file).read_text(), "run docs/make/reference_page.py"
