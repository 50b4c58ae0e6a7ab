"""1-0 REINFORCE: train on the policy's own successes only.

A_i = R_i in {0, 1} (Williams 1992 without a baseline): it raises the likelihood of successes and drops failures. RL's Razor (arXiv 2509.04259, section 6)
uses it as the on-policy method without negative examples, to separate their effect from that of on-policy data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from razorbench.baselines.policy_gradient import PolicyGradient
from razorbench.types import BoolArray, FloatArray


@dataclass(frozen=True)
class Reinforce(PolicyGradient):
    """Hyper-parameters; see `PolicyGradient`."""

    def advantages(self, success: BoolArray) -> FloatArray:
        """Return 1 for a success and 0 for a failure."""
        return success.astype(np.float64)
