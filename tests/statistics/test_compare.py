"""Comparisons of arms against hand-worked numbers."""

import numpy as np
import pytest
from scipy import stats
from synthetic import costs, estimate, modes, record, success

from razorbench.seeding import generator
from razorbench.statistics.comparison import MEASURES, QUANTITIES, Number, contrast, numbers, paired, units
from razorbench.statistics.finished_runs import Run
from razorbench.store.record import Snapshot


def exact(values):
    return {key: Number.exact(value) for key, value in values.items()}


def test_pairs_are_by_task_and_seed():
    first = exact({("a", 0): 0.9, ("a", 1): 0.8, ("b", 0): 1.0, ("c", 5): 0.1})
    second = exact({("a", 0): 0.7, ("a", 1): 0.8, ("b", 0): 0.9, ("b", 1): 0.0})
    found = paired(first, second)
    assert (found.n, found.unit, found.pairs) == (2, "tasks", 3)
    assert found.difference.value == pytest.approx(0.1)
    alone = paired(exact({("a", k): value for k, value in enumerate((0.5, 0.7, 0.9))}), exact({("a", k): 0.5 for k in range(3)}))
    assert (alone.n, alone.unit) == (3, "seeds")


def test_an_interval_is_taken_at_the_worst_ends_of_brackets():
    """Low differences .05, .1, .3: mean .15, standard error .076376; high ones .2, .25, .3: .25 and .028868; t(.975, 2) = 4.302653."""
    first = {("a", 0): Number(0.5, 0.45, 0.55), ("b", 0): Number(0.6, 0.5, 0.6), ("c", 0): Number.exact(0.7)}
    second = {("a", 0): Number(0.4, 0.35, 0.4), ("b", 0): Number(0.4, 0.35, 0.4), ("c", 0): Number.exact(0.4)}
    found = paired(first, second).difference
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.15 - 4.302653 * 0.076376, abs=1e-5)
    assert found.high == pytest.approx(0.25 + 4.302653 * 0.028868, abs=1e-5)


def test_margins_are_those_of_the_rules():
    assert {name: each.margin for name, each in QUANTITIES.items() if each.margin is not None} == {"retention": 0.05, "cka": 0.01}


def grid(tasks, seeds, value=0.5):
    return exact({(str(task), seed): value for task in range(tasks) for seed in range(seeds)})


@pytest.mark.parametrize(
    ("first", "second", "lacking"),
    [
        (grid(3, 2), grid(3, 2), ""),
        (grid(3, 1), grid(3, 2), "3 runs of sft, 6 needed"),
        (grid(1, 8), grid(1, 8), "1 task, 3 needed"),
        (grid(2, 1), grid(2, 3), "2 runs of sft, 6 needed; 2 tasks, 3 needed"),
        ({}, grid(3, 3), "0 runs of sft, 6 needed; 0 tasks, 3 needed"),
        (grid(6, 1), exact({(str(task), 1): 0.5 for task in range(6)}), "0 runs of both on the same task and seed, 6 needed; 0 tasks, 3 needed"),
    ],
)
def test_too_few_runs_is_no_verdict_and_says_what_is_lacking(first, second, lacking):
    found = paired(first, second, ("sft", "ppo"))
    assert found.lacking == lacking
    assert str(found.verdict(0.05)) == (f"too few runs ({lacking})" if lacking else "same")
    assert found.verdict(0.05).decided == (not lacking)


def snapshot(update, select, kept, test=None, episodes=25, cka=1.0, skill=None):
    test, skill = select if test is None else test, kept if skill is None else skill
    new = {"select": success(select), "test": success(test)}
    measured = {"original": {"push": success(skill, episodes)}, "retention": estimate(kept), "drift": {"activations": {"original": {"cka": cka}}}}
    return Snapshot.model_validate({"update": update, **costs(10 * update), "new_task": new, **measured})


def run(task, seed, style, *points, kept=0.5, styles=("direct", "far"), base=1.0):
    told = record(
        task=f"{task}-v1",
        seed=seed,
        method={"name": "sft", "family": "offline supervised", "version": 1, "demos": style},
        budget={"name": "standard", **costs(demo_episodes=5)},
        new_task={"base": modes(0.2), "final": modes(points[-1].success if points else 0.8)},
        original={"push": {"base": modes(base), "final": modes(kept)}},
        retention=estimate(kept),
    )
    return Run(told, points, styles)


ALONG = (snapshot(0, 0.2, 1.0), snapshot(4, 0.8, 0.9, test=0.7, cka=0.98), snapshot(9, 1.0, 0.6, test=0.9, cka=0.9), snapshot(20, 0.9, 0.1))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("retention@best", (0.6, 0.6, 0.6)),
        ("retention@end", (0.5, 0.5, 0.5)),
        ("success@best", (0.9, 0.9, 0.9)),
        ("score@best", (0.7 / 0.8 * 0.6,) * 3),
        ("score@end", (0.7 / 0.8 * 0.5,) * 3),
        # Half of the way from .8 to 1 in SELECT success.
        ("retention@0.9", (0.75, 0.6, 0.9)),
        ("success@0.9", (0.8, 0.7, 0.9)),
        ("cka@0.9", (0.94, 0.9, 0.98)),
        ("env_steps@0.9", (65, 40, 90)),
        ("select_episodes@best", (400, 400, 400)),
        ("select_episodes@end", (0, 0, 0)),
        ("forward_kl@best", None),
    ],
)
def test_measures_by_hand(name, number):
    found = MEASURES[name].number(run("a", 0, "direct", *ALONG))
    assert found is number is None or (found.value, found.low, found.high) == pytest.approx(number)


def test_the_sampling_variance_is_that_of_the_episodes_there():
    """25 of 25 kept at an end of the bracket of .7, 22 (.9) at the other: (24 / 29) (5 / 29) / 29 is the larger; at the end 50 of 100."""
    one = run("a", 0, "direct", *ALONG)
    assert MEASURES["retention@0.7"].number(one).variance == pytest.approx(24 * 5 / 29**3)
    assert MEASURES["retention@end"].number(one).variance == pytest.approx(52 * 52 / 104**3)
    assert MEASURES["cka@best"].number(one).variance == MEASURES["env_steps@0.7"].number(one).variance == 0.0
    half = run("a", 0, "direct", *ALONG, base=0.5)
    assert MEASURES["retention@end"].number(half).variance == pytest.approx(52 * 52 / 104**3 / 0.25)


def test_the_sampling_variance_of_a_score_is_that_of_a_product():
    """Success 90 of 100 and the base's .2: gain .875. Retention .5 of 100 episodes. d score = .5 / .8 ds + .875 dr."""
    success, kept = 92 * 12 / 104**3, 52 * 52 / 104**3
    assert MEASURES["score@end"].number(run("a", 0, "direct", *ALONG)).variance == pytest.approx((0.5 / 0.8) ** 2 * success + 0.875**2 * kept)
    # A policy that learned nothing may have been lucky: its score of 0 is not certain. More than all is not kept.
    nothing = snapshot(0, 0.1, 1.2, skill=1.0)
    assert MEASURES["score@best"].number(run("a", 0, "direct", nothing)).variance == pytest.approx((1 / 0.8) ** 2 * 12 * 92 / 104**3)


def test_numbers_of_an_arm_skip_the_undefined():
    runs = [run("a", 0, "direct", *ALONG), run("a", 1, "direct"), run("a", 0, "far", kept=0.25), run("b", 0, "mine")]
    assert [each.arm for each in runs] == ["sft", "sft", "sft/2", "sft/mine"]
    assert set(numbers(runs, "sft", MEASURES["retention@best"])) == {("a", 0)}
    assert set(numbers(runs, "sft", MEASURES["retention@end"])) == {("a", 0), ("a", 1)}
    assert numbers(runs, "sft/2", MEASURES["retention@end"])["a", 0].value == 0.25
    assert numbers(runs, "ppo", MEASURES["retention@end"]) == {}
    assert contrast(runs, "sft", "sft/2", MEASURES["retention@end"]).sample.value == pytest.approx([0.25])


@pytest.mark.parametrize(("nats", "kept"), [(1, 0.9), (2, 0.8), (4, None)])
def test_what_is_kept_at_a_forward_kl(nats, kept):
    points = [(0.0, 1.0), (1.0, 0.9), (0.8, 0.2), (2.0, 0.8), (3.0, 0.6)]
    along = [snapshot(k, value, value).model_copy(update={"divergence": {"kl_forward": {"new": kl}}}) for k, (kl, value) in enumerate(points)]
    here = run("a", 0, "direct", *along)
    for name, episodes in (("retention", 25), ("success", 100)):
        found = MEASURES[f"{name}_kl{nats}"].number(here)
        assert found is kept is None or found.value == pytest.approx(kept)
        if kept is not None:
            (_, before), (_, after) = points[2 * nats - 2 : 2 * nats]
            solved = [round(p * episodes) for p in (before, after)]
            assert found.variance == pytest.approx(max((k + 2) * (episodes - k + 2) / (episodes + 4) ** 3 for k in solved))


def test_values_that_happen_to_be_alike_are_not_certain():
    """200 of 200 in both arms of 3 tasks: each has (202 / 204) (2 / 204) / 204 variance, so the mean difference has a standard error of .0056."""
    variance = 202 * 2 / 204**3
    runs = {(task, 0): Number.exact(1.0, variance) for task in "abc"}
    found = paired(runs, runs).difference
    assert found.high == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt(2 * variance / 3))
    assert found.high == pytest.approx(4.302653 * 0.005632, rel=1e-3)
    assert units(runs).difference.low < 1.0


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
