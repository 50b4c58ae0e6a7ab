"""What the pages on Meta-World say is what their rules choose, and what is registered."""

import re

import metaworld_tasks
import pytest
from conftest import ROOT
from metaworld_tasks import Measured, chosen

from razorbench.envs.metaworld.world import HORIZON
from razorbench.registry import config

PAGE = ROOT / "docs" / "results" / "metaworld.md"


def test_the_skills_of_the_base_are_those_that_the_page_keeps():
    if not PAGE.exists():
        pytest.skip("there is no checkout here")
    text = PAGE.read_text(encoding="utf-8")
    kept = re.findall(r"^\| `(\w+)` \| ([\d.]+) \[.*\| yes \|", text, re.MULTILINE)
    with config.registry() as known:
        skills = known.item("base", "mw").skills
        assert sorted(skills) == [name for name in known.names("skill") if name.startswith("mw_")]
    assert sorted(skills) == sorted(f"mw_{name}" for name, _ in kept)
    assert all(float(rate) >= 0.95 for _, rate in kept)
    assert f"The rule gives a horizon of {HORIZON} decisions." in text
    assert {skill.horizon for skill in skills.values()} == {HORIZON}


def task(name, expert=1.0, own=0.0, old=0.0):
    return Measured(name, expert, own, {"mw_reach": 0.0, "mw_push": old})


def test_new_tasks_are_those_that_can_be_learned_and_are_not_known(monkeypatch):
    tasks = [task("late", own=0.1), task("b"), task("a"), task("weak", expert=0.94), task("known", own=0.1, old=0.5), task("easy", own=0.5)]
    assert chosen(tasks) == ["late", "a", "b"]
    monkeypatch.setattr(metaworld_tasks, "TAKEN", 2)
    assert chosen(tasks) == ["late", "a"]
