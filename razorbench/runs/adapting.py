"""Letting a method work: in a process that is as before afterwards, with its costs counted and its result looked at."""

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
    """Let a run's method adapt a policy, and return what it made of it; the process is as before afterwards.

    Raises RazorbenchError if that is no policy, if it changed without a word, or if the policy that it began with was changed.
    """
    before = clone(policy)
    handle.counts.reported(before.parameters())
    with process.lent(int(rng.integers(2**31))):
        with handle.counting():
            tuned = spec.method.adapt(policy, handle, spec.budget, rng)
        if not isinstance(tuned, ActorCriticPolicy):
            raise RazorbenchError(f"method={spec.method_name} returned {type(tuned).__name__}: `adapt` must return the tuned policy")
        handle.finish(before, tuned)
        if not all(map(torch.equal, before.parameters(), policy.parameters())):
            raise RazorbenchError(
                f"method={spec.method_name} changed the policy that it was given: `adapt` must train a copy, such as razorbench.method.clone's"
            )
        return tuned.eval()
