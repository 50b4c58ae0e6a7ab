"""Call of a method: counts its costs, checks its result, and restores the process afterwards."""

from __future__ import annotations

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import RazorbenchError
from razorbench.method.handle import TaskHandle
from razorbench.policy.network import clone
from razorbench.runs import process
from razorbench.runs.spec import RunSpec


def adapted(spec: RunSpec, policy: ActorCriticPolicy, handle: TaskHandle, rng: np.random.Generator) -> ActorCriticPolicy:
    """Adapt a policy with a run's method and return the tuned policy. Restores the process afterwards.

    Raises RazorbenchError if the method returns no policy, if weights changed without a report, or if the method changed the policy it was given.
    """
    base = clone(policy)
    handle.counts.reported(base.parameters())
    with process.lent(int(rng.integers(2**31))):
        with handle.counting():
            tuned = spec.method.adapt(policy, handle, spec.budget, rng)
        if not isinstance(tuned, ActorCriticPolicy):
            raise RazorbenchError(f"method={spec.method_name} returned {type(tuned).__name__}: `adapt` must return the tuned policy")
        handle.finish(base, tuned)
        if not all(map(torch.equal, base.parameters(), policy.parameters())):
            raise RazorbenchError(f"method={spec.method_name} changed the policy that it was given: `adapt` must train a copy, from razorbench.method.clone")
        return tuned.eval()
