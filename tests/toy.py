"""A toy problem on which methods are tested by hand: two states, one action, answers that are known."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from gymnasium.spaces import Box

from razorbench.method.data import Budget, Demonstrations, Rollouts
from razorbench.method.handle import TaskHandle
from razorbench.policy import network as policies

NEW, OLD = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
"""The toy's states: one-hot, so that a linear last layer can answer each by itself."""
BUDGET = Budget("toy", 20_000, 200, 6_000, 1_500)
FIT = {"learning_rate": 3e-3, "epochs": 10_000, "batch_size": 64}


def toy_base(head="gaussian"):
    torch.manual_seed(0)
    return policies.build(Box(-5, 5, (2,)), policies.native_space(head, Box(-1, 1, (1,))), (32,)).eval()


def answers(policy):
    """Mean action (tokens: expectation over bins) in the new and in the old state."""
    found = policies.distribution(policy, torch.cat([NEW, OLD]).numpy())
    if policies.has_tokens(policy):
        return (np.exp(found.log_probs[:, 0]) * found.centres).sum(axis=1)
    return found.mean[:, 0]


@dataclass
class Toy(TaskHandle):
    """One state, one decision, one-dimensional actions; success is an action near 0.3; demonstrations say 0.5 +- 0.1."""

    demo_mean: float = 0.5
    wanted: float = 0.3
    reach: float = 0.15

    def _pairs(self, state, mean, n, rng):
        actions = torch.from_numpy((mean + 0.1 * rng.normal(size=(n, 1))).astype(np.float32))
        return Demonstrations(state.repeat(n, 1), actions, np.arange(n), np.arange(n))

    def fresh_starts(self, number, rng):
        return np.arange(number)

    def demonstrations(self, episodes, rng):
        self.charge("demo_episodes", episodes)
        return self._pairs(NEW, self.demo_mean, episodes, rng)

    def old_demonstrations(self, episodes, rng):
        self.charge("demo_episodes", episodes)
        return self._pairs(OLD, -0.4, episodes, rng)

    def rollouts(self, tuned, start, rng, *, relabel=False, upstream=False, elsewhere=False, goals=None):
        n = len(start)
        self.charge("env_steps", n, upstream=upstream)
        states = (OLD if elsewhere else NEW).repeat(n, 1)
        actions = torch.from_numpy(policies.distribution(tuned, states.numpy()).sample(rng.random((n, 1))).astype(np.float32))
        success = (actions[:, 0] - self.wanted).abs().numpy() < self.reach
        if relabel:
            self.charge("expert_queries", n)
        labels = self._pairs(NEW, self.demo_mean, n, rng).actions if relabel else None
        return Rollouts(states, actions, np.arange(n), start, success, labels)

    def reinstructed(self, observations, rng, asked=()):
        return OLD.repeat(len(observations), 1) + (observations - NEW)


def toy(**settings):
    skills, anywhere = (None, None, None), lambda readings, u: []
    return Toy(SimpleNamespace(horizon=1, id="toy-v1"), BUDGET, "direct", skills=skills, goals=anywhere, old_task_data=True, **settings)


def adapted(method, base, handle=None, seed=0):
    handle = toy() if handle is None else handle
    torch.manual_seed(seed)
    with handle.counting():
        return method.adapt(base, handle, handle.budget, np.random.default_rng(seed)).eval()


def parameters(policy):
    return torch.cat([p.detach().flatten() for p in policies.actor_parameters(policy)])
