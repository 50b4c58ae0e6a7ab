"""The law's fits and their R2 against hand-worked numbers, known curves and the library that does one fit at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from razorbench.law import Points, Quadratic, Saturating, law, laws, left_out_r2, monotone, r2, resamples
from razorbench.seeding import generator


def points(runs, tasks=None):
    """One run per (method, [(x, y), ...])."""
    index = np.concatenate([np.full(len(pairs), k) for k, (_, pairs) in enumerate(runs)])
    x, y = np.array([pair for _, pairs in runs for pair in pairs], dtype=float).T
    methods = [method for method, _ in runs]
    return Points(index, x, y, np.zeros(len(x)), methods, methods, tasks or ["a"] * len(runs))


ONE = [("m", [(0, 0.0), (1, 0.10), (2, 0.25), (3, 0.30), (4, 0.50)])]
TWO = [("A", [(0, 0.0), (1, 0.1), (2, 0.2)]), ("B", [(0, 0.0), (1, 0.2), (2, 0.4)])]


def test_quadratic_by_hand():
    p = points(ONE)
    fit, one = Quadratic(p), np.ones(1)
    assert fit.coefficients(fit.fit(fit.totals(one))) == pytest.approx([0.004286, 0.091429, 0.007143], abs=1e-6)
    assert r2(fit, p, one) == pytest.approx(0.977799, abs=1e-6)
    assert fit.predict(np.array([2.0]), fit.fit(fit.totals(one))) == pytest.approx([0.004286 + 0.182857 + 0.028571], abs=1e-5)


def test_leave_one_method_out_by_hand():
    p = points(TWO)
    fit, one = Quadratic(p), np.ones(2)
    assert r2(fit, p, one) == pytest.approx(0.782609, abs=1e-6)
    assert left_out_r2(fit, p, p.family, one) == pytest.approx(0.130435, abs=1e-6)
    assert np.isnan(left_out_r2(fit, p, p.task, one))


def test_residuals_by_hand():
    """A straight line through both halves: A lies .05 below the fit on average, B as much above it."""
    found = law(points(TWO), generator("law"))
    assert found.residuals == pytest.approx({"A": -0.05, "B": 0.05}, abs=2e-3)
    assert found.task_left_out is None
    assert found.family_left_out.value == pytest.approx(0.130435, abs=5e-3)


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.5), (0.3, 0.02), (1.0, 4.0)])
def test_a_saturating_curve_is_found(a, b):
    x = np.array([0.0, 1, 2, 4, 8, 16])
    found = law(points([("m", list(zip(x, a * (1 - np.exp(-b * x)), strict=True))), ("n", [(3, a * (1 - np.exp(-3 * b)))])]), generator("law"))
    assert found.r2.value > 0.9995
    assert found.rate == pytest.approx(b, rel=0.04)
    assert found.amplitude == pytest.approx(a, rel=0.04)
    assert found.isotonic_r2 == pytest.approx(1.0)
    assert found.spearman == pytest.approx(1.0)


def test_the_saturating_fit_is_that_of_a_library():
    rng = generator("noisy")
    x = np.exp(rng.normal(size=40))
    y = 0.5 * (1 - np.exp(-0.7 * x)) + 0.05 * rng.normal(size=40)
    p = points([(f"m{k}", [(x[k], y[k])]) for k in range(40)])
    best, _ = curve_fit(lambda k, a, b: a * (1 - np.exp(-b * k)), x, y, p0=[0.5, 1.0])
    error = ((y - best[0] * (1 - np.exp(-best[1] * x))) ** 2).sum()
    fit, one = Saturating(p), np.ones(40)
    assert fit.squared_error(fit.totals(one), fit.fit(fit.totals(one))) == pytest.approx(error, rel=1e-3)
    assert ((y - fit.predict(x, fit.fit(fit.totals(one)))) ** 2).sum() == pytest.approx(float(fit.squared_error(fit.totals(one), fit.fit(fit.totals(one)))))


def test_a_resample_is_a_fit_to_the_runs_drawn():
    p, counts = points([*TWO, ("C", [(1, 0.3), (5, 0.4)])]), np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 2.0]])
    for kind in (Saturating, Quadratic):
        many = r2(kind(p), p, counts)
        for row, drawn in zip(many, counts, strict=True):
            again = [run for run, times in zip([*TWO, ("C", [(1, 0.3), (5, 0.4)])], drawn, strict=True) for _ in range(int(times))]
            alone = points(again)
            assert row == pytest.approx(float(r2(kind(alone), alone, np.ones(len(again)))), abs=2e-3)


def test_runs_weigh_the_same_whatever_their_snapshots():
    few, many = [("A", [(1, 0.1)]), ("B", [(2, 0.4)])], [("A", [(1, 0.1)] * 9), ("B", [(2, 0.4)])]
    for kind in (Saturating, Quadratic):
        first, second = (kind(points(each)) for each in (few, many))
        assert error(first) == pytest.approx(error(second))


def error(fit):
    totals = fit.totals(np.ones(2))
    return float(fit.squared_error(totals, fit.fit(totals)))


def test_monotone_and_ceiling_by_hand():
    x, y = np.array([0.0, 1, 2, 3]), np.array([0.0, 0.3, 0.2, 0.5])
    assert monotone(x, y, np.ones(4)) == pytest.approx([0.0, 0.25, 0.25, 0.5])
    assert monotone(np.array([0.0, 1, 1, 2]), np.array([0.0, 0.2, 0.1, 0.1]), np.ones(4)) == pytest.approx([0.0, 0.4 / 3, 0.4 / 3, 0.4 / 3])
    p = points([("m", list(zip(x, y, strict=True)))])
    found = law(Points(p.run, p.x, p.y, np.full(4, 0.13 / 16), p.method, p.family, p.task), generator("law"))
    assert found.isotonic_r2 == pytest.approx(0.961538, abs=1e-6)
    assert found.spearman == pytest.approx(0.8)
    assert found.ceiling == pytest.approx(0.75)


def test_where_forgetting_does_not_vary_there_is_no_law():
    found = law(points([("A", [(1, 0.0), (2, 0.0)]), ("B", [(1, 0.0)])]), generator("law"))
    assert (found.r2, found.isotonic_r2, found.spearman, found.ceiling) == (None, None, None, None)


def test_a_subset_keeps_its_runs():
    p = points([*TWO, ("C", [(9, 0.9)])], ["a", "b", "c"])
    kept = p.where((p.y > 0.05) & (p.y < 0.5))
    assert list(kept.method) == ["A", "B"]
    assert list(kept.task) == ["a", "b"]
    assert kept.x.tolist() == [1, 2, 1, 2]


def test_a_better_predictor_is_told_from_a_worse_one():
    rng = generator("rivals")
    truth = rng.random(60)
    good, bad = ([(f"m{k % 6}", [(x[k], truth[k])]) for k in range(60)] for x in (truth + 0.02 * rng.random(60), rng.random(60)))
    found = laws({"good": points(good), "bad": points(bad)}, "good", generator("law"))
    assert found["bad"].leads["r2"].low > 0.5
    same = found["good"].leads["family_left_out"]
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert found["bad"].r2 == law(points(bad), generator("law")).r2
    with pytest.raises(ValueError, match="not of the same runs"):
        laws({"good": points(good), "bad": points(TWO)}, "good", generator("law"))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.tuples(st.floats(0, 1e4), st.floats(-1, 1)), min_size=1, max_size=6), min_size=1, max_size=6))
def test_no_points_break_it(runs):
    p = points([(f"m{k}", pairs) for k, pairs in enumerate(runs)])
    one = np.ones(len(runs))
    for kind in (Saturating, Quadratic):
        value = float(r2(kind(p), p, one))
        assert np.isnan(value) or value <= 1.0 + 1e-6
    assert resamples(len(runs), generator("x")).sum(axis=1).tolist() == [len(runs)] * 10_000


def study(rng, runs):
    """Runs of five families on six tasks, each with an effect of its own, and of a predictor with a rival that is as good but for a factor per run."""
    cell = np.concatenate([rng.permutation(30) for _ in range(-(-runs // 30))])[:runs]
    family, task = np.divmod(cell, 6)
    x = np.exp(0.5 * rng.normal(size=runs))[:, None] * np.geomspace(0.05, 5, 12)
    strength = 0.6 * np.array([0.7, 1.3, 1.0, 0.8, 1.2])[family] * np.array([0.8, 1.2, 1.0, 1.1, 0.9, 1.0])[task] * np.exp(0.25 * rng.normal(size=runs))
    y = strength[:, None] * (1 - np.exp(-0.6 * x)) + 0.02 * rng.normal(size=x.shape)
    both = (x, x * np.exp(0.6 * rng.normal(size=runs))[:, None])
    names = [str(k) for k in family]
    return [Points(np.repeat(np.arange(runs), 12), each.ravel(), y.ravel(), np.zeros(y.size), names, names, [str(k) for k in task]) for each in both]


@pytest.mark.slow
@pytest.mark.parametrize("runs", [10, 18, 60])
def test_the_intervals_that_verdicts_use_cover_the_truth(runs, monkeypatch):
    """2 000 simulated studies; the truth is a study of 6 000 runs.

    At 60 runs the interval of the left-out R2 is a little wide: 97.2% over 12 000 studies. Runs drawn within families would give 95% there, but 78% at
    10 runs. Intervals of the in-sample R2 cover less (72 to 90%), so no verdict uses them.
    """
    monkeypatch.setattr("razorbench.law.RESAMPLES", 1000)
    first, second = study(generator("truth"), 6000)
    whole = np.ones((1, 6000))
    of = [left_out_r2(Saturating(each), each, each.family, whole)[0] for each in (first, second)]
    truth = np.array([of[0], of[0] - of[1]])
    rng, resampling, inside = generator("coverage of the law", runs), generator("resamples of the law", runs), np.zeros(2)
    for _ in range(2000):
        found = laws(dict(zip(("own", "rival"), study(rng, runs), strict=True)), "own", resampling)
        intervals = found["own"].family_left_out, found["rival"].leads["family_left_out"]
        inside += [each.low <= true <= each.high for each, true in zip(intervals, truth, strict=True)]
    assert (0.93 <= inside / 2000).all(), inside
    assert (inside / 2000 <= 0.98).all(), inside
