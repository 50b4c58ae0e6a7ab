"""Packages played again and trained again: what holds, and what is found out."""

# Fixtures of another module are given as arguments of the same name.
# ruff: noqa: F811

import hashlib
from dataclasses import replace

import pytest
from packages import CURVE, EPISODES, RECORD, packed
from synthetic import modes
from test_submission import edit, faults, known, package, results, seal, setting, whole  # noqa: F401

from razorbench.errors import UsageError
from razorbench.store.record import Modes
from razorbench.submissions import replay, retrain, trials
from razorbench.submissions.hostile import Faults
from razorbench.submissions.package import Package
from razorbench.submissions.validate import validate


def replayed(package, known, **settings):
    submission, runs, found = validate(package := Package(package), known)
    assert not found
    choice = {"fresh_seed": 5, "episodes": 100, **settings}
    return replay.replay(package, submission, runs, known, faults=found, say=lambda _: None, **choice), [str(fault) for fault in found]


def swapped(text):
    """Two starts of the new task trade their outcomes: every rate stays, and so does all that follows from rates."""
    lines = text.splitlines()
    last = [line.split(",")[0] for line in lines if line.startswith("update")][-1]
    # The last snapshot is of the final policy, so both have to tell the same.
    for label in ("final", last):
        mine = [k for k, line in enumerate(lines) if line.startswith(f"{label},stack,test,greedy,")]
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
    assert (again.fresh, again.score) == (found.fresh, found.score)
    assert found.published() == found.published("declared") and (found.whole, again.whole) == (True, False)
    assert other.fresh != found.fresh
    level = replay.entry(Package(whole), [found], 5, "me", True, None)
    assert level["package"] == hashlib.sha256((whole / "SHA256SUMS").read_bytes()).hexdigest()
    reached = [replay.entry(Package(whole), [found], 5, "me", *how)["level"] for how in ((True, None), (False, None), (True, 0), (False, 0))]
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
    monkeypatch.setattr(replay, "same_place", lambda record, world: False)
    assert replayed(package, known)[1] == []


def test_a_replay_finds_another_divergence_and_other_rates(package, known, monkeypatch):
    edit(package, RECORD, setting("divergence.kl_forward.new_tuned_states", 0.001))
    seal(package)
    monkeypatch.setattr(replay, "same_place", lambda record, world: False)
    _, wrong = replayed(package, known)
    assert len(wrong) == 1
    assert "divergence.kl_forward.new_tuned_states is 0.001, expected" in wrong[0]


def cell(up=0, down=0, declared=0.9, task="stack", starts=100, mode="greedy", split="test"):
    return trials.Played(task, split, mode, starts, 0.0, declared, declared - (up - down) / starts, up, down)


def test_a_cell_may_be_off_as_far_as_rounding_takes_it():
    """16 episodes that end otherwise may all be for the better, which is 4 times the root of 16; 17 may not."""
    for up, down, wrong in ((16, 0, 0), (17, 0, 1), (0, 17, 1), (30, 9, 0), (40, 9, 1)):
        trials.single("rows", [cell(up, down)], found := Faults())
        assert len(found) == wrong, (up, down)
    assert str(found[0]) == "rows: success on stack, test, greedy is 0.90, expected 0.59 give or take 0.28, as replayed"


def test_small_advantages_in_every_cell_add_up_to_a_lie():
    """Each of 18 runs .05 better than it is: no cell is off by much, all of them together are."""
    runs = [("stack", [cell(7, 2), cell(0, 0, task="lift")]) for _ in range(18)]
    trials.single("rows", [each for _, cells in runs for each in cells], found := Faults())
    assert not found
    trials.pooled(runs, found)
    assert [fault.field for fault in found] == ["success on new tasks, test, greedy, all runs together"]
    assert found[0].found == "126 successes that fail here, 36 failures that succeed here, of 1800"
    trials.pooled([("stack", [cell(5, 4)]) for _ in range(18)], honest := Faults())
    assert not honest


@pytest.mark.parametrize(("declared", "fresh", "lies"), [(0.93, 0.67, True), (0.93, 0.91, False), (0.67, 0.93, False), (0.93, 0.85, True)])
def test_what_is_better_on_published_starts_than_on_fresh_ones_was_made_for_them(declared, fresh, lies):
    runs = [
        (task, [cell(task=task, declared=declared), cell(task="lift", declared=0.5)], {task: {"final": fresh}, "lift": {"final": 0.5}}) for task in "abcdef"
    ]
    trials.against_fresh(runs, 100, found := Faults())
    assert [fault.field for fault in found] == ["success on new tasks, published starts"] * lies


@pytest.fixture(scope="module")
def pair(results, known, tmp_path_factory):
    """A package of two runs, of a method that does nothing, and one of a run that learns."""
    packed(results, known, out := tmp_path_factory.mktemp("pair") / "frozen", arm="frozen", suite="two")
    return out


def retrained(package, known, folder, declared=None):
    submission, runs, found = validate(Package(package), known)
    assert not found
    submission = submission if declared is None else submission.model_copy(update=declared)
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
    monkeypatch.setattr(retrain, "same_place", lambda record, world: False)
    assert retrained(pair, known, tmp_path) == (0, [])
    submission, runs, found = validate(Package(pair), known)
    new = runs[0].record.new_task.model_copy(update={"final": Modes.model_validate(modes(1.0))})
    used = runs[0].record.budget.model_copy(update={"env_steps": 500})
    better = [replace(run, record=run.record.model_copy(update={"new_task": new, "budget": used})) for run in runs]
    retrain.retrain(submission, better, known, tmp_path, found, lambda _: None)
    assert [(fault.file, fault.field) for fault in found] == [
        ("runs/stack/seed0/record.json", "budget.env_steps"),
        ("runs/stack/seed1/record.json", "budget.env_steps"),
        ("submission.json", "success"),
    ]


def test_what_cannot_be_retrained(whole, known, tmp_path):
    with pytest.raises(UsageError, match="method sft is not registered: get its code, and give its conf folder with --config-dir"):
        retrained(whole, replace(known, methods={}), tmp_path)
    submission, runs, found = validate(Package(whole), known)
    from_file = runs[0].record.method.model_copy(update={"demos": "sha256:" + "a" * 64})
    runs = [replace(run, record=run.record.model_copy(update={"method": from_file})) for run in runs]
    with pytest.raises(UsageError, match="its demonstrations came from a file"):
        retrain.retrain(submission, runs, known, tmp_path, found, lambda _: None)
