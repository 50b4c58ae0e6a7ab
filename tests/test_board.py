"""The board: levels, ranks with ties, what is off, and the site."""

import json
import time
from dataclasses import replace

import pytest
from test_submission import ABOUT, RECORD, edit, known, packed, results, seal, setting, whole  # noqa: F401

from razorbench.errors import UsageError
from razorbench.submission import board, replay
from razorbench.submission.board import Entry, boards, ranked, read_levels
from razorbench.submission.schema import Submission
from razorbench.submission.site import site
from razorbench.submission.validate import validate

TRACK = {"base": "mlp", "budget": "standard", "old_task_data": False, "demonstrations": True, "environment_steps": False, "expert_queries": False}


def told(name, **changes):
    scores = {measure: {"value": 0.5, "ci95": (0.4, 0.6)} for measure in ("score", "success", "retention", "forward_kl")}
    return Submission.model_validate({"schema": 1, **ABOUT, "name": name, "suite": "core", "method": "sft", "track": TRACK, "scores": scores, **changes})


def entry(name, scores=None, **changes):
    fresh = None if scores is None else {(task, 0): (score, 0.0) for task, score in zip("abcdef", scores, strict=True)}
    level = board.VALIDATED if scores is None else board.REPLAYED
    return Entry(name, (name * 64)[:64], told(name, **changes), level, (), fresh, why="not replayed yet" if scores is None else "")


def test_ranks_by_fresh_scores_with_ties_as_ties():
    best = entry("best", [0.90, 0.91, 0.92, 0.90, 0.91, 0.92])
    like = entry("like", [0.89, 0.92, 0.90, 0.91, 0.90, 0.92])
    less = entry("less", [0.70, 0.71, 0.72, 0.70, 0.71, 0.72])
    last = entry("last", [0.50, 0.51, 0.52, 0.50, 0.51, 0.52])
    off = entry("off")
    found = ranked([last, off, less, like, best])
    assert [(each.told.name, each.rank) for each in found] == [("best", 1), ("like", 1), ("less", 3), ("last", 4), ("off", None)]


def test_tracks_are_never_ranked_together():
    one, other = entry("one", [0.5] * 6), entry("other", [0.9] * 6, track={**TRACK, "old_task_data": True})
    found = boards([one, other, entry("third", [0.1] * 6, suite="full")])
    tracks = sorted((each.suite, each.entries[0].told.name, each.entries[0].rank) for each in found)
    assert tracks == [("core", "one", 1), ("core", "other", 1), ("full", "third", 1)]


def test_packages_levels_and_the_site(whole, known, tmp_path, results):  # noqa: F811
    packed(results, known, twin := tmp_path / "twin", name="<b>Twin</b>")
    submission, runs, faults = validate(whole, known)
    found = replay.replay(whole, submission, runs, known, fresh_seed=1, episodes=10, fraction=1.0, faults=faults, say=print)
    (levels := tmp_path / "levels").mkdir()
    (levels / "one.json").write_text(json.dumps(replay.entry(whole, found, 1, "me", 1)))
    packed(results, known, lying := tmp_path / "lying", name="Lying")
    edit(lying, RECORD, setting("score", 1.0))
    seal(lying)
    entries = [board.entry(package, known, read_levels(levels)) for package in (whole, twin, lying)]
    assert [each.level for each in entries] == ["replayed", "validated", "self-reported"]
    assert entries[1].why == "not replayed yet"
    assert entries[2].why.startswith(f"not valid, 1 fault; the first: {RECORD}: score is 1.0, expected")
    page = site(boards(entries), out := tmp_path / "site")
    html = page.read_text()
    assert "&lt;b&gt;Twin&lt;/b&gt;" in html and "<b>Twin</b>" not in html
    shown = json.loads((out / "leaderboard.json").read_text())["boards"]
    assert [(each["name"], each["rank"], each["level"]) for each in shown[0]["entries"]] == [
        (ABOUT["name"], 1, "replayed"),
        ("<b>Twin</b>", None, "validated"),
        ("Lying", None, "self-reported"),
    ]
    for each in entries:
        assert (out / "entries" / each.digest[:12] / "index.html").exists()


def test_a_level_that_is_none(tmp_path):
    (tmp_path / "level.json").write_text('{"level": "best"}')
    with pytest.raises(UsageError, match=r"level .*level\.json is none that `razorbench replay --out` writes"):
        read_levels(tmp_path)


def test_two_hundred_entries_are_drawn_in_their_time(tmp_path):
    entries = [replace(entry(f"entry {k}", [0.5 + k / 1000] * 6), digest=f"{k:064d}"[::-1]) for k in range(200)]
    began = time.perf_counter()
    site(boards(entries), tmp_path)
    assert time.perf_counter() - began < 60
    assert len(list((tmp_path / "entries").iterdir())) == 200
    assert len(json.loads((tmp_path / "leaderboard.json").read_text())["boards"][0]["entries"]) == 200


def test_the_site_in_a_real_browser(browser, tmp_path):
    entries = [entry("PPO", [0.9] * 6), entry("SFT", [0.5, 0.6, 0.7, 0.5, 0.6, 0.7]), entry("Not yet")]
    page, wrong = site(boards(entries), tmp_path), []
    tab = browser.new_page()
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(page.as_uri())
    names = "[...document.querySelectorAll('tbody tr')].map(row => row.cells[1].textContent.trim())"
    assert tab.evaluate(names) == ["PPO", "SFT", "Not yet"]
    tab.locator("thead th button", has_text="score, fresh starts").click()
    tab.locator("thead th button", has_text="score, fresh starts").click()
    assert tab.evaluate(names) == ["SFT", "PPO", "Not yet"]
    tab.click("text=PPO")
    assert tab.title() == "PPO"
    assert "Signs of the" not in tab.content()
    assert not wrong
    tab.close()
