"""GRPO: advantages relative to a group of episodes from the same start, without a critic.

A_i = R_i - mean of R over the K episodes from i's start (Shao et al., arXiv 2402.03300, without the division by the group's standard
deviation and by the episode's length, which Dr. GRPO, arXiv 2503.20783, shows to be biased). No KL term. This is the RL arm of
RL's Razor (arXiv 2509.04259, appendix B). A group whose episodes all succeed or all fail has no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from razorbench.baselines.policy_gradient import PolicyGradient
from razorbench.types import BoolArray, FloatArray


@dataclass(frozen=True)
class GRPO(PolicyGradient):
    """Hyper-parameters; see `PolicyGradient`."""

    learning_rate: float = 3e-5
    """Adam's learning rate, constant; chosen by the search."""
    episodes_per_start: int = 8
    """K, the group size: with a success rate of 0.1, over half of the groups have both outcomes."""

    def group_size(self) -> int:
        """Return K."""
        return self.episodes_per_start

    def advantages(self, success: BoolArray) -> FloatArray:
        """Return reward minus the group's mean; sums to zero in each group."""
        reward = success.astype(np.float64)
        return reward - reward.mean(axis=1, keepdims=True)
