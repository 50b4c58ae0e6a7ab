import pytest
import readme
import task_page
from conftest import ROOT, TASKS, task

from razorbench.registry import config
from razorbench.store.reading import read_run


@pytest.mark.pages
def test_figures_are_those_of_the_cards_and_the_records():
    if not (ROOT / "README.md").exists():
        pytest.skip("there is no checkout here")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    with config.registry() as registry:
        cards, skills = readme.shipped(registry), registry.item("base", "mlp").skills
    record = read_run(ROOT / "docs" / "first_run.json")
    assert readme.render(text, record) == text, "run docs/make/readme.py"
    assert len(text.encode()) <= 6000
    page = (ROOT / "docs" / "bases.md").read_text(encoding="utf-8")
    assert readme.bases_page(page, cards, skills) == page, "run docs/make/readme.py"


@pytest.mark.pages
def test_the_page_of_tasks_has_the_sheets_of_today():
    page = ROOT / "docs" / "tasks.md"
    if not page.exists():
        pytest.skip("there is no checkout here")
    text = page.read_text(encoding="utf-8")
    new = [task(name) for name in TASKS]
    assert readme.section(text, "sheets", task_page.sheets(new)) == text, "run docs/make/task_page.py"
    assert all(f"| `{the.name}` | `{style}` |" in text for the in new for style in the.experts)
