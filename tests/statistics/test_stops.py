"""Stops and crossings against hand-worked numbers."""

import json

import pytest
from conftest import ROOT
from synthetic import costs, estimate, modes, record, success

from razorbench.statistics.base_success import base_success
from razorbench.statistics.comparison import QUANTITIES
from razorbench.statistics.finished_runs import Run
from razorbench.statistics.stops import STOPS, Bracket, Crossing, Stop, at_forward_kl, crossing, stop
from razorbench.store.estimate import Undefined
from razorbench.store.record import Config, Hashes, Snapshot


def point(update, select, test, kept, **more):
    new = {"select": success(select), "test": success(test)}
    lost = {"retention": estimate(kept), "forgetting": estimate(1 - kept), "original": {"push": success(kept, 25)}}
    return Snapshot.model_validate({"update": update, **costs(10 * update, 5, 2 * update), "new_task": new, **lost, **more})


def run(*points, final=0.9):
    told = record(
        new_task={"base": modes(0.2), "final": modes(final), "select": success(0.97)},
        original={"push": {"base": modes(1.0), "final": modes(0.4)}},
        retention=estimate(0.4),
        forgetting=estimate(0.6),
        budget={"name": "standard", **costs(70, 5, 14)},
    )
    return Run(told, points)


RETENTION = QUANTITIES["retention"].read
ALONG = (point(0, 0.1, 0.12, 1.0), point(1, 0.6, 0.58, 0.98), point(3, 0.98, 0.93, 0.9), point(5, 0.7, 0.99, 0.5), point(7, 0.98, 0.97, 0.4))


def test_best_is_the_first_of_equals_by_select_and_shows_test():
    found = stop(run(*ALONG), "best")
    assert (found.snapshot.update, found.success, found.select_success) == (3, 0.93, 0.98)
    assert (found.retention, found.forgetting) == (0.9, pytest.approx(0.1))
    # (.93 - .2) / (1 - .2) * .9
    assert found.score == pytest.approx(0.82125)
    # Five looks of 100 episodes: which one is best is known only after the last.
    at = found.snapshot
    assert (at.env_steps, at.demo_episodes, at.gradient_steps, found.select_episodes) == (30, 5, 6, 500)


def test_end_is_the_final_policy_and_no_look_chose_it():
    found = stop(run(*ALONG), "end")
    at = found.snapshot
    assert (at.update, found.success, found.select_success) == (7, 0.9, 0.97)
    assert (found.retention, found.forgetting) == (0.4, 0.6)
    assert found.score == pytest.approx(0.7 / 0.8 * 0.4)
    assert at.original["push"].rate == 0.4
    assert (at.env_steps, at.demo_episodes, at.gradient_steps, found.select_episodes) == (70, 5, 14, 0)


def test_the_base_is_best_where_nothing_was_learned():
    assert stop(run(point(0, 0.2, 0.3, 1.0), point(1, 0.2, 0.5, 0.2)), "best").snapshot.update == 0


def test_without_snapshots_there_is_an_end_but_no_best():
    assert stop(run(), "best") is None
    assert stop(run(), "end").snapshot.update is None
    assert STOPS == ("best", "end")


def test_a_number_that_is_missing_or_not_finite_is_none():
    at = point(0, 0.2, 0.3, 1.0, divergence={"kl_forward": {"new": float("nan")}}, drift={"weights": {"rank": None}}, retention=None)
    assert at.forward_kl is at.number("divergence.js.new") is at.number("drift.weights.rank") is at.number("drift.activations.new.cka") is None
    assert at.retention == Undefined("not measured")


def test_crossing_interpolates_over_select_success_between_neighbours():
    """.7 lies (.7 - .6) / (.98 - .6) = .263158 of the way: retention .98 - .263158 * .08 = .958947, TEST success .58 + .263158 * .35 = .672105."""
    found = crossing(run(*ALONG), 0.7)
    assert (found.before.update, found.after.update) == (1, 3)
    kept, learned = found.number(RETENTION), found.number(lambda there: there.success)
    assert (kept.value, kept.low, kept.high) == (pytest.approx(0.958947, abs=1e-6), 0.9, 0.98)
    assert (learned.value, learned.low, learned.high) == (pytest.approx(0.672105, abs=1e-6), 0.58, 0.93)
    assert found.number(lambda there: there.forward_kl) is None


def test_a_level_that_a_snapshot_meets_exactly_is_crossed_there():
    found = crossing(run(point(0, 0.1, 0.1, 1.0), point(1, 0.7, 0.7, 0.8), point(2, 0.9, 0.9, 0.1)), 0.7)
    assert isinstance(found, Crossing)
    assert found.number(RETENTION) == Bracket(pytest.approx(0.8), 0.8, 1.0)


def test_the_first_crossing_counts_even_if_success_falls_again():
    assert crossing(run(*ALONG), 0.95).after.update == 3


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ((), "its snapshots were not kept"),
        ((point(0, 0.7, 0.6, 1.0), point(1, 0.9, 0.9, 0.9)), "the base already reaches the level"),
        ((point(0, 0.1, 0.6, 1.0), point(1, 0.69, 0.9, 0.9)), "the run never reaches the level"),
    ],
)
def test_why_a_level_is_not_crossed(points, why):
    assert crossing(run(*points), 0.7) == why


@pytest.mark.parametrize(("nats", "kept"), [(0.5, 0.95), (1.0, 0.9), (2.0, 0.8), (2.5, 0.7), (3.0, 0.6), (3.1, None)])
def test_what_is_there_at_a_forward_kl_lies_on_the_line_to_the_snapshot_that_first_reaches_it(nats, kept):
    kls = [(0.0, 1.0), (1.0, 0.9), (0.8, 0.2), (2.0, 0.8), (3.0, 0.6)]
    along = [point(k, 0.5, 0.5, value, divergence={"kl_forward": {"new": kl}}) for k, (kl, value) in enumerate(kls)]
    assert at_forward_kl(run(*along), nats, RETENTION) == (None if kept is None else pytest.approx(kept))


def shipped(name, task):
    card = json.loads((ROOT / "baselines" / "policies" / f"{name}.json").read_text(encoding="utf-8"))
    hashes = {"base_policy": card["sha256"]["policy"], "task_spec": card["tasks"][task]}
    return record(task=f"{task}-v1", base=name, hashes={"run": "0", **hashes}, new_task={"base": modes(0.07), "final": modes(0.5)})


@pytest.mark.parametrize(("name", "task", "greedy"), [("mlp-s0", "carry_weak", 0.862), ("mlp-s1", "sort_parity", 0.552), ("mlp-s0", "push_far", 0.402)])
def test_the_base_s_success_is_that_of_500_select_starts_on_its_card(name, task, greedy):
    assert base_success(shipped(name, task)) == greedy


@pytest.mark.parametrize(
    "other", [{"base": "other-s0"}, {"base": "../policies/mlp-s0"}, {"hashes": Hashes(run="0", base_policy="0", task_spec="0")}, {"config": Config()}]
)
def test_a_card_of_another_base_is_not_taken(other):
    told = shipped("mlp-s0", "carry_weak").model_copy(update=other)
    assert base_success(told) == (0.862 if "config" in other else 0.07)


@pytest.mark.parametrize("directory", ["there", 1e308, ["there"], {"there": 1}])
def test_no_folder_that_a_record_names_is_opened(directory, tmp_path):
    told = shipped("mlp-s0", "carry_weak")
    card = {"sha256": {"policy": "w"}, "tasks": {"carry_weak": "t"}, "success": {"select": {"carry_weak": {"greedy": success(0.33)}}}}
    (tmp_path / "mine-s0.json").write_text(json.dumps(card))
    own = str(tmp_path) if directory == "there" else directory
    mine = {"base": "mine-s0", "hashes": Hashes(run="0", base_policy="w", task_spec="t"), "config": Config(base={"directory": own})}
    assert base_success(told.model_copy(update=mine)) == 0.07


@pytest.mark.parametrize(("of_base", "defined"), [(0.5, True), (0.51, False), (1.0, False)])
def test_a_score_is_undefined_where_the_base_nearly_solves_the_task(of_base, defined):
    assert (Stop(point(1, 0.9, 0.9, 1.0), 0, of_base).score is not None) == defined
