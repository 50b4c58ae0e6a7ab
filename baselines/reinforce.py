"""1-0 REINFORCE: learn from one's own successes, and from nothing else.

A_i = R_i in {0, 1} (Williams 1992 without a baseline): each success is made likelier, failures are dropped. RL's Razor (arXiv
2509.04259, section 6) uses it as the on-policy method without negative examples, to tell whether it is these or the on-policy
data that keep a policy near its base.
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
