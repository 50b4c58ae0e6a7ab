"""Packages played again and trained again: what holds, and what is found out."""

# Fixtures of another module are given as arguments of the same name.
# ruff: noqa: F811

import hashlib
from dataclasses import replace

import pytest
from packages import CURVE, EPISODES, RECORD, packed
from test_submission import edit, faults, known, package, results, seal, setting, whole  # noqa: F401

from razorbench.errors import UsageError
from razorbench.submission import replay, retrain
from razorbench.submission.validate import validate


def replayed(package, known, **settings):
    told, runs, found = validate(package, known)
    assert not found
    choice = {"fresh_seed": 5, "episodes": 100, **settings}
    return replay.replay(package, told, runs, known, faults=found, say=lambda _: None, **choice), [str(fault) for fault in found]


def swapped(text):
    """Two starts of the new task trade their outcomes: every rate stays, and so does all that follows from rates."""
    lines = text.splitlines()
    mine = [k for k, line in enumerate(lines) if line.startswith("final,stack,test,greedy,")]
    one, other = (next(k for k in mine if lines[k].split(",")[5] == solved) for solved in "01")
    ends = [",".join(lines[k].split(",")[5:]) for k in (one, other)]
    for k, end in ((one, ends[1]), (other, ends[0])):
        lines[k] = ",".join([*lines[k].split(",")[:5], end])
    return "\n".join(lines) + "\n"


def test_a_replay_repeats_the_rows_and_plays_fresh_starts(whole, known):
    (found,), wrong = replayed(whole, known)
    assert (found.task, found.seed, found.exact, wrong) == ("stack", 0, True, [])
    assert set(found.fresh) == {"stack", *(skill.name for skill in known.base("mlp", 0).skills)}
    assert found.score is not None
    (again,), _ = replayed(whole, known, episodes=1)
    (other,), _ = replayed(whole, known, fresh_seed=6, episodes=1)
    assert again == found
    assert other.fresh != found.fresh
    level = replay.entry(whole, [found], 5, "me", True, None)
    assert level["package"] == hashlib.sha256((whole / "SHA256SUMS").read_bytes()).hexdigest()
    reached = [replay.entry(whole, [found], 5, "me", *how)["level"] for how in ((True, None), (False, None), (True, 0), (False, 0))]
    assert reached == ["replayed", "validated", "retrained", "validated"]


def test_a_share_is_drawn_by_its_seed():
    runs = list(range(18))
    assert replay.share(runs, 1.0, 0) == runs
    few = [replay.share(runs, 0.2, seed) for seed in range(5)]
    assert all(len(each) == 4 and each == sorted(set(each)) for each in few)
    assert few[0] == replay.share(runs, 0.2, 0) and len({tuple(each) for each in few}) > 1
    assert len(replay.share(runs, 0.001, 0)) == 1


def test_fresh_starts_are_nobodys():
    starts = [replay.fresh_starts(seed, 100) for seed in (0, 1, 2**31 - 1)]
    assert min(each.min() for each in starts) >= 2**20
    assert len({int(start) for each in starts for start in each}) == 300
    assert max(int(each.max()) for each in starts) * 4096 < 2**64


def test_a_replay_finds_what_follows_from_nothing(package, known, monkeypatch):
    edit(package, EPISODES, swapped)
    seal(package)
    assert faults(package, known) == []
    _, wrong = replayed(package, known)
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{EPISODES}: final,stack,test,greedy,")
    # On another platform single rows may differ.
    monkeypatch.setattr(replay, "same_place", lambda run: False)
    assert replayed(package, known)[1] == []


def test_a_replay_finds_another_divergence_and_other_rates(package, known, monkeypatch):
    edit(package, RECORD, setting("divergence.kl_forward.new_tuned_states", 0.001))
    seal(package)
    monkeypatch.setattr(replay, "same_place", lambda run: False)
    _, wrong = replayed(package, known)
    assert len(wrong) == 1
    assert "divergence.kl_forward.new_tuned_states is 0.001, expected" in wrong[0]
    monkeypatch.setattr(replay, "ERRORS", -0.01)
    assert any("success on stack, greedy is" in fault and "as replayed" in fault for fault in replayed(package, known)[1])


@pytest.fixture(scope="module")
def pair(results, known, tmp_path_factory):
    """A package of two runs, of a method that does nothing, and one of a run that learns."""
    packed(results, known, out := tmp_path_factory.mktemp("pair") / "frozen", arm="frozen", suite="two")
    return out


def retrained(package, known, folder, told=None):
    submission, runs, found = validate(package, known)
    assert not found
    submission = submission if told is None else submission.model_copy(update=told)
    exact = retrain.retrain(submission, runs, known, folder, found, lambda _: None)
    return exact, [str(fault) for fault in found]


def test_a_run_trained_again_repeats_to_the_bit(whole, known, tmp_path):
    assert retrained(whole, known, tmp_path) == (1, [])
    assert next(tmp_path.rglob("record.json")).parent.parent.name == "sft"
    # A stopped retraining goes on: what is done is found.
    assert retrained(whole, known, tmp_path) == (1, [])


def test_a_retraining_finds_a_curve_that_was_made_up(package, known, tmp_path):
    edit(package, CURVE, setting("2.divergence.kl_forward.new", 0.001))
    seal(package)
    exact, wrong = retrained(package, known, tmp_path)
    assert exact == 0
    assert wrong[0].startswith(f"{CURVE}: line 3.divergence.kl_forward.new is 0.001, expected")
    assert wrong[0].endswith("as retrained on the record's own platform")


def test_a_retraining_elsewhere_has_to_agree_in_costs_and_on_average(pair, known, tmp_path, monkeypatch):
    monkeypatch.setattr(retrain, "same_place", lambda run: False)
    assert retrained(pair, known, tmp_path) == (0, [])
    submission, runs, found = validate(pair, known)
    final = {"greedy": {"successes": 100, "episodes": 100, "rate": 1.0}}
    new = {"new_task": {**runs[0].record["new_task"], "final": final}}
    better = [replace(run, record={**run.record, **new, "budget": {**run.record["budget"], "env_steps": 500}}) for run in runs]
    retrain.retrain(submission, better, known, tmp_path, found, lambda _: None)
    assert [(fault.file, fault.field) for fault in found] == [
        ("runs/stack/seed0/record.json", "budget.env_steps"),
        ("runs/stack/seed1/record.json", "budget.env_steps"),
        ("submission.json", "success"),
        ("submission.json", "score"),
    ]


def test_what_cannot_be_retrained(whole, known, tmp_path):
    with pytest.raises(UsageError, match="method sft is not registered: get its code, and give its conf folder with --config-dir"):
        retrained(whole, replace(known, methods={}), tmp_path)
    submission, runs, found = validate(whole, known)
    runs = [replace(run, record={**run.record, "method": {**run.record["method"], "demos": "sha256:" + "a" * 64}}) for run in runs]
    with pytest.raises(UsageError, match="its demonstrations came from a file"):
        retrain.retrain(submission, runs, known, tmp_path, found, lambda _: None)
