"""The parts of the reference page that stand beside the main comparison: other bases, and a ladder of learning rates."""

import numpy as np
import pytest
from side_studies import LADDER, excerpt, ladder, sizes
from synthetic import write_run

from razorbench.reports.at_same_kl import same_kl
from razorbench.reports.content import Material, tables
from razorbench.reports.drawing import styled
from razorbench.reports.looks import looks
from razorbench.statistics.finished_runs import read_runs
from razorbench.statistics.pooling import Pool
from razorbench.store.estimate import Undefined

STYLES = {"alpha": ("direct",), "beta": ("direct",)}
FAMILIES = {"ppo": "on-policy reward", "sft": "offline supervised"}


def test_an_excerpt_has_its_arms_and_each_task_if_asked(tmp_path):
    for task in ("alpha", "beta"):
        for method, family in FAMILIES.items():
            write_run(tmp_path, task, method, 0, speed=0.3, harm=0.2, family=family, base="tokens-s0")
    pool = Pool(read_runs(tmp_path, STYLES))
    _, arms, _, saved = excerpt(pool, FAMILIES)
    for table in (arms, saved):
        assert sorted(line.split(" | ")[0] for line in table.splitlines()[2:]) == ["| ppo", "| sft"]
    assert any("| arm | alpha | beta |" in part for part in excerpt(pool, FAMILIES, each=True))


def test_a_ladder_by_hand(tmp_path):
    harms = {1e-4: 0.1, 1e-3: 0.4}
    for method, family in FAMILIES.items():
        for rate, harm in harms.items():
            for seed in range(3):
                setting = {"config": {"method": {"learning_rate": rate}}}
                write_run(tmp_path / f"{rate}", "alpha", method, seed, speed=0.3, harm=harm, family=family, **setting)
    runs = read_runs(tmp_path, STYLES)
    with styled():
        text = ladder(runs, FAMILIES, tmp_path)
    assert (tmp_path / LADDER).stat().st_size > 10_000
    (rungs,) = (part for part in text if part.startswith("| arm | learning rate |"))
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in rungs.splitlines()[2:]]
    assert [row[:2] for row in cells] == [["ppo", "1e-04"], ["ppo", "1e-03"], ["sft", "1e-04"], ["sft", "1e-03"]]
    for method, rate, _, retention, kl in cells:
        mine = [run.record for run in runs if run.method == method and run.record.config.method["learning_rate"] == float(rate)]
        assert len(mine) == 3
        assert float(retention.split()[0]) == pytest.approx(np.mean([record.retention.value for record in mine]), abs=0.005)
        assert float(kl.split()[0]) == pytest.approx(np.mean([record.forward_kl for record in mine]), abs=0.005)
    fitted = text[-1].splitlines()
    assert [line.split(" | ")[:2] for line in fitted[2:]] == [["| ppo", "6"], ["| sft", "6"], ["| all", "12"]]


def test_sizes_by_hand(tmp_path):
    harms = {"small": 0.4, "large": 0.1}
    for size, harm in harms.items():
        for task in STYLES:
            for seed in range(2):
                write_run(tmp_path / size, task, "sft", seed, speed=0.3, harm=harm, base=f"{size}-s{seed}")
    write_run(tmp_path / "large", "alpha", "ppo", 0, speed=0.3, harm=0.1, base="large-s0")
    runs = {size: read_runs(tmp_path / size, STYLES) for size in harms}
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in sizes(runs)[-1].splitlines()]
    assert rows[0] == ["arm", "measure", "`small`", "`large`", "`large` minus `small`"]
    assert {row[0] for row in rows[2:]} == {"sft"}
    kept = {
        size: [np.mean([run.record.retention.value for run in each if (run.task, run.method) == (task, "sft")]) for task in STYLES]
        for size, each in runs.items()
    }
    (row,) = (row for row in rows if row[1] == "retention at end")
    assert [float(cell.split()[0]) for cell in row[2:4]] == pytest.approx([np.mean(kept["small"]), np.mean(kept["large"])], abs=0.006)
    differences = np.subtract(kept["large"], kept["small"])
    # Student's t for two values is 12.7062, their standard error half of how far they lie apart.
    half = 12.7062 * abs(differences[0] - differences[1]) / 2
    told = [float(part.strip("[],")) for part in row[4].split()]
    assert told[0] == pytest.approx(differences.mean(), abs=0.006)
    assert told[2] - told[0] >= half - 0.01


def test_at_the_same_forward_kl_an_arm_is_set_beside_the_mean_of_the_others(tmp_path):
    harms = {"ppo": 0.02, "sft": 0.2, "lwf": 0.1}
    for method, harm in harms.items():
        for task in STYLES:
            write_run(tmp_path, task, method, 0, speed=0.3, harm=harm)
    runs = read_runs(tmp_path, STYLES)
    first, _, last = tables([same_kl(Material(runs, (), looks(runs, FAMILIES), tmp_path))])
    rows = {row[0]: dict(zip(first.columns, row, strict=True)) for row in first.rows}
    assert all(isinstance(cell, Undefined) for row in last.rows for cell in row[2:5])
    # KL rises along these runs, so that the first crossing is the only one.
    kept = {(run.method, run.task): np.interp(1.0, [point.forward_kl for point in run.curve], [point.retention.value for point in run.curve]) for run in runs}
    for arm in harms:
        own = [kept[arm, task] for task in STYLES]
        others = [np.mean([kept[name, task] for name in harms if name != arm]) for task in STYLES]
        assert rows[arm]["retention"].value == pytest.approx(np.mean(own))
        assert rows[arm]["minus other arms"].value == pytest.approx(np.mean(np.subtract(own, others)))
        assert rows[arm]["runs that reach it"] == "2 of 2"
        assert 0.05 < rows[arm]["success"].value < 1
    assert rows["ppo"]["minus other arms"].value > 0 > rows["sft"]["minus other arms"].value
