"""The bandits of the projection study: three worked by hand, and random ones with bases from flat Dirichlet distributions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial import ConvexHull

from razorbench.studies.projection.bandits import Heads, Linear, product
from razorbench.types import BoolArray, FloatArray

EM, NATURAL, PLAIN = UPDATES = ("alternating projections", "natural gradient", "softmax gradient")
TABULAR, WITH_R, LINEAR, HEADS = FAMILIES = ("tabular", "linear, with R", "linear", "independent heads")

_Draw = tuple[FloatArray, BoolArray, FloatArray]
"""One bandit: base (Y,), right (Y,), and the family's own data."""


def worked_tabular() -> Heads:
    """Return three answers, pi_0 = (.5, .3, .2), the first two right: q* = (.625, .375, 0)."""
    return Heads.of(np.array([[[0.5, 0.3, 0.2]]]), np.array([[True, True, False]]))


def worked_heads() -> Heads:
    """Return two binary heads, pi_0 = (.6, .4) x (.7, .3), all pairs right but (second, first): the minimal member is (1, 0) x (.7, .3)."""
    return Heads.of(np.array([[[0.6, 0.4], [0.7, 0.3]]]), np.array([[True, True, False, True]]))


def worked_corners() -> Heads:
    """Return two binary heads, pi_0 = (.3, .7) x (.6, .4), right if both are equal: the minimal member is (0, 1) x (0, 1)."""
    return Heads.of(np.array([[[0.3, 0.7], [0.6, 0.4]]]), np.array([[True, False, False, True]]))


def heads(rng: np.random.Generator, count: int, dimensions: int, values: int, start: Sequence[float]) -> Heads:
    """Draw bandits with independent heads, tabular if dimensions = 1. At least two answers are right, since one would leave no choice."""
    answers = np.array(list(itertools.product(range(values), repeat=dimensions)))

    def draw() -> _Draw:
        marginals = rng.dirichlet(np.ones(values), dimensions)
        right = rng.permutation(len(answers)) < rng.integers(2, len(answers))
        return product(marginals[None], answers)[0], right, marginals

    _, right, marginals = _stack(draw, count, start)
    return Heads.of(marginals, right)


def linear(rng: np.random.Generator, count: int, answers: int, features: int, start: Sequence[float]) -> Linear:
    """Draw bandits with normal features whose right answers are the corners of a facet of the features' convex hull.

    It is the facet with the largest distance to the other answers: a wrong answer near the facet would almost belong to it.
    """

    def draw() -> _Draw:
        phi = rng.standard_normal((answers, features))
        hull = ConvexHull(phi)
        depth = -(phi @ hull.equations[:, :-1].T + hull.equations[:, -1])
        nearest = np.sort(depth, axis=0)[features]
        return rng.dirichlet(np.ones(answers)), np.isin(np.arange(answers), hull.simplices[nearest.argmax()]), phi

    return Linear(*_stack(draw, count, start))


def with_reward(bandits: Linear) -> Linear:
    """Return the same bandits with R as an additional feature."""
    return Linear(bandits.base, bandits.right, np.concatenate([bandits.features, bandits.right[:, :, None]], axis=2))


def _stack(draw: Callable[[], _Draw], count: int, start: Sequence[float]) -> _Draw:
    """Draw until count bandits have a base whose success lies within start, and stack them."""
    bandits: list[_Draw] = []
    while len(bandits) < count:
        base, right, data = draw()
        if start[0] <= base[right].sum() <= start[1]:
            bandits.append((base, right, data))
    bases, rights, stacked = zip(*bandits, strict=True)
    return np.array(bases), np.array(rights), np.array(stacked)
