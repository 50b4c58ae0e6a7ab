"""Pareto frontiers and suite numbers against hand-worked numbers."""

import numpy as np
import pytest

from razorbench.seeding import generator
from razorbench.statistics.comparison import Number
from razorbench.statistics.pareto import area, frontier, near, stairs
from razorbench.statistics.suite_score import Alone, suite
from razorbench.store.estimate import Estimate, Undefined

POINTS = np.array([(0.5, 0.95), (0.7, 0.90), (0.6, 0.80), (0.9, 0.60)])


def test_frontier_and_area_by_hand():
    assert frontier(POINTS).tolist() == [True, True, False, True]
    assert area(POINTS) == pytest.approx(0.775)
    x, y = stairs(POINTS)
    assert (x.tolist(), y.tolist()) == ([0, 0.5, 0.7, 0.9], [0.95, 0.95, 0.9, 0.6])


def test_the_filter_by_hand():
    points = np.vstack([POINTS, (0.69, 0.89)])
    assert near(points).tolist() == [True, True, False, True, True]
    # Exactly .02 less in both is not more than .02 less.
    assert near(np.array([(0.9, 0.9), (0.88, 0.88), (0.87, 0.87)])).tolist() == [True, True, False]
    assert near(np.array([(0.9, 0.9), (0.5, 0.89)])).all()


@pytest.mark.parametrize("seed", range(5))
def test_as_a_comparison_of_all_pairs_says(seed):
    """Rates of 10 episodes, so that many are equal in one coordinate or in both."""
    points = generator("pareto", seed).integers(0, 11, (60, 2)) / 10
    x, y = points.T
    as_good = (x[:, None] >= x) & (y[:, None] >= y)
    better = as_good & ((x[:, None] > x) | (y[:, None] > y))
    assert frontier(points).tolist() == (~better.any(axis=0)).tolist()
    clearly = (x[:, None] - x > 0.15) & (y[:, None] - y > 0.15)
    assert near(points, 0.15).tolist() == (~clearly.any(axis=0)).tolist()
    steps = np.linspace(0, 1, 1001)[:-1] + 0.0005
    assert area(points) == pytest.approx(np.mean([y[x >= step].max(initial=0.0) for step in steps]), abs=1e-9)


def test_equal_points_are_both_on_the_frontier():
    assert frontier(np.array([(0.5, 0.5), (0.5, 0.5), (0.5, 0.4)])).tolist() == [True, True, False]


def exact(values):
    return {key: Number.exact(value) for key, value in values.items()}


def test_a_suite_is_a_mean_of_means():
    """Task means .2, .4, .9: mean .5, standard error .208167, t(.975, 2) 4.302653; trimmed mean of the six of measures.md, section 8: .45."""
    numbers = {("a", 0): 0.1, ("a", 1): 0.3, ("b", 0): 0.4, ("c", 0): 1.0, ("c", 1): 0.8}
    found = suite(exact(numbers), ["a", "b", "c", "d"])
    assert found.value.value == pytest.approx(0.5)
    assert found.value.high == pytest.approx(0.5 + 4.302653 * 0.208167, abs=1e-5)
    assert (found.n, found.unit, found.runs) == (3, "tasks", 5)
    assert found.worst == ("a", pytest.approx(0.2))
    assert found.lacking == ("d",)
    six = suite(exact({("a", k): value for k, value in enumerate((0, 0.1, 0.4, 0.6, 0.7, 1))}), ["a"])
    assert six.iqm == pytest.approx(0.45)
    assert six.unit == "seeds"
    assert isinstance(six.value, Estimate)


def test_a_suite_without_an_interval_says_why():
    assert suite(exact({("a", 0): 0.3}), ["a"]).value == Alone(0.3, "one run")
    nothing = suite({}, ["a"])
    assert nothing.value == Undefined("no run has it")
    assert nothing.worst is nothing.iqm is None
    assert nothing.lacking == ("a",)
