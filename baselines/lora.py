"""LoRA: SFT that changes each weight matrix only by a low-rank matrix.

W = W_0 + B A, B (out, rank) initially zero, A (rank, in) with orthonormal rows; W_0 and the biases are frozen (Hu et al., arXiv 2106.09685). The log-std
trains as in every method. "LoRA learns less and forgets less" (arXiv 2405.09673), and on-policy RL without it can forget (arXiv 2603.11653).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn
from torch.nn.utils import parametrize

from razorbench.errors import UsageError
from razorbench.method import Budget, Supervised, TaskHandle, actor_parameters, clone


@dataclass(frozen=True)
class LoRA(Supervised):
    """Hyper-parameters; see `Supervised`."""

    learning_rate: float = 3e-4
    """Adam's learning rate, constant; chosen by the search."""
    rank: int = 8
    """Rank of each matrix's change, at most the matrix's own rank."""

    family: ClassVar[str] = "continual learning"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank < 1:
            raise UsageError(f"method.rank is {self.rank}: it must be 1 or more")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the demonstrations; one update is one gradient step."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        policy, plain = low_rank(base, self.rank, rng), clone(base)

        def report(update: int, total: int, loss: float) -> None:
            merge(policy, plain)
            task.update(plain, update, total, loss=loss)

        self.fit_to(policy, task, demos.observations, demos.actions, rng, report=report)
        merge(policy, plain)  # once more, for a run that was killed after the last update
        return plain


class LowRank(nn.Module):
    """Adds B A to a weight matrix (out, in)."""

    def __init__(self, weight: torch.Tensor, rank: int, rng: np.random.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        rank = min(rank, rows, columns)
        orthonormal = np.linalg.qr(rng.normal(size=(columns, rank)))[0].T
        self.a = nn.Parameter(torch.from_numpy(orthonormal.astype(np.float32)))
        self.b = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the changed weight."""
        return weight + self.b @ self.a


def low_rank(base: ActorCriticPolicy, rank: int, rng: np.random.Generator) -> ActorCriticPolicy:
    """Return a copy of the base in which only low-rank changes of the actor's weights, and the log-std, are trainable."""
    policy = clone(base)
    for parameter in actor_parameters(policy):
        parameter.requires_grad_(False)
    for layer in _layers(policy):
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank, rng))
    return policy


def merge(policy: ActorCriticPolicy, plain: ActorCriticPolicy) -> None:
    """Write the merged weights of a policy from `low_rank` into a plain policy."""
    with torch.no_grad():
        for changed, layer in zip(_layers(policy), _layers(plain), strict=True):
            layer.weight.copy_(changed.weight)
        if hasattr(plain, "log_std"):
            plain.log_std.copy_(policy.log_std)


def _layers(policy: ActorCriticPolicy) -> list[nn.Linear]:
    return [layer for layer in [*policy.mlp_extractor.policy_net, policy.action_net] if isinstance(layer, nn.Linear)]
