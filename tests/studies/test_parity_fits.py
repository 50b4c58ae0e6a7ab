"""The parity study's fits and their statistics, by hand."""

import numpy as np
from conftest import close

from razorbench.studies.parity import law
from razorbench.studies.parity.law import Sweep, fit, matched, moments, over_bases, r2, resamples, rising, solve


def test_a_parabola_and_its_r2_by_hand():
    total = moments(np.arange(5.0), np.array([0, 0.1, 0.25, 0.3, 0.5]))
    close(solve(total), [0.004286, 0.091429, 0.007143])
    close(r2(total), 0.977799)
    assert np.isnan(r2(moments(np.arange(5.0), np.zeros(5))))


def test_one_method_from_the_others_by_hand():
    x = np.array([[[[0.0, 1, 2]], [[0, 1, 2]]]])
    y = np.array([[[[0.0, 0.1, 0.2]], [[0, 0.2, 0.4]]]])
    found = fit(x, y, resamples(1, 2, 1, np.random.default_rng(0)))
    close(found.r2.value, 0.782609)
    close(found.parabola_unseen, [0.130435])
    close(found.monotone_unseen, [0.130435])
    close(found.residuals, [-0.05, 0.05])
    close(found.coefficients, [0, 0.15, 0])
    for nothing in ((np.ones_like(x), y), (x, np.ones_like(x)), (np.full_like(x, np.inf), y)):
        assert fit(*nothing, resamples(1, 2, 1, np.random.default_rng(0))) is None


def test_a_fit_that_turns_over_says_where():
    x = np.linspace(0, 5, 6).reshape(1, 2, 1, 3)
    found = fit(x, 3 * x - x**2 / 2, resamples(1, 2, 1, np.random.default_rng(0)))
    close(found.turning_point(), 3.0)
    close(found.parabola, [1.0])


def test_the_bootstrap_draws_whole_runs_within_seeds_and_methods():
    counts = resamples(2, 3, 5, np.random.default_rng(0))
    assert counts.shape == (law.RESAMPLES, 2, 3, 5)
    assert (counts.sum(axis=3) == 5).all()


def test_the_rising_function_by_hand():
    x, y = np.arange(4.0), np.array([0, 0.3, 0.2, 0.5])
    close(rising(x, y, x), [0, 0.25, 0.25, 0.5])
    close(rising(x, y, np.array([-1.0, 2.5, 9.0])), [0, 0.375, 0.5])
    close(rising(np.array([1.0, 1, 2]), np.array([0.0, 0.4, 0.3]), np.array([1.0, 2.0])), [0.2, 0.3])


def test_a_mean_over_bases_leaves_out_those_where_it_is_undefined():
    found = over_bases(np.array([0.1, 0.3, np.nan, 0.05, 0.25, 0.15]))
    close([found.value, found.low, found.high], [0.17, 0.041262, 0.298738])
    assert over_bases(np.array([0.1, np.nan])) is None


def test_matching_chooses_on_select_and_measures_on_test():
    values = {
        "select_parity": [[[[0.8, 0.95, 0.96]], [[0.7, 0.8, 0.85]]], [[[0.95, 0.95, 0.95]], [[0.9, 0.9, 0.9]]]],
        "select_old": [[[[0.9, 0.6, 0.7]], [[0.9, 0.9, 0.9]]], [[[0.1, 0.2, 0.3]], [[0.5, 0.5, 0.5]]]],
        "old": [[[[0.9, 0.8, 0.5]], [[0.9, 0.9, 0.9]]], [[[0.1, 0.2, 0.3]], [[0.5, 0.5, 0.5]]]],
    }
    sweep = Sweep(
        values={name: np.array(value) for name, value in values.items()},
        base={"select_parity": np.array([0.5, 0.92])},
        seeds=(0, 1),
        methods=("grpo", "sft_1"),
        rates=np.ones(1),
        schedules=("constant",),
        epochs=np.ones(1, dtype=int),
        updates=np.ones((1, 3), dtype=int),
    )
    np.testing.assert_array_equal(matched(sweep, 0.9)["old"], [[0.5, np.nan], [np.nan, np.nan]])
