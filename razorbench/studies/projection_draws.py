"""Random bandits for the projection study: bases from flat Dirichlet distributions, right answers at random, base success within bounds."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from scipy.spatial import ConvexHull

from razorbench.studies.bandits import Heads, Linear, product
from razorbench.types import BoolArray, FloatArray

Start = tuple[float, float]
"""Bounds on the success of the base."""
_Draw = tuple[FloatArray, BoolArray, FloatArray]
"""One bandit: base (Y,), right (Y,), and what the family needs beside them."""


def heads(rng: np.random.Generator, count: int, dimensions: int, values: int, start: Start) -> Heads:
    """Draw bandits with independent heads, tabular if dimensions = 1. Two or more answers are right: with one there is nothing to choose."""
    answers = np.array(list(itertools.product(range(values), repeat=dimensions)))

    def one() -> _Draw:
        marginals = rng.dirichlet(np.ones(values), dimensions)
        right = rng.permutation(len(answers)) < rng.integers(2, len(answers))
        return product(marginals[None], answers)[0], right, marginals

    _, right, marginals = _stack(one, count, start)
    return Heads.of(marginals, right)


def linear(rng: np.random.Generator, count: int, answers: int, features: int, start: Start) -> Linear:
    """Draw bandits with normal features whose right answers are the corners of a facet of the features' convex hull.

    It is the facet that stands out most: a wrong answer that nearly lies on it would all but join it.
    """

    def one() -> _Draw:
        phi = rng.standard_normal((answers, features))
        hull = ConvexHull(phi)
        depth = -(phi @ hull.equations[:, :-1].T + hull.equations[:, -1])
        nearest = np.sort(depth, axis=0)[features]
        return rng.dirichlet(np.ones(answers)), np.isin(np.arange(answers), hull.simplices[nearest.argmax()]), phi

    return Linear(*_stack(one, count, start))


def with_reward(bandits: Linear) -> Linear:
    """Return the same bandits with R as one more feature."""
    return Linear(bandits.base, bandits.right, np.concatenate([bandits.features, bandits.right[:, :, None]], axis=2))


def _stack(one: Callable[[], _Draw], count: int, start: Start) -> _Draw:
    """Draw until count bandits have a base within start, and stack them."""
    kept: list[_Draw] = []
    while len(kept) < count:
        base, right, other = one()
        if start[0] <= base[right].sum() <= start[1]:
            kept.append((base, right, other))
    base, right, other = zip(*kept, strict=True)
    return np.array(base), np.array(right), np.array(other)
