"""Commands in a terminal, where people type them: what is seen at the end is what the record says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import readme
from conftest import ROOT, TINY, TINY_METHOD
from terminal import RAZORBENCH, controls, in_terminal

from razorbench.commands.progress import Line
from razorbench.method.data import Used
from razorbench.runs.run import Progress
from razorbench.store.record import Record

SFT = ["method=sft", *TINY, *TINY_METHOD["sft"]]
PPO = ["method=ppo", *TINY, *TINY_METHOD["ppo"]]
SWEEP = ["-m", "task=pick_place,stack", "method=sft,frozen", *TINY, "eval.snapshots=3"]


def table(record):
    """The lines that a run's record is shown as, from its heading on."""
    return readme.example(Record.model_validate(record)).split("```")[1].strip().splitlines()


def only(pattern, root):
    (found,) = Path(root).rglob(pattern)
    return json.loads(found.read_text())


def shows(session, record):
    """Whether a person sees the record's table, word for word."""
    lines = table(record)
    return any(session.seen[k : k + len(lines)] == lines for k in range(len(session.seen)))


def test_a_run_on_eighty_columns_shows_a_bar_and_then_what_its_record_says(tmp_path):
    ran = in_terminal([*RAZORBENCH, "task=pick_place", *PPO], cwd=tmp_path)
    assert ran.code == 0, ran.text
    assert re.match(r"RazorBench [\d.]+: loading", ran.seen[0])
    assert "pick_place with ppo, from mlp-s0, seed 0, budget standard" in ran.text
    assert shows(ran, only("record.json", tmp_path))
    assert any(re.match(r"update 3 of 3  ━+ +success \d\.\d\d", moment) for moment in ran.moments), ran.moments
    assert not [line for line in ran.seen if line.startswith(("update", "measuring"))]
    assert "…" not in ran.text


ODD = {
    "twenty columns": (20, {}),
    "two hundred columns": (200, {}),
    "no color": (80, {"NO_COLOR": "1"}),
    "a dumb terminal": (80, {"TERM": "dumb"}),
    "ASCII alone": (80, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}),
    "a notebook": (80, {"TERM": "xterm-color", "CLICOLOR": "1", "FORCE_COLOR": "1", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ODD)
def test_a_run_in_odd_terminals(kind, tmp_path):
    columns, environment = ODD[kind]
    ran = in_terminal([*RAZORBENCH, "task=pick_place", *PPO], columns, 24, environment, cwd=tmp_path)
    assert ran.code == 0, ran.text
    record = only("record.json", tmp_path)
    if kind == "ASCII alone":
        assert ran.text.isascii()
        assert f"| new task        | {record['new_task']['base']['greedy']['rate']:.2f} |" in ran.text
    elif columns == 20:
        # Lines are wrapped, and nothing is cut.
        assert "".join(table(record)).replace(" ", "") in "".join(ran.seen).replace(" ", "")
    else:
        assert shows(ran, record)
    assert "…" not in ran.text
    if kind == "a dumb terminal":
        assert not controls(ran.raw)
        assert "measuring the base policy first" in "".join(ran.seen)
    if kind == "no color":
        assert not [code for code in controls(ran.raw) if code.endswith(b"m") and re.search(rb"[34][0-7]", code)]


@pytest.mark.slow
def test_a_sweep_and_what_reads_it(tmp_path):
    swept = in_terminal([*RAZORBENCH, *SWEEP], cwd=tmp_path)
    assert swept.code == 0, swept.text
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("record.json")]
    assert len(records) == 4
    assert all(shows(swept, record) for record in records)
    assert swept.seen[-1] == "4 of 4 runs are done."
    status = in_terminal([*RAZORBENCH, "status", "results"], cwd=tmp_path)
    assert status.code == 0
    assert status.seen == ["4 runs: 4 done, 0 running, 0 failed, 0 missing"]
    compared = in_terminal([*RAZORBENCH, "compare", "results", "sft", "frozen"], cwd=tmp_path)
    assert compared.code == 1
    assert "…" not in compared.text
    assert "Traceback" not in compared.text


@pytest.mark.slow
def test_every_command_that_reads_runs(tmp_path):
    subprocess.run([*RAZORBENCH, *SWEEP], check=True, capture_output=True, cwd=tmp_path)
    for words, wanted in {
        ("list",): "pick_place",
        ("check", "stack"): "stack-v1: conforms",
        ("claims", "results"): "C1",
        ("report", "results", "--out", "page"): "4 runs: page/index.html",
        ("study=projection", "study.bandits=20", "study.iterations=50"): "report.md, tables and figures are in",
    }.items():
        ran = in_terminal([*RAZORBENCH, *words], cwd=tmp_path)
        assert ran.code in (0, 1), ran.text
        assert wanted in "".join(ran.seen), ran.text
        assert not re.search(r"\d…|Traceback", ran.text), ran.text


@pytest.mark.slow
def test_a_sequence(tmp_path):
    (mine := tmp_path / "mine" / "sequence").mkdir(parents=True)
    (mine / "two.yaml").write_text("defaults:\n  - /task@tasks.stack: stack\n  - /task@tasks.pick_can: pick_can\n")
    ran = in_terminal([*RAZORBENCH, "--config-dir", "mine", "sequence=two", *SFT], cwd=tmp_path)
    assert ran.code == 0, ran.text
    record = only("sequence.json", tmp_path)
    for name, rates in record["success"].items():
        numbers = r"\s+".join(f"{rate['rate']:.2f}" for rate in rates)
        assert re.search(rf"{name}\s+{numbers}\s", ran.text), (name, ran.text)
    assert any(moment.startswith("update 2000 of 2000") for moment in ran.moments)


@pytest.mark.slow
def test_a_sweep_by_joblib_draws_no_bars_over_one_another(tmp_path):
    ran = in_terminal([*RAZORBENCH, "-m", "task=pick_place,stack", *SFT, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], cwd=tmp_path)
    assert ran.code == 0, ran.text
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("record.json")]
    assert len(records) == 2
    assert all(shows(ran, record) for record in records)
    assert not [moment for moment in ran.moments if "━━━  " in moment]
    assert ran.seen[-1] == "2 of 2 runs are done."


@pytest.mark.slow
@pytest.mark.parametrize("version", ["13.0.0", ""], ids=["oldest", "newest"])
def test_other_versions_of_rich(version, tmp_path):
    place = tmp_path / "rich"
    wanted = f"rich=={version}" if version else "rich"
    got = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", place, wanted], capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"pip cannot get {wanted} here")
    ran = in_terminal([*RAZORBENCH, "task=pick_place", *PPO], environment={"PYTHONPATH": str(place)}, cwd=tmp_path)
    assert ran.code == 0, ran.text
    assert shows(ran, only("record.json", tmp_path))
    assert any(re.match(r"update \d of 3  ━+", moment) for moment in ran.moments)


@pytest.mark.parametrize("columns", [1, 12, 20, 40, 80, 200])
def test_the_line_fits_whatever_the_width(columns):
    line = Line("pick_place, ppo, seed 0")
    for progress in (None, Progress(9, 1190, None, Used(), None, {}), Progress(1190, 1190, 3723.0, Used(env_steps=1_536_000), 0.987, {})):
        line.progress = progress
        shown = line.fitting(columns)
        assert shown.cell_len <= max(columns - 1, 1)
        assert line.fitting(columns, "ascii").plain.isascii()
        if columns >= 80 and progress is not None:
            assert "━" in shown.plain or "─" in shown.plain
    if columns == 80:
        assert shown.plain.startswith("update 1190 of 1190  ━━")
        assert shown.plain.endswith("success 0.99  1:02:03 left")
    assert line.whole().startswith("pick_place, ppo, seed 0: update 1190 of 1190, success 0.99, 1:02:03 left, ")


@pytest.mark.slow
def test_the_first_readme_command(tmp_path):
    """`make run`, in a clone whose environment is this one."""
    if shutil.which("make") is None or not (ROOT / "Makefile").exists():
        pytest.skip("needs make and a checkout")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (tmp_path / ".venv" / "ready").touch()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (0, 0))
    ran = in_terminal(["make", "run", f"ARGS=task=pick_place {' '.join(PPO)}"], cwd=tmp_path)
    assert ran.code == 0, ran.text
    assert shows(ran, only("record.json", tmp_path))
