"""Closed forms against hand-worked numbers, Monte Carlo and known bounds."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from razorbench.measures.divergence import action_mse, moved, tv_and_js
from razorbench.policy.distributions import Categorical, Gaussian
from razorbench.seeding import generator

P0 = Gaussian(np.array([[0.0, 0.0]]), np.log([1.0, 0.5]))
P = Gaussian(np.array([[0.5, -0.2]]), np.log([0.8, 0.6]))


def test_hand_worked_numbers():
    assert P0.kl(P)[0] == pytest.approx(0.338518, abs=1e-6)
    assert P0.kl_mean_part(P)[0] == pytest.approx(0.250868, abs=1e-6)
    assert P0.kl_variance_part(P)[0] == pytest.approx(0.087650, abs=1e-6)
    assert P0.kl_common_sigma(P)[0] == pytest.approx(0.205000, abs=1e-6)
    assert P.kl(P0)[0] == pytest.approx(0.285822, abs=1e-6)


@pytest.mark.parametrize(
    ("sigma", "forward", "reverse"), [(1.0, 0.005, 0.005), (0.5, 0.826853, 0.323147), (0.1, 47.697415, 1.812585), (0.01, 5044.894830, 4.110220)]
)
def test_sigma_collapse_moves_forward_kl_and_not_the_common_sigma_version(sigma, forward, reverse):
    base, tuned = Gaussian(np.zeros((1, 1)), np.zeros(1)), Gaussian(np.full((1, 1), 0.1), np.log([sigma]))
    assert base.kl(tuned)[0] == pytest.approx(forward, abs=1e-6)
    assert tuned.kl(base)[0] == pytest.approx(reverse, abs=1e-6)
    assert base.kl_common_sigma(tuned)[0] == pytest.approx(0.005)


def estimates(p, q, name, draws):
    """Total variation and Jensen-Shannon of one state's distributions, from so many draws of each, four in each of equal states."""
    states = {Gaussian: "mean", Categorical: "log_probs"}[type(p)]
    many = [dataclasses.replace(each, **{states: np.repeat(getattr(each, states), draws // 4, axis=0)}) for each in (p, q)]
    return [values.mean() for values in tv_and_js(*many, generator(name).random((4, draws // 4, p.mode().shape[1])))]


def test_rivals_of_gaussians_by_hand():
    """TV and JS are those of two-dimensional quadrature; TV with one sigma is 2 Phi(delta / 2) - 1, delta^2 = .41."""
    tv, js = estimates(P0, P, "rivals", 200_000)
    assert tv == pytest.approx(0.271335, abs=0.002)
    assert js == pytest.approx(0.068249, abs=0.001)
    assert estimates(P0, Gaussian(P.mean, P0.log_std), "rivals", 200_000)[0] == pytest.approx(0.251150, abs=0.002)
    assert P0.w2_squared(P)[0] == pytest.approx(0.34)
    assert action_mse(P0, P)[0] == pytest.approx(0.145)
    assert P0.log_prob(P.mean)[0] == pytest.approx(-1.349730, abs=1e-6)


def test_moved_by_hand():
    """Of four states one moves by .31, one by .29; one only beyond the box, and one in its second dimension."""
    before = Gaussian(np.array([[0.0, 0.0], [0.0, 0.0], [1.1, 0.0], [0.0, -0.5]]), np.zeros(2))
    after = Gaussian(np.array([[0.31, 0.0], [0.29, -0.29], [2.0, 0.0], [0.0, 0.5]]), np.zeros(2))
    assert moved(before, after).tolist() == [1.0, 0.0, 0.0, 1.0]
    assert moved(before, before).sum() == 0.0


def categorical(*probabilities, centres=(0.0, 1.0, 2.0)):
    return Categorical(np.log(np.array([probabilities])), np.array(centres))


def test_rivals_of_tokens_by_hand():
    p, q = categorical((0.5, 0.3, 0.2)), categorical((0.2, 0.5, 0.3))
    assert p.kl(q)[0] == pytest.approx(0.223805, abs=1e-6)
    assert q.kl(p)[0] == pytest.approx(0.193794, abs=1e-6)
    assert np.sqrt(p.w2_squared(q)[0]) == pytest.approx(0.632456, abs=1e-6)
    tv, js = estimates(p, q, "tokens", 200_000)
    assert tv == pytest.approx(0.3, abs=0.002)
    assert js == pytest.approx(0.050875, abs=0.001)
    # Two dimensions: .5 -> .8 and .5 -> .9. Joint p is .25 each, q is .72, .08, .18, .02; W2^2 adds up to .3 + .4, MSE is 0.
    p, q = categorical((0.5, 0.5), (0.5, 0.5), centres=(0.0, 1.0)), categorical((0.8, 0.2), (0.9, 0.1), centres=(0.0, 1.0))
    assert q.log_prob(np.array([[0.0, 1.0]]))[0] == pytest.approx(np.log(0.08))
    assert estimates(p, q, "joint", 200_000)[0] == pytest.approx(0.47, abs=0.002)
    assert p.w2_squared(q)[0] == pytest.approx(0.7)
    assert action_mse(p, categorical((0.2, 0.8), (0.9, 0.1), centres=(0.0, 1.0)))[0] == pytest.approx(0.5)


def test_w2_of_tokens_is_the_transport_of_sorted_draws():
    rng = generator("w2")
    centres = np.linspace(-1, 1, 41)
    p, q = (Categorical(np.log(rng.dirichlet(np.full(41, 0.3), size=(1, 1)) + 1e-300), centres) for _ in range(2))
    levels = ((np.arange(200_000) + 0.5) / 200_000)[:, None]
    x, y = (each.sample(np.repeat(levels, 1, axis=1)) for each in (p, q))
    assert p.w2_squared(q)[0] == pytest.approx(((x - y) ** 2).mean(), rel=1e-3)


def test_monte_carlo():
    n = 400_000
    draws = Gaussian(np.repeat(P0.mean, n, axis=0), P0.log_std).sample(generator("kl").random((n, 2)))
    ratios = P0.log_prob(draws) - P.log_prob(draws)
    assert ratios.mean() == pytest.approx(P0.kl(P)[0], abs=4 * ratios.std() / np.sqrt(n))


gaussians = st.builds(
    lambda mean, log_std: Gaussian(np.array([mean]), np.array(log_std)),
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
    st.lists(st.floats(-3, 1), min_size=4, max_size=4),
)


@settings(deadline=None)
@given(gaussians, gaussians)
def test_kl_is_not_negative_zero_on_itself_and_the_sum_of_its_parts(p, q):
    assert p.kl(q)[0] >= -1e-9
    assert p.kl(p)[0] == pytest.approx(0.0, abs=1e-12)
    assert p.kl(q)[0] == pytest.approx(p.kl_mean_part(q)[0] + p.kl_variance_part(q)[0])


@settings(deadline=None)
@given(gaussians, gaussians)
def test_rivals_keep_their_bounds(p, q):
    """Pinsker and Bretagnolle-Huber; JS at most ln 2 and at most a quarter of Jeffreys; a draw's error allowed for."""
    tv, js = estimates(p, q, "bounds", 2000)
    forward, reverse = p.kl(q)[0], q.kl(p)[0]
    assert 0.0 <= tv <= min(np.sqrt(forward / 2), np.sqrt(1 - np.exp(-forward))) + 0.06
    assert -0.02 <= js <= min(np.log(2.0), (forward + reverse) / 4) + 0.04
    assert estimates(p, p, "bounds", 2000) == [0.0, 0.0]
    assert estimates(q, p, "bounds", 2000)[0] == pytest.approx(tv)
    assert q.w2_squared(p)[0] == pytest.approx(p.w2_squared(q)[0])
