"""The words for differences: by hand, and their error rates by simulation."""

import re

import numpy as np
import pytest
from calibration import MARGIN, SCENARIOS, STUDIES, TASKS, rates, table
from conftest import ROOT

from razorbench.commands.claims import styles_of
from razorbench.registry.config import registry
from razorbench.statistics.comparison import MEASURES, numbers
from razorbench.statistics.finished_runs import read_runs
from razorbench.statistics.verdicts import LESS, MORE, SAME, Sample, Verdict, holm, student, told, too_few
from razorbench.store.estimate import Estimate


def sample(*values, floor=0.0):
    exact = np.array(values)
    return Sample(exact, exact, exact, floor)


def test_student_by_hand():
    """Differences (.10, .30, .05, .25, .15): mean .17, interval [.041262, .298738]."""
    found = student([0.10, 0.30, 0.05, 0.25, 0.15])
    assert (found.value, found.low, found.high) == pytest.approx((0.17, 0.041262, 0.298738), abs=1e-6)
    assert student([0.3]) is None


SMALL = sample(0.01, 0.02, 0.03, 0.00, 0.04)
"""Mean .02, standard error .007071; t(.975, 4) = 2.776445 gives [.000367, .039633], t(.95, 4) = 2.131847 gives [.004925, .035075]."""


@pytest.mark.parametrize(
    ("numbers", "margin", "words"),
    [
        (SMALL, 0.05, (MORE, SAME)),
        (SMALL, 0.0351, (MORE, SAME)),
        (SMALL, 0.0350, (MORE,)),
        (SMALL, None, (MORE,)),
        (sample(-0.01, -0.02, -0.03, 0.00, -0.04), 0.05, (LESS, SAME)),
        (sample(0.01, -0.01, 0.02, -0.02, 0.0), 0.05, (SAME,)),
        (sample(0.2, 0.21, 0.22), 0.05, (MORE,)),
        (sample(-0.2, -0.21, -0.22), 0.05, (LESS,)),
    ],
)
def test_words_by_hand(numbers, margin, words):
    assert numbers.verdict(margin).words == words


def test_the_intervals_behind_them():
    assert SMALL.interval() == Estimate(pytest.approx(0.02), pytest.approx(0.000367, abs=1e-6), pytest.approx(0.039633, abs=1e-6))
    assert SMALL.interval(0.9) == Estimate(pytest.approx(0.02), pytest.approx(0.004925, abs=1e-6), pytest.approx(0.035075, abs=1e-6))


def test_worst_ends_decide_the_words():
    """The middles alone would be *more*; with brackets that reach below 0, nothing can be said."""
    middle = np.array([0.2, 0.21, 0.22])
    assert Sample(middle, middle - 0.3, middle + 0.01).verdict(0.05).words == ("undecided",)
    assert Sample(middle, middle - 0.1, middle + 0.01).verdict(0.05).words == (MORE,)


def test_a_floor_widens_what_is_alike_by_chance():
    assert sample(0.01, 0.01, 0.01, floor=0.002).verdict(0.05).words == (MORE, SAME)
    assert sample(0.01, 0.01, 0.01, floor=0.01).verdict(0.05).words == (SAME,)
    assert sample(0.01, 0.01, 0.01, floor=0.03).verdict(0.05).words == ("undecided",)


def test_the_number_of_tasks_that_would_decide():
    """A mean of two thirds of its SD needs 20 tasks for 80% power at two-sided 5% (Cohen 1988, table 2.4.1: d = .67, paired)."""
    values = np.array([0.25, -0.05, 0.25, -0.05])
    spread = values.std(ddof=1)
    mean = 2 / 3 * spread
    found = Sample(values - 0.1 + mean, values - 0.1 + mean, values - 0.1 + mean)
    assert found.tasks(None) == 20
    assert str(found.verdict(None)) == "undecided (20 tasks)"
    # At a difference of 0 only *same* can be said, and without a margin nothing.
    assert str(Sample(values - 0.1, values - 0.1, values - 0.1).verdict(None)) == "undecided (over 1,000 tasks)"


@pytest.mark.slow
@pytest.mark.parametrize(("mean", "spread", "width"), [(0.08, 0.12, 0.0), (0.0, 0.06, 0.0), (0.02, 0.05, 0.02), (-0.2, 0.3, 0.05)])
def test_so_many_tasks_do_decide_in_four_of_five_studies(mean, spread, width):
    base = np.array([1.0, -1.0, 0.5, -0.5]) / np.std([1.0, -1.0, 0.5, -0.5], ddof=1)
    values = mean + spread * base
    tasks = Sample(values, values - width, values + width).tasks(0.05)
    rng = np.random.default_rng(0)
    said = {}
    for n in (tasks - 1, tasks):
        drawn = mean + spread * rng.normal(size=(4000, n))
        each = [Sample(one, one - width, one + width).verdict(0.05).words for one in drawn] if n > 2 else []
        said[n] = max(np.mean([word in words for words in each]) for word in (MORE, LESS, SAME)) if each else 0.0
    assert said[tasks] >= 0.8 - 3 * 0.0063
    assert said[tasks - 1] < 0.8 + 3 * 0.0063


def test_p_values_by_hand():
    """(.05 - .02) / .007071 = 4.2426 has a chance of .006618 under t(4) and decides *same*; .02 / .007071 = 2.8284 one of .023710."""
    assert SMALL.p_value(SAME, 0.05) == pytest.approx(0.006618, abs=1e-6)
    assert SMALL.p_value(MORE, 0.05) == pytest.approx(0.023710, abs=1e-6)
    assert SMALL.p_value(LESS, 0.05) == pytest.approx(1 - 0.023710, abs=1e-6)
    assert SMALL.p_value(SAME, None) == 1.0


@pytest.mark.parametrize(
    ("chances", "words", "passed"),
    [
        # In shares of 2.5%: .04 <= 1/4, but .48 > 1/3, which ends it.
        ((0.04, 0.001, 0.012, 0.02), (MORE,) * 4, [False, True, False, False]),
        # As *same* .012 is a share of .24 of 5%, and passes; .8 > 1/2.
        ((0.04, 0.001, 0.012, 0.02), (MORE, MORE, SAME, MORE), [False, True, True, False]),
        # .24 <= 1/2, and then .8 <= 1: the last one left has the whole level to itself.
        ((0.02, 0.006), (MORE, MORE), [True, True]),
        ((0.025,), (MORE,), [True]),
        ((0.026,), (MORE,), [False]),
        ((), (), []),
    ],
)
def test_holm_by_hand(chances, words, passed):
    assert holm(chances, words) == passed


@pytest.mark.parametrize(
    ("runs", "groups", "why"),
    [
        ({"ppo": 6, "sft": 6}, {"tasks": 3, "families": 2}, ""),
        ({"ppo": 1, "sft": 5}, {"tasks": 3}, "1 run of ppo, 6 needed; 5 runs of sft, 6 needed"),
        ({}, {"tasks": 1, "families": 1}, "1 task, 3 needed; 1 family, 2 needed"),
    ],
)
def test_floors(runs, groups, why):
    assert too_few(runs, **groups) == why


def test_a_verdict_as_text():
    assert str(Verdict((MORE, SAME))) == "more, same"
    assert not Verdict(("undecided",), "8 tasks").decided


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Estimate(0.0224, -0.0104, 0.058), "+.022 [-.010, +.058]"),
        (Estimate(-0.5, -0.999, -0.0001), "-.500 [-.999, -.000]"),
        (Estimate(-10.502, -15.338, -5.667), "-10.5 [-15.3, -5.7]"),
        (Estimate(1.26, 0.5, 2.0), "+1.260 [+.500, +2.000]"),
        (Estimate(415.2, 76.1, 754.0), "+415 [+76, +754]"),
        (Estimate(107292, 86190, 128395), "+107k [+86k, +128k]"),
    ],
)
def test_a_difference_as_text(found, text):
    assert told(found) == text


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("tasks", TASKS)
def test_words_are_wrong_as_rarely_as_they_should_be(scenario, tasks):
    found = rates(scenario, tasks)
    if scenario.shape:
        # Student's interval is exact for normal differences only. Where few tasks make most of a difference, as here, the words on the far side are
        # said too often; docs/statistics.md says so with these rates.
        assert found.false_more <= 0.015 and found.false_less <= 0.075 and found.false_same <= 0.09
        assert found.covers >= 0.915
        return
    error = np.sqrt(0.025 * 0.975 / STUDIES)
    assert found.covers >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / STUDIES)
    assert max(found.false_more, found.false_less) <= 0.025 + 3 * error
    assert found.false_same <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / STUDIES)


@pytest.mark.pages
@pytest.mark.slow
def test_the_page_has_the_rates_that_the_simulation_gives():
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- calibration:[^>]*-->\n(.*?)\n<!-- /calibration -->", page, re.DOTALL)
    assert shown == table()


def test_the_simulated_truth_lies_in_its_brackets():
    low, high = SCENARIOS[-1].study(MARGIN, 12, 2000, np.random.default_rng(1))
    assert low.mean() < MARGIN < high.mean()
    assert (high - low).mean() == pytest.approx(SCENARIOS[-1].bracket, rel=0.02)


@pytest.mark.slow
def test_the_simulated_spreads_are_those_of_the_committed_runs():
    """Between tasks and within them by analysis of variance of the paired differences, and the mean width of their brackets."""
    results = ROOT / "baselines" / "results"
    with registry() as registered:
        styles = styles_of(registered)
    runs = [run for run in read_runs(results, styles) if run.base == "mlp" and run.arm in ("ppo", "sft", "sft/2", "sft_recall")]
    contrasts = {0: ("sft_recall", "ppo", "best"), 1: ("ppo", "sft", "best"), 3: ("ppo", "sft/2", "best"), 4: ("ppo", "sft/2", "0.9")}
    for k, (first, second, place) in contrasts.items():
        a, b = (numbers(runs, arm, MEASURES[f"retention@{place}"]) for arm in (first, second))
        by_task = {}
        for key in sorted(a.keys() & b.keys()):
            by_task.setdefault(key[0], []).append(a[key].value - b[key].value)
        means = np.array([np.mean(each) for each in by_task.values()])
        within = sum(np.var(each) * len(each) for each in by_task.values()) / sum(len(each) - 1 for each in by_task.values())
        between = max(0.0, means.var(ddof=1) - within / np.mean([len(each) for each in by_task.values()]))
        assert (between**0.5, within**0.5) == pytest.approx((SCENARIOS[k].between, SCENARIOS[k].within), abs=0.001)
        widths = [a[key].high - a[key].low + b[key].high - b[key].low for key in a.keys() & b.keys()]
        assert np.mean(widths) == pytest.approx(SCENARIOS[k].bracket, abs=0.001)
        if k == 1:
            assert sorted(means) == pytest.approx(SCENARIOS[2].shape, abs=0.001)
