"""My policy: greedy actions hold still, sampled actions are small noise."""

from __future__ import annotations

import numpy as np

from razorbench.types import FloatArray


class Still:
    """Any class with `act` can be scored; one with `distribution` also gets KL."""

    def act(self, observations: FloatArray, noise: FloatArray | None) -> FloatArray:
        """Return actions (N, 4) in [-1, 1]. observations: (N, 72); noise: (N, 4), standard normal, or None for the greedy actions."""
        return np.zeros((len(observations), 4)) if noise is None else 0.1 * noise
