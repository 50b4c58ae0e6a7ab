"""Numbers worked by hand; sources stand beside the functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from razorbench.measures import success
from razorbench.measures.episodes import Episodes
from razorbench.measures.summary import Subject
from razorbench.seeding import generator


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 10, 0.000000, 0.277533),
        (9, 10, 0.595850, 0.982124),
        (18, 20, 0.698966, 0.972134),
        (0, 100, 0.000000, 0.036993),
        (50, 100, 0.403832, 0.596168),
        (80, 100, 0.711171, 0.866633),
        (94, 100, 0.875232, 0.972214),
        (100, 100, 0.963007, 1.000000),
        (320, 400, 0.758030, 0.836263),
    ],
)
def test_wilson(k, n, low, high):
    assert success.wilson(k, n) == pytest.approx((low, high), abs=1e-6)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_rate_and_stays_in_the_unit_interval(counts):
    k, n = counts
    low, high = success.wilson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
    assert success.wilson(n - k, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_forgetting_retention_and_score():
    base, final = np.array([1, 0.9, 0.8]), np.array([0.9, 0.9, 0.4])
    assert success.forgetting(base, final) == pytest.approx(0.166667, abs=1e-6)
    assert success.retention(base, final) == pytest.approx(0.814815, abs=1e-6)
    assert success.score(0.95, 0.10, 0.814815) == pytest.approx(0.769547, abs=1e-6)


def test_score_of_frozen_is_zero_and_a_loss_is_not_negative():
    assert success.score(0.3, 0.3, 1.0) == 0.0
    assert success.score(0.1, 0.3, 1.0) == 0.0
    assert success.score(1.0, 0.0, 1.2) == 1.0


def test_undefined_is_none_rather_than_zero():
    assert success.retention(np.zeros(2), np.zeros(2)) is None
    assert success.score(1.0, 1.0, 1.0) is None
    assert success.score(1.0, 0.5, None) is None


def test_paired_bootstrap_of_retention_on_the_exact_small_case():
    base = {"a": np.array([True, True]), "b": np.array([True, True])}
    final = {"a": np.array([True, False]), "b": np.array([True, True])}
    forgot, kept = success.forgetting_and_retention(base, final, generator("test"))
    assert kept is not None
    assert (kept.value, kept.low, kept.high) == (0.75, 0.5, 1.0)
    assert (forgot.value, forgot.low, forgot.high) == (0.25, 0.0, 0.5)


def test_paired_bootstrap_of_differences_matches_full_enumeration():
    # Differences (1, 0, 0, -1, 1): mean 0.2; all 3125 resamples give [-0.4, 0.8].
    base = {"a": np.array([True, True, True, False, True])}
    final = {"a": np.array([False, True, True, True, False])}
    forgot, _ = success.forgetting_and_retention(base, final, generator("test"))
    assert (forgot.value, forgot.low, forgot.high) == pytest.approx((0.2, -0.4, 0.8))


def test_bootstrap_is_paired():
    same = {"a": generator("pairs").random(50) < 0.5}
    forgot, kept = success.forgetting_and_retention(same, same, generator("test"))
    assert (forgot.low, forgot.high) == (0.0, 0.0)
    assert kept is not None
    assert (kept.low, kept.high) == (1.0, 1.0)


def test_a_snapshot_is_held_against_the_base():
    """Of four starts the base solves three, the policy two of these: two thirds are kept, a quarter of the starts is lost."""
    solved = {"base": (True, True, True, False), "update1": (True, True, False, False)}
    rows = [(label, "push", "test", "greedy", start, each, 5) for label, found in solved.items() for start, each in enumerate(found)]
    rows += [("update1", "stack", split, "greedy", start, True, 5) for split in ("test", "select") for start in range(4)]
    found = Subject("stack-v1", ["push"], "sft", 0, "test").snapshot(Episodes(tuple(rows)), "update1", 4)
    assert found.retention.value == pytest.approx(2 / 3)
    assert found.forgetting.value == pytest.approx(0.25)
    assert found.original["push"].successes == 2


def test_without_equal_episodes_base_and_tuned_policy_are_resampled_apart():
    """A policy that solves what its base solves has lost exactly nothing if episodes are equal, and an unknown amount around nothing if they are not."""
    solved = {"lift": np.arange(40) < 20}
    paired, apart = (success.forgetting_and_retention(solved, solved, np.random.default_rng(0), paired=paired)[0] for paired in (True, False))
    assert (paired.value, paired.low, paired.high) == (0.0, 0.0, 0.0)
    # The standard error of a difference of two independent rates of one half, of 40 episodes each, is 0.112.
    assert (apart.value, apart.low, apart.high) == (0.0, pytest.approx(-1.96 * 0.112, abs=0.03), pytest.approx(1.96 * 0.112, abs=0.03))
