"""The table of all runs, in both files, against records read by hand."""

import csv
import json
import lzma

import pytest
from conftest import ROOT
from pyarrow import parquet
from synthetic import write_run

from razorbench.reports import dataset
from razorbench.statistics.finished_runs import read_runs

THREE = ("entries/ppo/runs/pick_place/seed0", "entries/sft_recall/runs/pick_can/seed1", "runs/push_far/sft/seed2-6ecc53e54793")


def typed(row):
    """A row of the CSV with numbers as numbers and nothing for what is empty."""
    return {name: None if text == "" else float(text) if _is_number(name) else text for name, text in row.items()}


def _is_number(name):
    return name not in ("world", "task", "arm", "family", "demos", "base", "budget", "mujoco", "torch", "run_hash")


@pytest.fixture(scope="module")
def committed():
    folder = ROOT / "docs" / "reference"
    if not folder.exists():
        pytest.skip("there is no checkout here")
    return folder


@pytest.mark.pages
def test_both_files_are_the_same_and_small(committed):
    rows = [typed(row) for row in csv.DictReader((committed / "runs.csv").read_text(encoding="utf-8").splitlines())]
    assert rows == parquet.read_table(committed / "runs.parquet").to_pylist()
    assert len({row["run_hash"] for row in rows}) == len(rows) > 1000
    assert all((committed / f"runs.{ending}").stat().st_size < 320_000 for ending in ("csv", "parquet"))


@pytest.mark.pages
@pytest.mark.parametrize("where", THREE)
def test_three_records_by_hand(committed, where):
    (folder,) = (ROOT / "baselines" / "results").glob(where)
    record = json.loads((folder / "record.json").read_text())
    curve = [json.loads(line) for line in lzma.open(folder / "curve.jsonl.xz", "rt")]
    (row,) = (row for row in parquet.read_table(committed / "runs.parquet").to_pylist() if record["hashes"]["run"].startswith(row["run_hash"]))
    looks = [point["new_task"]["select"]["rate"] for point in curve]
    best = curve[looks.index(max(looks))]
    assert (row["task"], row["seed"], row["budget"]) == (record["task"].removesuffix("-v1"), record["seed"], record["budget"]["name"])
    assert (f"{row['base']}-s{row['base_seed']}", row["family"]) == (record["base"], record["method"]["family"])
    assert (row["update_best"], row["env_steps_best"], row["gradient_steps_best"]) == (best["update"], best["env_steps"], best["gradient_steps"])
    assert (row["env_steps_end"], row["gradient_steps_end"]) == (record["budget"]["env_steps"], record["budget"]["gradient_steps"])
    assert row["select_episodes_best"] == 100 * len(curve)
    card = json.loads((ROOT / "baselines" / "policies" / f"{record['base']}.json").read_text())
    assert row["s0"] == pytest.approx(card["success"]["select"][row["task"]]["greedy"]["rate"], abs=6e-4)
    assert (row["success_best"], row["success_end"]) == (best["new_task"]["test"]["rate"], record["new_task"]["final"]["greedy"]["rate"])
    assert row["world"] == "workcell-2"
    for stop, point in (("best", best), ("end", record)):
        assert row[f"retention_{stop}"] == pytest.approx(point["retention"]["value"], abs=6e-4)
        assert row[f"forgetting_{stop}"] == pytest.approx(point["forgetting"]["value"], abs=6e-4)
        for states, name in (("new", "new"), ("old", "original")):
            # Four digits.
            assert row[f"kl_{states}_{stop}"] == pytest.approx(point["divergence"]["kl_forward"][name], rel=5e-4, abs=6e-4)
            assert row[f"moved_{states}_{stop}"] == pytest.approx(point["divergence"]["moved"][name], abs=6e-4)
        success = row[f"success_{stop}"]
        score = None if row["s0"] > 0.5 else max(0.0, (success - row["s0"]) / (1 - row["s0"])) * min(1.0, row[f"retention_{stop}"])
        assert row[f"score_{stop}"] == (None if score is None else pytest.approx(score, abs=2e-3))
    assert (row["seconds"], row["protocol"], row["torch"]) == (pytest.approx(record["wall_s"], rel=5e-4), record["protocol"], record["versions"]["torch"])


def test_a_run_without_snapshots_has_an_end_alone(tmp_path):
    folder = write_run(tmp_path, "stack", "sft", 0, speed=0.3, harm=0.2)
    (folder / "curve.jsonl").unlink()
    row = dataset.row(*read_runs(tmp_path, {"stack": ("direct",)}))
    assert row["retention_best"] is None and row["select_episodes_best"] is None
    assert row["retention_end"] is not None and row["arm"] == "sft"


def test_no_run_is_no_table(tmp_path):
    with pytest.raises(ValueError, match="a table of runs needs a run"):
        dataset.write([], tmp_path)


def test_a_row_names_its_world(tmp_path):
    """A record that names none is from before there were two."""
    write_run(tmp_path, "stack", "sft", 0, speed=0.3, harm=0.2)
    write_run(tmp_path, "stack", "ppo", 0, speed=0.3, harm=0.2, world="elsewhere-1")
    assert {run.method: dataset.row(run)["world"] for run in read_runs(tmp_path, {})} == {"sft": "workcell-2", "ppo": "elsewhere-1"}
