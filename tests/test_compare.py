"""Matched success and comparisons against hand-worked numbers."""

import numpy as np
import pytest
from scipy import stats

from razorbench.compare import MEASURES, Measure, numbers, paired, student, units
from razorbench.matched import at_forward_kl, matched
from razorbench.results import Run
from razorbench.seeding import generator


def curve(*rates):
    return [
        {"update": k, "new_task": {"select": {"rate": rate}, "test": {"rate": rate - 0.01}}, "retention": {"value": 1.0 - k / 10}}
        for k, rate in enumerate(rates)
    ]


def test_matched_is_the_first_snapshot_at_the_level():
    found = matched(curve(0.2, 0.35, 0.5, 0.45, 0.55, 0.7, 0.72), 0.7)
    assert found.snapshot["update"] == 5
    assert found.retention == pytest.approx(0.5)
    assert found.success == pytest.approx(0.69)


def test_a_lucky_snapshot_does_not_count():
    """.75 then .55 pool to .65 each, so .7 is first reached by the last."""
    assert matched(curve(0.4, 0.55, 0.75, 0.55, 0.8), 0.7).snapshot["update"] == 4


@pytest.mark.parametrize(
    ("rates", "why"),
    [
        ((0.1, 0.5, 0.9), "jumps from 0.50 to 0.90"),
        ((0.1, 0.3, 0.5, 0.69), "0.7 was not reached"),
        ((0.75, 0.9), "the base has success 0.7 already"),
        ((), "not kept"),
    ],
)
def test_undefined_says_why(rates, why):
    found = matched(curve(*rates), 0.7)
    assert found.snapshot is found.retention is found.success is None
    assert why in found.undefined


def test_a_jump_of_a_fifth_is_no_jump():
    assert matched(curve(0.3, 0.5, 0.7), 0.7).snapshot["update"] == 2


@pytest.mark.parametrize(("nats", "kept"), [(0.5, 0.95), (1.0, 0.9), (2.0, 0.8), (2.5, 0.7), (3.0, 0.6), (3.1, None)])
def test_what_is_there_at_a_forward_kl_lies_on_the_line_to_the_snapshot_that_first_reaches_it(nats, kept):
    points = [(0.0, 1.0), (1.0, 0.9), (0.8, 0.2), (2.0, 0.8), (3.0, 0.6)]
    along = [{"retention": {"value": value}, "new_task": {"test": {"rate": 1 - value}}, "divergence": {"kl_forward": {"new": kl}}} for kl, value in points]
    assert at_forward_kl(along, nats, "retention.value") == (None if kept is None else pytest.approx(kept))
    assert MEASURES["retention_kl2"].value(Run({}, along)) == pytest.approx(0.8)
    assert MEASURES["success_kl2"].value(Run({}, along)) == pytest.approx(0.2)
    assert MEASURES["success_kl4"].value(Run({}, along)) is None


def test_student_by_hand():
    """Differences (.10, .30, .05, .25, .15): mean .17, interval [.041262, .298738]; 80% power adds t(.8, 4) standard errors."""
    found, visible = student([0.10, 0.30, 0.05, 0.25, 0.15])
    assert (found.value, found.low, found.high) == pytest.approx((0.17, 0.041262, 0.298738), abs=1e-6)
    assert visible == pytest.approx(0.128738 + 0.940965 * 0.046368, abs=1e-5)
    assert student([0.3]) is None


def exact(values):
    return {key: (value, 0.0) for key, value in values.items()}


def test_pairs_are_by_task_and_seed():
    first = exact({("a", 0): 0.9, ("a", 1): 0.8, ("b", 0): 1.0, ("c", 5): 0.1})
    second = exact({("a", 0): 0.7, ("a", 1): 0.8, ("b", 0): 0.9, ("b", 1): 0.0})
    found = paired(first, second)
    assert (found.n, found.unit, found.pairs) == (2, "tasks", 3)
    assert found.difference.value == pytest.approx(0.1)
    # Both tasks differ by .1 alike, so the interval is a point and the verdict is sure.
    assert found.verdict() == "better"
    alone = paired(exact({("a", k): value for k, value in enumerate((0.5, 0.7, 0.9))}), exact({("a", k): 0.5 for k in range(3)}))
    assert (alone.n, alone.unit) == (3, "seeds")
    assert alone.verdict() == "underpowered"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.2, 0.21, 0.22), "better"),
        ((-0.2, -0.21, -0.22), "worse"),
        ((0.01, 0.0, -0.01), "no difference"),
        ((0.3, -0.2, 0.1), "underpowered"),
        ((), "underpowered"),
    ],
)
def test_verdicts(values, verdict):
    assert units({(str(k), 0): (value, 0.0) for k, value in enumerate(values)}).verdict() == verdict


def run(task, seed, style, score, styles=("direct", "far")):
    return Run({"task": f"{task}-v1", "seed": seed, "method": {"name": "sft", "demos": style}, "budget": {"demo_episodes": 5}, "score": score}, (), styles)


def test_numbers_of_an_arm_skip_the_undefined():
    runs = [run("a", 0, "direct", 0.5), run("a", 1, "direct", None), run("a", 0, "far", 0.25), run("b", 0, "mine", 0.1)]

    score = MEASURES["score"]
    assert [each.arm for each in runs] == ["sft", "sft", "sft/2", "sft/mine"]
    assert numbers(runs, "sft", score) == exact({("a", 0): 0.5})
    assert numbers(runs, "sft/2", score) == exact({("a", 0): 0.25})
    assert numbers(runs, "ppo", score) == {}


def test_values_that_happen_to_be_alike_are_not_certain():
    """200 of 200 in both arms of 3 tasks: each has (202 / 204) (2 / 204) / 204 variance, so the mean difference has a standard error of .0056."""
    perfect = {"original": {"a": {"successes": 200, "episodes": 200, "rate": 1.0}}, "retention": {"value": 1.0}}
    measure = Measure("retention.value", rates="original")
    variance = measure.variance(Run(perfect, ()))
    assert variance == pytest.approx(202 * 2 / 204**3)
    runs = {(task, 0): (1.0, variance) for task in "abc"}
    found = paired(runs, runs).difference
    assert found.high == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt(2 * variance / 3))
    assert found.high == pytest.approx(4.302653 * 0.005632, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [3, 6, 12])
def test_student_intervals_cover_the_truth(tasks):
    """2 000 simulated studies: tasks with effects of their own around .1, three seeds each, retention's noise on top."""
    rng = generator("coverage", tasks)
    inside = 0
    for _ in range(2000):
        effect = 0.1 + 0.08 * rng.normal(size=tasks)
        keys = [(str(task), seed) for task in range(tasks) for seed in range(3)]
        noise = 0.05 * stats.t.rvs(5, size=(2, len(keys)), random_state=rng)
        first = exact({key: effect[int(key[0])] + noise[0, k] for k, key in enumerate(keys)})
        second = exact({key: noise[1, k] for k, key in enumerate(keys)})
        found = paired(first, second).difference
        inside += found.low <= 0.1 <= found.high
    assert 0.93 <= inside / 2000 <= 0.97
    assert np.isfinite(inside)
