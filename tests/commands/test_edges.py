"""Whatever settings a run accepts, there is a verdict, a page or a sentence in the end; never a division by zero, never "nan"."""

import json
import re

import numpy as np
import pytest
from conftest import TINY, compose, razorbench
from synthetic import write_run

from razorbench.runs.run import run
from razorbench.statistics.comparison import MEASURES, contrast
from razorbench.statistics.finished_runs import final_points, read_runs, snapshots
from razorbench.statistics.pooling import pool
from razorbench.statistics.verdicts import told

pytestmark = pytest.mark.usefixtures("few_states")

EDGES = {
    "one episode": {"episodes": (1, 1)},
    "one skill": {"skills": ("reach",)},
    "one snapshot": {"snapshots": 1},
    "no update": {"snapshots": 0},
    "all of these": {"episodes": (1, 1), "skills": ("reach",), "snapshots": 1},
    "the base solves the new task": {"can": (1.0, 1.0)},
    "the base never solves it": {"can": (0.0, 1.0)},
    "the base has little skill": {"can": (0.05, 0.05)},
    "nothing changes": {"speed": 0.0, "harm": 0.0, "can": (0.0, 1.0)},
    "all is lost at once": {"speed": 1.0, "harm": 100.0},
}
DESIGNS = {"tasks and seeds": (("stack", "push_far", "pick_can"), (0, 1)), "one seed": (("stack", "push_far", "pick_can"), (0,)), "one run": (("stack",), (0,))}


def results(folder, design, edge):
    tasks, seeds = DESIGNS[design]
    for task in tasks:
        for seed in seeds:
            write_run(folder, task, "ppo", seed, **{"speed": 0.3, "harm": 0.05, "family": "on-policy reward"} | EDGES[edge])
            write_run(folder, task, "sft", seed, **{"speed": 0.3, "harm": 0.3} | EDGES[edge])
    return folder


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("edge", EDGES)
def test_every_measure_is_compared_or_undefined(tmp_path, design, edge):
    runs = pool(read_runs(results(tmp_path, design, edge), {}), "mlp", "standard").runs
    for measure in MEASURES.values():
        found = contrast(runs, "ppo", "sft", measure)
        said = [str(found.verdict(measure.quantity.margin)), *([] if found.difference is None else [told(found.difference)])]
        assert "nan" not in " ".join(said)
        assert np.isfinite(found.sample.floor)
    points = snapshots(runs)
    assert np.isfinite(points.noise).all()
    assert np.isfinite(final_points(runs).noise).all()


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("edge", EDGES)
def test_every_command_ends_in_a_page_or_a_verdict(tmp_path, capsys, design, edge):
    folder = results(tmp_path / "runs", design, edge)
    for command in (["compare", folder, "ppo", "sft"], ["claims", folder], ["report", folder, "--out", tmp_path / "page"]):
        code, out, err = razorbench(capsys, *map(str, command))
        assert code in ((0,) if command[0] == "report" else (0, 1))
        assert not re.search(r"\bnan\b", out + err)
    page = re.sub(r"<script.*?</script>|data:[^\"]*", "", (tmp_path / "page" / "index.html").read_text(), flags=re.DOTALL)
    assert not re.search(r"\bnan\b", page)


def test_a_base_without_skills_is_said(tmp_path, capsys):
    write_run(tmp_path, "stack", "ppo", 0, speed=0.3, harm=0.1, can=(0.05, 0.0))
    code, _, err = razorbench(capsys, "claims", str(tmp_path))
    assert (code, err.count("\n")) == (2, 1)
    assert "has no number for retention.value" in err


@pytest.mark.slow
def test_a_run_of_single_episodes_has_a_record(tmp_path):
    spec, config = compose("task=pick_place", "method=sft", *TINY, "method.epochs=1", "eval.episodes=1", "eval.skill_episodes=1", "eval.snapshots=1")
    record = run(spec, tmp_path, config).record.plain()
    json.dumps(record, allow_nan=False)
    assert record["retention"]["value"] is not None
