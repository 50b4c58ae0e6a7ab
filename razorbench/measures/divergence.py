"""Action distributions and the divergences between them, per state, before clipping to the box; KL and Jensen-Shannon in nats.

Formulas are textbook closed forms for diagonal Gaussians and independent categoricals; forward KL is KL(pi_0 || pi), base policy first, as in
RL's Razor (arXiv 2509.04259, section 4). Total variation and Jensen-Shannon have no closed form over several dimensions and are estimated from
draws of both policies made of the same uniforms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from razorbench.policy.distributions import Distribution
from razorbench.types import FloatArray

MOVED = 0.3
"""Change of a greedy action above which it counts as moved, in action units: 15% of the box's width."""


def action_mse(p: Distribution, q: Distribution) -> FloatArray:
    """Return the squared distance of the greedy actions, mean over dimensions, (N,)."""
    return ((p.mode() - q.mode()) ** 2).mean(axis=1)


def moved(p: Distribution, q: Distribution) -> FloatArray:
    """Return 1 where the greedy actions, clipped to the box [-1, 1], are more than 0.3 apart in some dimension, else 0, (N,)."""
    gap = np.abs(np.clip(p.mode(), -1.0, 1.0) - np.clip(q.mode(), -1.0, 1.0))
    return (gap.max(axis=1) > MOVED).astype(float)


PER_STATE: dict[str, Callable[[Distribution, Distribution], FloatArray]] = {
    "kl_forward": lambda p, q: p.kl(q),
    "kl_reverse": lambda p, q: q.kl(p),
    "action_mse": action_mse,
    "moved": moved,
}
"""Per-state divergences (N,) of a policy q from its base p, by the record's key for their mean."""


def tv_and_js(p: Distribution, q: Distribution, u: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Estimate total variation and Jensen-Shannon divergence, (N,) each, from uniforms u (S, N, D) in (0, 1).

    With r = q/p: TV is the mean of E_p[max(0, 1 - r)] and E_q[max(0, 1 - 1/r)], which are equal; JS is the mean of E_p[ln(2 / (1 + r))] and
    E_q[ln(2 / (1 + 1/r))], at most ln 2.
    """
    tv, js = np.zeros(u.shape[1]), np.zeros(u.shape[1])
    for draws in u:
        for own, other in ((p, q), (q, p)):
            actions = own.sample(draws)
            log_ratio = other.log_prob(actions) - own.log_prob(actions)
            tv -= np.expm1(np.minimum(log_ratio, 0.0))
            js += np.log(2.0) - np.logaddexp(0.0, log_ratio)
    return tv / (2 * len(u)), js / (2 * len(u))
