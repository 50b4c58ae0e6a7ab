from pathlib import Path

import pytest

import razorbench
from razorbench import readme

ROOT = Path(razorbench.__file__).parents[1]


def test_figures_are_those_of_the_card_and_the_records(base):
    if not (ROOT / "README.md").exists():
        pytest.skip("there is no checkout here")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.render(text, base.card, readme.load(ROOT / "baselines" / "results")) == text, "run `make readme`"


def test_student_interval_over_seeds():
    # Worked by hand: differences (.10, .30, .05, .25, .15) have mean .17 and interval [0.041262, 0.298738].
    assert readme.mean([0.10, 0.30, 0.05, 0.25, 0.15]) == "0.17 [0.04, 0.30]"
