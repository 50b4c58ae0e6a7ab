"""Bandits worked by hand, what theory says of random ones, and the study that measures the rest."""

import json
from dataclasses import asdict
from importlib.resources import files
from io import BytesIO
from itertools import islice

import numpy as np
import pytest
import yaml
from scipy.optimize import minimize

from razorbench.errors import UsageError
from razorbench.seeding import generator
from razorbench.store.estimate import Estimate
from razorbench.studies.findings import cells, shown
from razorbench.studies.projection import cases
from razorbench.studies.projection.bandits import Heads, Linear, kl, plain, total_variation
from razorbench.studies.projection.study import Projection

FAILURES = (0.1, 1e-2, 1e-4, 1e-6)
START = (0.05, 0.5)
SMALL = Projection(
    bandits=8,
    tabular=(4,),
    linear=((6, 2),),
    heads=((2, 2),),
    failures=(0.3, 1e-2, 1e-6),
    iterations=2000,
    rates=(1.0,),
    rate_failures=(0.1, 1e-3),
    rate_steps=100,
)


def drawn(family, count=40):
    rng = generator("test", family)
    match family:
        case "tabular":
            return cases.heads(rng, count, 1, 6, START)
        case "heads":
            return cases.heads(rng, count, 2, 3, START)
        case "linear":
            return cases.linear(rng, count, 7, 2, START)
        case "with_r":
            return cases.with_reward(cases.linear(rng, count, 7, 2, START))


def iterate(walk, step):
    return next(islice(walk, step, None))


# Worked by hand


def test_closed_form():
    bandits = Heads.of(np.array([[[0.5, 0.3, 0.2]]]), np.array([[True, False, True]]))
    assert bandits.minimal()[0] == pytest.approx((0.714286, 0, 0.285714), abs=1e-6)
    assert kl(bandits.minimal(), bandits.base) == pytest.approx(0.356675, abs=1e-6)
    assert np.isinf(kl(bandits.base, bandits.minimal()))


def test_tabular_projections_and_natural_gradient_end_at_q_star():
    bandits = cases.worked_tabular()
    assert bandits.policy_gradient(bandits.base)[0] == pytest.approx((0.10, 0.06, -0.16), abs=1e-12)
    assert (bandits.i_step(bandits.base) - bandits.base)[0] == pytest.approx((0.125, 0.075, -0.2), abs=1e-12)
    assert iterate(bandits.em(), 1)[0] == pytest.approx((0.625, 0.375, 0), abs=1e-12)
    assert kl(bandits.minimal(), bandits.base) == pytest.approx(0.223144, abs=1e-6)
    for policies in (bandits.flow(bandits.natural, (1e-8,)), bandits.first(bandits.ascent(bandits.natural, 0.5), (1e-8,), 100)[0]):
        assert policies[0, 0] == pytest.approx((0.625, 0.375, 0), abs=1e-7)


def test_softmax_gradient_drifts():
    bandits = cases.worked_tabular()
    policies, steps = bandits.first(bandits.ascent(plain, 0.1), (0.1, 0.01, 0.001, 0.0001), 60_000)
    assert steps[:, 0].tolist() == [44, 628, 5721, 53017]
    assert bandits.i_step(policies)[:, 0, 0] == pytest.approx((0.659397, 0.789393, 0.904385, 0.965068), abs=1e-6)
    errors = [-np.log(bandits.success(policy)[0]) for policy in islice(bandits.ascent(plain, 0.1), 1000)]
    assert sum(errors[:100]) == pytest.approx(11.1, abs=0.05)
    assert sum(errors) == pytest.approx(25.6, abs=0.05)


def test_softmax_gradient_ends_at_the_likeliest_right_answer():
    bandits = cases.worked_tabular()
    near, end = bandits.flow(plain, (1e-8, 1e-10))
    assert kl(end, bandits.base) == pytest.approx(0.693147, abs=1e-3)
    # With one wrong answer the other right one's share falls as the square root of 1 - J.
    assert near[0, 1] / end[0, 1] == pytest.approx(10, rel=1e-2)


def test_one_parameter_m_step_matches_moments():
    phi = np.array([[[0.0], [1.0], [2.0], [3.0]]])
    bandits = Linear(np.array([[0.4, 0.3, 0.2, 0.1]]), np.array([[False, False, True, True]]), phi)
    assert bandits.moments(bandits.i_step(bandits.base))[0, 0] == pytest.approx(2.333333, abs=1e-6)
    _, first, second = islice(bandits.em(), 3)
    assert first[0] == pytest.approx((0.043714, 0.120394, 0.294736, 0.541156), abs=1e-6)
    assert bandits.success(first) == pytest.approx(0.835892, abs=1e-6)
    assert bandits.moments(bandits.i_step(first))[0, 0] == pytest.approx(2.647400, abs=1e-6)
    for policy, theta in ((first, 1.300775), (second, 1.875706)):
        assert np.log(policy[0, 3] / policy[0, 0] / 0.25) / 3 == pytest.approx(theta, abs=1e-6)


def test_factorised_heads_are_a_counter_example():
    bandits = cases.worked_heads()
    _, first, second = islice(bandits.em(), 3)
    assert bandits.moments(first)[0] == pytest.approx((0.833333, 0.166667, 0.583333, 0.416667), abs=1e-6)
    assert bandits.success(first) == pytest.approx(0.902778, abs=1e-6)
    assert bandits.moments(second)[0] == pytest.approx((0.923077, 0.076923, 0.538462, 0.461538), abs=1e-6)
    for end in (iterate(bandits.em(), 40), bandits.flow(bandits.natural, (1e-9,))[0]):
        assert bandits.moments(end)[0] == pytest.approx((1, 0, 0.5, 0.5), abs=1e-6)
        assert kl(end, bandits.base) == pytest.approx(0.598002, abs=1e-6)
    assert bandits.moments(bandits.minimal())[0] == pytest.approx((1, 0, 0.7, 0.3), abs=1e-12)
    assert kl(bandits.minimal(), bandits.base) == pytest.approx(0.510826, abs=1e-6)
    # Softmax gradient goes on to the single pair (first, second), at KL -ln .18.
    assert kl(bandits.flow(plain, (1e-10,))[0], bandits.base) == pytest.approx(1.714798, abs=2e-3)


def test_heads_that_must_agree_go_to_the_nearer_corner():
    bandits = cases.worked_corners()
    for policy, second in zip(islice(bandits.em(), 1, 5), (0.608696, 0.707581, 0.854125, 0.971658), strict=True):
        assert bandits.moments(policy)[0, [1, 3]] == pytest.approx((second, second), abs=1e-6)
    assert kl(iterate(bandits.em(), 10), bandits.base) == pytest.approx(1.272966, abs=1e-6)
    assert kl(bandits.minimal(), bandits.base) == pytest.approx(1.272966, abs=1e-6)
    assert -np.log(bandits.base[0, 0]) == pytest.approx(1.714798, abs=1e-6)


# Random bandits


@pytest.mark.parametrize("family", ["tabular", "heads", "linear", "with_r"])
def test_gradients_are_those_of_success_and_of_the_m_step(family):
    bandits = drawn(family)
    theta = generator("test", "direction").standard_normal((40, bandits.features.shape[-1]))
    step, q = 1e-5, bandits.i_step(bandits.base)
    up, down = bandits.tilt(bandits.base, step * theta), bandits.tilt(bandits.base, -step * theta)
    along = (bandits.policy_gradient(bandits.base) * theta).sum(axis=1)
    assert (bandits.success(up) - bandits.success(down)) / (2 * step) == pytest.approx(along, abs=1e-8)
    assert bandits.success(bandits.base) * (kl(q, down) - kl(q, up)) / (2 * step) == pytest.approx(along, abs=1e-8)


@pytest.mark.parametrize("family", ["tabular", "heads", "linear", "with_r"])
def test_natural_gradient_solves_for_the_fisher_information(family):
    bandits = drawn(family)
    gradient = bandits.policy_gradient(bandits.base)
    phi = np.broadcast_to(bandits.features, (*bandits.base.shape, bandits.features.shape[-1]))
    phi = phi - bandits.moments(bandits.base)[:, None]
    fisher = np.einsum("ny,nyf,nyg->nfg", bandits.base, phi, phi)
    assert np.einsum("nfg,ng->nf", fisher, bandits.natural(bandits.base, gradient)) == pytest.approx(gradient, abs=1e-10)


@pytest.mark.parametrize("family", ["heads", "linear"])
def test_the_m_step_is_the_nearest_member(family):
    bandits = drawn(family, 5)
    target = generator("test", "target").dirichlet(np.ones(bandits.base.shape[1]), 5)
    least = kl(target, bandits.m_step(bandits.base, target))
    for n in range(5):

        def distance(theta, n=n):
            return kl(target, bandits.tilt(bandits.base, np.tile(theta, (5, 1))))[n]

        assert minimize(distance, np.zeros(bandits.features.shape[-1])).fun == pytest.approx(least[n], abs=1e-6)


@pytest.mark.parametrize("family", ["tabular", "linear", "with_r"])
def test_one_m_step_is_exact_where_q_star_is_a_limit_of_members(family):
    bandits = drawn(family)
    assert total_variation(iterate(bandits.em(), 1), bandits.minimal()).max() <= 1e-6


@pytest.mark.parametrize("family", ["tabular", "with_r"])
@pytest.mark.parametrize("rate", [0.3, 4.0])
def test_natural_gradient_is_exact_where_the_features_span_the_reward(family, rate):
    bandits = drawn(family)
    for policies in (bandits.flow(bandits.natural, FAILURES), bandits.first(bandits.ascent(bandits.natural, rate), FAILURES, 200)[0]):
        assert total_variation(bandits.i_step(policies), bandits.minimal()).max() <= 1e-6
        assert kl(policies, bandits.base) == pytest.approx(bandits.least_kl(policies), abs=1e-6)


def test_natural_gradient_is_not_exact_without_the_reward_among_the_features():
    bandits = drawn("linear")
    assert np.median(total_variation(bandits.i_step(bandits.flow(bandits.natural, (1e-6,))), bandits.minimal())) > 0.01


@pytest.mark.parametrize("family", ["tabular", "heads", "linear", "with_r"])
def test_no_update_beats_the_least_kl_and_flows_meet_their_clock(family):
    bandits = drawn(family)
    for way in (bandits.natural, plain):
        policies = bandits.flow(way, FAILURES)
        assert bandits.failure(policies) == pytest.approx(np.tile(np.array(FAILURES)[:, None], 40), rel=1e-5)
        assert (kl(policies, bandits.base) >= bandits.least_kl(policies) - 1e-9).all()


@pytest.mark.parametrize("family", ["tabular", "heads", "linear", "with_r"])
def test_projections_never_lose_success(family):
    bandits = drawn(family)
    success = np.array([bandits.success(policy) for policy in islice(bandits.em(), 20)])
    assert (np.diff(success, axis=0) >= -1e-9).all()


def test_projections_are_exact_on_heads_whose_right_answers_are_a_product():
    right = np.outer([True, True, False], [True, False, True]).ravel()[None]
    bandits = Heads.of(generator("test", "product").dirichlet(np.ones(3), (1, 2)), right)
    assert iterate(bandits.em(), 1) == pytest.approx(bandits.minimal(), abs=1e-12)


def test_the_minimal_member_of_heads_is_no_worse_than_any_product_inside_the_right_answers():
    bandits = drawn("heads")
    least = kl(bandits.minimal(), bandits.base)
    assert bandits.success(bandits.minimal()) == pytest.approx(np.ones(40), abs=1e-12)
    assert (least <= -np.log((bandits.base * bandits.right).max(axis=1)) + 1e-12).all()
    for policies in (bandits.first(bandits.em(), (1e-9,), 20_000)[0][0], bandits.flow(bandits.natural, (1e-9,))[0]):
        assert (kl(policies, bandits.base) >= least - 1e-3).all()


def test_draws_keep_their_promises():
    for family in ("tabular", "heads", "linear"):
        bandits = drawn(family)
        success = bandits.success(bandits.base)
        assert ((success >= START[0]) & (success <= START[1])).all()
        assert (bandits.right.sum(axis=1) >= 2).all() and (~bandits.right).any(axis=1).all()
    reward = cases.with_reward(drawn("linear"))
    assert np.array_equal(reward.features[:, :, -1], reward.right)


# The study


@pytest.fixture(scope="module")
def findings():
    return SMALL.run(lambda _: None)


def test_the_study_finds_what_theory_says(findings):
    assert all(row["holds"] and row["largest"] <= 1e-6 for row in findings.tables["agreement"])
    assert {row["reached"] for row in findings.tables["distance"]} == {8}
    last = {(row["family"], row["update"]): row for row in findings.tables["distance"] if row["failure"] == 1e-6}
    assert last[cases.TABULAR, cases.EM]["off_max"] <= 1e-6
    assert last[cases.TABULAR, cases.PLAIN]["excess_kl_low"] > 0
    assert findings.tables["rates"][-1]["steps"] is None
    assert "| tabular | exact | exact | stays off |" in findings.text
    assert "not reached" in findings.text and "nan" not in findings.text


def test_the_findings_can_be_stored(findings):
    for rows in findings.tables.values():
        assert {tuple(row) for row in rows} == {tuple(rows[0])}
        assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert set(findings.figures) == {"paths", "along", "ends"}
    for name, figure in findings.figures.items():
        figure.savefig(BytesIO(), dpi=30)
        assert f"({name}.png)" in findings.text


def test_the_same_settings_give_the_same_findings(findings):
    told = []
    again = SMALL.run(told.append)
    assert again.text == findings.text
    assert again.tables == findings.tables
    assert len(told) == 5


def test_an_update_that_comes_too_late_is_undefined():
    findings = Projection(**(asdict(SMALL) | {"iterations": 3})).run(lambda _: None)
    late = [row for row in findings.tables["distance"] if row["family"] == cases.HEADS and row["update"] == cases.EM and row["failure"] == 1e-6]
    assert late[0]["reached"] < 8
    assert "not there yet" in findings.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"failures": (0.6, 0.01, 1e-6)}, "below 0.5"),
        ({"failures": (1e-6, 0.01)}, "descending order"),
        ({"shown": (0.2,)}, "not among failures"),
        ({"bandits": 1}, "bandits is 1: it must be 2 or more"),
        ({"tabular": ()}, "one or more numbers, each 3 or more"),
        ({"tabular": ("x",)}, r'tabular is \["x"\]'),
        ({"tolerance": 0.0}, "from 1e-12 to 1"),
        ({"linear": ((9,),)}, "pairs"),
        ({"linear": ((2, 9),)}, "fewer"),
        ({"heads": ((5, 5),)}, "too many"),
        ({"start": (0.5, 0.05)}, "a lowest and a highest"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        Projection(**settings)


def test_an_estimate_as_cells_of_a_row():
    row = cells("gap", Estimate(0.5, 0.25, 0.75)) | cells("same", None)
    assert row == {"gap": 0.5, "gap_low": 0.25, "gap_high": 0.75, "same": None, "same_low": None, "same_high": None}
    assert (shown(row, "gap"), shown(row, "same")) == ("0.500 [0.250, 0.750]", "undefined")


def test_the_configuration_states_the_defaults():
    settings = yaml.safe_load((files("razorbench.conf") / "study" / "projection.yaml").read_text(encoding="utf-8"))
    assert settings.pop("_target_") == "razorbench.studies.projection.study.Projection"
    assert json.loads(json.dumps(asdict(Projection()))) == settings
