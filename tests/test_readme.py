from pathlib import Path

import pytest
from conftest import METHODS, TASKS, task

import razorbench
from razorbench import config, readme
from razorbench.envs import styles
from razorbench.store import read_records

ROOT = Path(razorbench.__file__).parents[1]


def test_figures_are_those_of_the_cards_and_the_records():
    if not (ROOT / "README.md").exists():
        pytest.skip("there is no checkout here")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    with config.registry() as registry:
        cards, skills = readme.shipped(registry), registry.item("base", "mlp").skills
    records = read_records(ROOT / "baselines" / "first_runs")
    assert readme.render(text, cards["mlp"], skills, records) == text, "run `make readme`"
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert readme.methods_page(page, records) == page, "run `make readme`"
    assert all(f"| `{name}` |" in page for name in METHODS)
    page = (ROOT / "docs" / "bases.md").read_text(encoding="utf-8")
    assert readme.bases_page(page, cards, skills) == page, "run `make readme`"


def test_the_page_of_tasks_has_the_sheets_and_runs_of_today():
    page = ROOT / "docs" / "tasks.md"
    if not page.exists():
        pytest.skip("there is no checkout here")
    text = page.read_text(encoding="utf-8")
    new = [task(name) for name in TASKS]
    for name, content in (("sheets", styles.sheets(new)), ("runs", styles.runs(read_records(ROOT / "baselines" / "first_runs")))):
        assert readme.section(text, name, content) == text, "run `make tasks`"
    assert all(f"| `{the.name}` | `{style}` |" in text for the in new for style in the.experts)


def test_student_interval_over_seeds():
    # Worked by hand: differences (.10, .30, .05, .25, .15) have mean .17 and interval [0.041262, 0.298738].
    assert readme.mean([0.10, 0.30, 0.05, 0.25, 0.15]) == "0.17 [0.04, 0.30]"
