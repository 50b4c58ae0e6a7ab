"""Closed forms against hand-worked numbers, Monte Carlo and known bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from razorbench.divergence import Gaussian
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


def test_monte_carlo():
    n = 400_000
    draws = Gaussian(np.repeat(P0.mean, n, axis=0), P0.log_std).sample(generator("kl").random((n, 2)))

    def log_density(g: Gaussian) -> np.ndarray:
        return (-0.5 * ((draws - g.mean) / np.exp(g.log_std)) ** 2 - g.log_std - 0.5 * np.log(2 * np.pi)).sum(axis=1)

    ratios = log_density(P0) - log_density(P)
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
