"""The board: levels, ranks with ties, what is off, and the site."""

# Fixtures of another module are given as arguments of the same name.
# ruff: noqa: F811

import csv
import json
import shutil
import time
from dataclasses import replace

import pytest
from packages import ABOUT, POLICY, RECORD, packed
from synthetic import write_run
from test_submission import edit, known, results, seal, setting, whole  # noqa: F401

from razorbench.errors import UsageError
from razorbench.statistics.comparison import Number
from razorbench.statistics.finished_runs import read_runs
from razorbench.submissions import board, replay
from razorbench.submissions.board import Entry, boards, ranked
from razorbench.submissions.levels import read_levels
from razorbench.submissions.package import Package
from razorbench.submissions.schema import Level, Submission
from razorbench.submissions.since import changes
from razorbench.submissions.site import site
from razorbench.submissions.validate import validate

TRACK = {"base": "mlp", "budget": "standard", "old_task_data": False, "demonstrations": True, "environment_steps": False, "expert_queries": False}


def submission(name, **changes):
    scores = {measure: {"value": 0.5, "ci95": (0.4, 0.6)} for measure in ("score", "success", "retention", "forward_kl")}
    return Submission.model_validate({"schema": 1, **ABOUT, "name": name, "suite": "core", "method": "sft", "track": TRACK, "scores": scores, **changes})


def entry(name, scores=None, level=board.RETRAINED, **changes):
    fresh = None if scores is None else {(task, 0): Number.exact(score) for task, score in zip("abcdef", scores, strict=True)}
    level = board.VALIDATED if scores is None else level
    return Entry(name, (name * 64)[:64], submission(name, **changes), level, (), fresh, why="not replayed yet" if scores is None else "")


def test_ranks_by_fresh_scores_with_ties_as_ties():
    best = entry("best", [0.90, 0.91, 0.92, 0.90, 0.91, 0.92])
    like = entry("like", [0.89, 0.92, 0.90, 0.91, 0.90, 0.92])
    less = entry("less", [0.70, 0.71, 0.72, 0.70, 0.71, 0.72])
    last = entry("last", [0.50, 0.51, 0.52, 0.50, 0.51, 0.52])
    off = entry("off")
    found = ranked([last, off, less, like, best])
    assert [(each.submission.name, each.rank) for each in found] == [("best", 1), ("like", 1), ("less", 3), ("last", 4), ("off", None)]


def test_who_was_only_replayed_has_a_place_and_no_rank():
    """What it was given, and what it cost, is its own word: so it stands below everyone who was retrained, however good it is."""
    best = entry("best", [0.9] * 6, board.REPLAYED)
    found = ranked([best, entry("less", [0.5, 0.51, 0.52, 0.5, 0.51, 0.52]), entry("last", [0.1] * 6, board.REPLAYED)])
    assert [(each.submission.name, each.rank, each.place) for each in found] == [("less", 1, 2), ("best", None, 1), ("last", None, 3)]
    assert [each.declared != () for each in found] == [False, True, True]


def test_tracks_are_never_ranked_together():
    one, other = entry("one", [0.5] * 6), entry("other", [0.9] * 6, track={**TRACK, "old_task_data": True})
    found = boards([one, other, entry("third", [0.1] * 6, suite="full")])
    tracks = sorted((each.suite, each.entries[0].submission.name, each.entries[0].rank) for each in found)
    assert tracks == [("core", "one", 1), ("core", "other", 1), ("full", "third", 1)]


def test_worlds_and_kl_estimators_are_never_ranked_or_drawn_together(tmp_path):
    """Nor are records that name no estimator, if their bases differ."""
    kinds = {
        "ours": {"world": "workcell-2", "estimator": "closed form"},
        "also": {"estimator": "closed form"},
        "sampled": {"estimator": "sampled"},
        "older": {},
        "tokens": {"base": "tokens-s0"},
        "theirs": {"world": "elsewhere-1", "estimator": "closed form"},
    }
    made = [
        with_runs(entry(name, [score] * 6), tmp_path, 0.1, **kind) for score, (name, kind) in zip((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), kinds.items(), strict=True)
    ]
    found = boards([replace(entry("lying"), level=board.SELF_REPORTED), *made])
    shown = {(each.world, each.estimator): [(one.submission.name, one.rank) for one in each.entries] for each in found}
    assert shown == {
        ("elsewhere-1", "closed form"): [("theirs", 1), ("lying", None)],
        ("workcell-2", "closed form"): [("also", 1), ("ours", 2)],
        ("workcell-2", "unnamed, base mlp"): [("older", 1)],
        ("workcell-2", "sampled"): [("sampled", 1)],
        ("workcell-2", "unnamed, base tokens"): [("tokens", 1)],
    }
    html = site(found, tmp_path / "site").read_text()
    assert all(f", {world}, {estimator}<" in html for world, estimator in shown)
    assert len(list((tmp_path / "site" / "tables").glob("board*.csv"))) == 5
    assert len(list((tmp_path / "site" / "figures").glob("learning*.csv"))) == 2
    laws = [{row["entry"] for row in csv.DictReader(path.read_text().splitlines())} for path in (tmp_path / "site" / "figures").glob("law*.csv")]
    assert sorted(map(sorted, laws)) == [["also", "ours"], ["older"], ["sampled"], ["theirs"], ["tokens"]]


def test_packages_levels_and_the_site(whole, known, tmp_path, results):
    packed(results, known, twin := tmp_path / "twin", name="<b>Twin</b>")
    submission, runs, faults = validate(Package(whole), known)
    found = replay.replay(Package(whole), submission, runs, known, fresh_seed=1, episodes=10, faults=faults, say=print)
    (levels := tmp_path / "levels").mkdir()
    (levels / "one.json").write_text(json.dumps(replay.entry(Package(whole), found, 1, "me", True, None)))
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
    assert [(each["name"], each["place"], each["level"]) for each in shown[0]["entries"]] == [
        (ABOUT["name"], 1, "replayed"),
        ("<b>Twin</b>", None, "validated"),
        ("Lying", None, "self-reported"),
    ]
    assert not any(each["rank"] for each in shown[0]["entries"]) and shown[0]["entries"][0]["declared"] == list(board.DECLARED)
    assert shown[0]["entries"][0]["level_file"]["when"] == time.strftime("%Y-%m-%d", time.gmtime())
    # Someone else's work under another name is found.
    (found := board.entries([twin, whole], known, read_levels(levels)))
    assert [each.why for each in found] == ["1 of its 1 policies are nearly those of sft", "not retrained: its track, costs and curve are declared"]
    for each in entries:
        assert (out / "entries" / each.page / "index.html").exists()


def test_a_level_that_is_none(tmp_path):
    (tmp_path / "level.json").write_text('{"level": "best"}')
    with pytest.raises(UsageError, match=r"level .*level\.json is none that `razorbench replay --out` writes"):
        read_levels(tmp_path)


def with_runs(made, folder, slope, **record):
    """An entry with made-up runs of two tasks and three seeds; the steeper, the more is forgotten. record: parts of the records."""
    for task in ("alpha", "beta"):
        for seed in range(3):
            write_run(folder / made.submission.name, task, "sft", seed, speed=0.15, harm=slope, **record)
    runs = read_runs(folder / made.submission.name, {})
    scores = {"success": {"value": 0.9, "ci95": (0.8, 1.0)}, "retention": {"value": 1 - slope, "ci95": (0.9 - slope, 1.1 - slope)}}
    return replace(made, runs=runs, submission=submission(made.submission.name, scores=scores))


def test_pictures_show_every_valid_entry_and_none_that_is_not(tmp_path):
    entries = [with_runs(entry(name, [0.5] * 6), tmp_path, slope) for name, slope in (("gentle", 0.05), ("rough", 0.3))]
    entries.append(replace(entry("lying"), level=board.SELF_REPORTED))
    site(boards(entries), out := tmp_path / "site")
    with open(out / "figures" / "learning-core.csv") as file:
        assert [(row["entry"], row["success at end"]) for row in csv.DictReader(file)] == [("gentle", "0.9"), ("rough", "0.9")]
    with open(out / "figures" / "law-core.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["entry"] for row in rows} == {"gentle", "rough"}
    assert len(rows) == 12
    html = (out / "index.html").read_text()
    assert "No fit: too few runs: 2 of 3 tasks, 1 of 2 families." in html


def test_retention_at_matched_success_is_shown_of_what_was_retrained_alone(tmp_path):
    one = with_runs(entry("one", [0.5] * 6, board.REPLAYED), tmp_path, 0.1)
    assert one.at(0.5) is None
    again = replace(one, level=board.RETRAINED)
    assert 0 < again.at(0.5).value <= 1
    shown = board.as_json(boards([one, again]))["boards"][0]["entries"]
    assert [each["retention_at"]["0.5"] is None for each in shown] == [True, False]


def test_what_is_different_between_two_boards():
    one, two, new = entry("one", [0.9] * 6), entry("two"), entry("new", [0.95] * 6)
    before, after = board.as_json(boards([one, two])), board.as_json(boards([one, new]))
    assert changes(before, after) == [
        "new on core: new, retrained, rank 1, place 1",
        "one on core: retrained, rank 1, place 1; now retrained, rank 2, place 2",
        "two on core: gone",
    ]
    assert changes(after, after) == []
    # All that a reader sees counts: scores, checksums and level files, not standing alone.
    shifted = replace(one, digest="f" * 64, fresh={(task, 0): Number.exact(0.8) for task in "abcdef"}, submission=submission("one", licence="BSD"))
    (line,) = changes(before, board.as_json(boards([shifted, two])))
    assert line == "one on core: checksums oneoneoneone; now ffffffffffff; score on fresh starts 0.900; now 0.800; licence is another"


def test_a_level_vouches_for_a_package_without_its_policies(whole, known, tmp_path):
    submission, runs, faults = validate(Package(whole), known)
    found = replay.replay(Package(whole), submission, runs, known, fresh_seed=1, episodes=1, faults=faults, say=print)
    levels = {Package(whole).digest: Level.model_validate(replay.entry(Package(whole), found, 1, "me", True, 1))}
    light = shutil.copytree(whole, tmp_path / "light")
    (light / POLICY).unlink()
    assert board.entry(light, known, {}).why.startswith(f"not valid, 1 fault; the first: {POLICY}")
    kept = board.entry(light, known, levels)
    assert (kept.level, kept.why, len(kept.runs)) == ("retrained", "", 1)
    other = board.entry(light, replace(known, settings=replace(known.settings, episodes=11)), levels)
    assert other.why == f"of another protocol: {RECORD}: config.eval.episodes is 10, expected 11"
    assert (other.level, other.runs, other.fresh) == ("retrained", (), None)
    edit(light, RECORD, setting("score", 1.0))
    kept, changed = board.entries([whole, light], known, levels)
    assert (kept.level, changed.why) == ("retrained", "it has the checksums of sft")
    (changed,) = board.entries([light], known, levels)
    assert (changed.level, changed.runs) == ("self-reported", ())
    assert changed.why.startswith(f"not valid, 1 fault; the first: {RECORD}: SHA-256 is")


def test_two_hundred_entries_are_drawn_in_their_time(tmp_path):
    """As `leaderboard` does with packages that were replayed: read, ranked, drawn."""
    made = with_runs(entry("one", [0.5] * 6), tmp_path, 0.2)
    runs = [replace(run, record=run.record.model_copy(update={"seed": seed})) for run in made.runs for seed in range(3)]
    entries = [
        replace(
            made,
            submission=submission(f"entry {k}"),
            runs=runs,
            digest=f"{k:064d}"[::-1],
            fresh={("a", 0): Number.exact(k / 1000), ("b", 0): Number.exact(0.5)},
        )
        for k in range(200)
    ]
    began = time.perf_counter()
    site(boards(entries), out := tmp_path / "site")
    assert time.perf_counter() - began < 60
    assert len(list((out / "entries").iterdir())) == 200
    assert len(json.loads((out / "leaderboard.json").read_text())["boards"][0]["entries"]) == 200


def test_the_site_in_a_real_browser(browser, tmp_path):
    entries = [entry("PPO", [0.9] * 6), entry("SFT", [0.5, 0.6, 0.7, 0.5, 0.6, 0.7]), entry("Not yet")]
    page, wrong = site(boards(entries), tmp_path), []
    tab = browser.new_page()
    tab.on("console", lambda message: wrong.append(message.text))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(page.as_uri())
    names = "[...document.querySelectorAll('tbody tr')].map(row => row.cells[2].textContent.trim())"
    assert tab.evaluate(names) == ["PPO", "SFT", "Not yet"]
    tab.locator("thead th button", has_text="score, fresh starts").click()
    tab.locator("thead th button", has_text="score, fresh starts").click()
    assert tab.evaluate(names) == ["SFT", "PPO", "Not yet"]
    tab.click("text=PPO")
    assert tab.title() == "PPO"
    assert "<summary>Legend" not in tab.content()
    assert not wrong
    tab.close()
