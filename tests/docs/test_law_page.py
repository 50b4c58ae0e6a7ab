"""The tables of the law and their page: sets of runs side by side, floors, and pairs of arms by hand."""

import numpy as np
import pytest
from law_page import law_page
from synthetic import QUESTIONS, write_run

from razorbench.reports import law_tables
from razorbench.reports.changes import counter_examples, design_and_test, leak
from razorbench.reports.law_fits import ALL, FILTERED, FINAL, Fits, fits
from razorbench.statistics.finished_runs import HEADLINE, read_runs, snapshots
from razorbench.statistics.law import Curve, law
from razorbench.statistics.law.paper import within_cells
from razorbench.store.estimate import Estimate, Undefined

METHODS = {"ppo": ("on-policy reward", 0.05), "sft": ("offline supervised", 0.3), "lwf": ("continual learning", 0.1), "sft_cf": ("ours", 0.02)}
TASKS = {"alpha": 0.2, "beta": 0.3, "gamma": 0.4, "delta": 0.3, "epsilon": 0.2}
PREDICTORS = ("forward KL, old tasks", "actions moved, old tasks", "total variation, new task")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A set of three tasks, and one of two. Seeds 0, 3 and 6 share a base, so that a cell has six runs of RL and SFT."""
    folder = tmp_path_factory.mktemp("runs")
    for task, speed in TASKS.items():
        for method, (family, harm) in METHODS.items():
            for seed in (0, 3, 6):
                hashes = {"run": f"{task}{method}{seed}".encode().hex(), "task_spec": task}
                write_run(folder, task, method, seed, speed=speed, harm=harm, family=family, predictors=PREDICTORS, hashes=hashes)
    runs = read_runs(folder, dict.fromkeys(TASKS, ("direct",)))
    return {"design": [run for run in runs if run.task in ("alpha", "beta", "gamma")], "test": [run for run in runs if run.task in ("delta", "epsilon")]}


@pytest.fixture(scope="module")
def fitted(sets):
    return {name: fits(snapshots(runs), QUESTIONS) for name, runs in sets.items()}


def cells(table):
    return {tuple(row[:2]) if table.columns[1] == "set" else row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_a_set_with_too_few_tasks_has_no_number_anywhere(fitted):
    few = "too few runs: 2 of 3 tasks"
    assert fitted["test"] == few
    for table in (law_tables.papers_protocol(fitted), law_tables.rivals(fitted), law_tables.ceiling(fitted)):
        columns = [k for k, name in enumerate(table.columns) if name.startswith("test: ")]
        assert columns and {row[k] for row in table.rows for k in columns} == {Undefined(few)}
    assert cells(law_tables.carries_over(fitted))["all", "test"]["held-out family"] == Undefined(few)
    assert {row[1] for row in law_tables.resampled(fitted).rows} == {"design"}


def test_numbers_are_those_of_the_fits(sets, fitted):
    measured, found = snapshots(sets["design"]), fitted["design"]
    assert isinstance(found, Fits)
    head = measured.points(HEADLINE)
    table = cells(law_tables.carries_over(fitted))
    assert table["all", "design"]["held-out family"] == law(head).family_left_out == found.pooled[HEADLINE].family_left_out
    assert table["without methods designed here", "design"]["R2"] == law(head.of(np.array(head.arm) != "sft_cf")).r2
    without = table["without a term for old behavior", "design"]
    assert without["R2"] == law(head.of(np.array(head.arm) != "lwf")).r2
    assert (without["runs"], without["arms"]) == (27, 3)
    assert table["final policies", "design"]["R2"] == law(measured.points(HEADLINE, measured.last)).r2
    papers = within_cells(head.of(np.isin(head.arm, ("ppo", "sft"))))
    shown = cells(law_tables.papers_protocol(fitted))
    assert (papers.cells, papers.runs) == (3, 18)
    assert shown["parabola"][f"design: {ALL}"] == papers.parabola
    assert shown["curve, held-out arm"][f"design: {ALL}"] == papers.curve_arm_left_out
    assert shown["runs"][f"design: {FINAL}"] == 18
    # Near the frontier too few runs are left in every cell.
    assert found.within[HEADLINE, FILTERED] is None
    assert shown["parabola, near the frontier"][f"design: {ALL}"] == Undefined("fewer than 3 tasks with a cell of 6 runs")


def test_the_ceiling_is_no_rival(fitted):
    rivals, ceiling = ({row[0] for row in table.rows} for table in (law_tables.rivals(fitted), law_tables.ceiling(fitted)))
    assert {HEADLINE, "total variation, new task"} <= rivals
    assert ceiling == {"forward KL, old tasks", "actions moved, old tasks"}
    assert not rivals & ceiling
    alone = law_tables.rivals({"these runs": fitted["design"]})
    assert alone.columns[:3] == ("predictor", "R2", "held-out family")


def test_one_family_or_no_headline_is_no_fit(sets):
    runs = [run for run in sets["design"] if run.method == "sft"]
    assert fits(snapshots(runs), QUESTIONS) == "too few runs: 1 of 2 families"
    assert fits(snapshots([]), QUESTIONS) == f"no snapshot after the first update has {HEADLINE}"


def test_the_leak_by_hand(sets):
    """These runs move 3 x harm times as far on old tasks' states as on the new task's."""
    table = leak(sets)
    assert [row[0] for row in table.rows] == ["sft_cf", "ppo", "lwf", "sft"]
    for arm, design, test in table.rows:
        expected = 3 * METHODS[arm][1]
        assert (design.value, design.low, design.high) == pytest.approx((expected,) * 3)
        assert test == Undefined("too few runs")


def test_pairs_of_arms_by_hand(sets):
    table = counter_examples(sets, [("sft", "ppo"), ("nobody", "ppo")], {"design": Curve(0.5, 0.1, 1.0)})
    rows = cells(table)
    assert list(rows) == [("sft - ppo", "design"), ("sft - ppo", "test")]
    row = rows["sft - ppo", "design"]
    kept = {(run.task, run.method, run.seed): run.record.retention.value for run in sets["design"]}
    differences = [np.mean([kept[task, "sft", seed] - kept[task, "ppo", seed] for seed in (0, 3, 6)]) for task in ("alpha", "beta", "gamma")]
    assert isinstance(row["retention"], Estimate)
    assert row["retention"].value == pytest.approx(np.mean(differences))
    assert row["retention"].low < np.mean(differences) < row["retention"].high
    assert (row["tasks"], row["pairs"]) == (3, 9)
    kl = {key: next(run for run in sets["design"] if (run.task, run.method, run.seed) == key).record.forward_kl for key in kept}
    told = [0.5 * (np.exp(-0.1 * kl[task, "sft", seed]) - np.exp(-0.1 * kl[task, "ppo", seed])) for task in ("alpha", "beta", "gamma") for seed in (0, 3, 6)]
    assert row["retention by the curve"] == pytest.approx(np.mean(told))
    assert rows["sft - ppo", "test"]["retention by the curve"] == Undefined("no fit")
    assert rows["sft - ppo", "test"]["retention"] == Undefined("too few runs")
    assert cells(design_and_test(sets, [("ppo", "sft")]))["ppo - sft", "design"]["retention"].value == pytest.approx(-np.mean(differences))


def test_the_page_says_which_runs_had_no_part_in_what_was_found(sets, fitted):
    page = law_page(sets, fitted, {}, QUESTIONS, {})
    assert page == law_page(sets, {name: fits(snapshots(runs), QUESTIONS) for name, runs in sets.items()}, {}, QUESTIONS, {})
    assert "chose predictors and methods on the first set of runs, **design**. The other, **test**, had no part in that choice" in page
    assert "RL and SFT runs are those of the families on-policy reward and offline supervised: ppo, sft." in page
    for heading in ("## 1. The paper's own protocol", "## 2. Does a fit generalize?", "## 3. The ceiling and the leak", "### Counter-examples"):
        assert f"\n{heading}\n" in page
    assert "nan" not in page.replace("nance", "") and "None" not in page
