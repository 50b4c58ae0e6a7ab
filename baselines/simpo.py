"""SimPO: offline preference learning from demonstrations and failures, without rollouts of the learner.

Minimizes E[-log sigma(beta (mean log pi(a+ | x+) - mean log pi(a- | x-)) - gamma)] over pairs of a successful demonstration (+) and a failed
episode of a third policy (-) from the same start, means over an episode's decisions (Meng et al., arXiv 2405.14734, equation 6).
RL's Razor (arXiv 2509.04259, section 6) uses it, with gamma = 1, as the offline method with negative examples. The third
policy is the base of another pretraining seed; its steps count against the budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method import Budget, Minibatches, Supervised, TaskHandle, clone, descend, log_likelihood
from razorbench.types import IntArray


@dataclass(frozen=True)
class SimPO(Supervised):
    """Hyper-parameters; `batch_size` is in decisions, so that a gradient step has about as much data as in `sft`."""

    learning_rate: float = 3e-6
    """Adam's learning rate, constant; chosen by the search."""
    beta: float = 3.0
    """Scale of the difference in mean log-likelihood, per nat."""
    margin: float = 1.0
    """gamma, the target margin between success and failure."""

    family: ClassVar[str] = "offline supervised"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta <= 0 or self.margin < 0:
            raise UsageError(f"simpo got {self}: beta must be positive, margin 0 or more")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Fit the pairs; one update is one gradient step."""
        if task.other_policy is None:
            raise UsageError("simpo needs a third policy to take failures from: give a base with more than one pretraining seed")
        demos = task.demonstrations(budget.demo_episodes, rng)
        played = task.rollouts(task.other_policy(), demos.start, rng)
        failed = np.flatnonzero(~played.success)
        if not len(failed):
            raise UsageError("simpo: the third policy fails from none of the starts, so there is no pair to learn from; choose another task")
        good = [np.flatnonzero(demos.episode == k) for k in failed]
        bad = [np.flatnonzero(played.episode == k) for k in failed]
        policy = clone(base)

        def loss(pairs: torch.Tensor) -> torch.Tensor:
            better = mean_likelihoods(policy, demos.observations, demos.actions, [good[k] for k in pairs])
            worse = mean_likelihoods(policy, played.observations, played.actions, [bad[k] for k in pairs])
            return simpo_loss(better, worse, self.beta, self.margin).mean()

        per_pair = (sum(map(len, good)) + sum(map(len, bad))) / len(failed)
        pairs_per_step = max(1, round(self.batch_size / per_pair))
        total = min(self.epochs * max(1, len(failed) // pairs_per_step), task.left("gradient_steps"))
        optimizer = task.optimizer(policy, self.learning_rate)
        batches = Minibatches(len(failed), pairs_per_step, rng)
        for update in task.updates(total, policy=policy, optimizer=optimizer, batches=batches):
            task.update(policy, update, total, loss=descend(optimizer, loss(next(batches)), self.max_grad_norm))
        return policy


def simpo_loss(better: torch.Tensor, worse: torch.Tensor, beta: float, margin: float) -> torch.Tensor:
    """Return -log sigma(beta (better - worse) - margin) for mean log-likelihoods (B,)."""
    return -torch.nn.functional.logsigmoid(beta * (better - worse) - margin)


def mean_likelihoods(policy: ActorCriticPolicy, observations: torch.Tensor, actions: torch.Tensor, episodes: list[IntArray]) -> torch.Tensor:
    """Return the mean log-likelihood of each episode's decisions, (B,). episodes: row indices of each."""
    rows = torch.from_numpy(np.concatenate(episodes))
    lengths = torch.tensor([len(episode) for episode in episodes])
    likelihood = log_likelihood(policy, observations[rows], actions[rows])
    which = torch.repeat_interleave(torch.arange(len(episodes)), lengths)
    return torch.zeros(len(episodes)).index_add(0, which, likelihood) / lengths
