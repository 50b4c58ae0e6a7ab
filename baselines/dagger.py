"""DAgger: the learner acts, the expert labels the visited states, and the learner imitates the labels.

Each round minimizes E_{x ~ all states the learner has visited}[-log pi(a*(x) | x)], with a* the expert's action plus the demonstrations' noise (Ross et al.,
arXiv 1011.0686, with beta = 0 from the first round, since pi_0 can already act). It has on-policy states and off-policy labels, so it separates the two
meanings of "on-policy". It uses no demonstrations and no old-task data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.baselines.on_policy import affordable
from razorbench.method import Budget, Descent, Minibatches, Need, TaskHandle, clone, descend, log_likelihood
from razorbench.types import BoolArray


@dataclass(frozen=True)
class DAgger(Descent):
    """Hyper-parameters; see `Descent`."""

    learning_rate: float = 3e-5
    """Adam's learning rate, constant."""
    iterations: int = 10
    """Rounds of whole episodes; expert queries are spread evenly over them."""
    epochs: int = 16
    """Passes over all states so far in each round, fewer if the budget of gradient steps would not last."""

    family: ClassVar[str] = "on-policy supervised"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXPERT})

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Train on relabeled TRAIN episodes; one update is one round."""
        policy, reference = clone(base), clone(base).requires_grad_(False)
        optimizer = task.optimizer(policy, self.learning_rate)
        empty = torch.empty(0, *base.observation_space.shape), torch.empty(0, *base.action_space.shape)
        memory: dict[str, Any] = {"observations": empty[0], "labels": empty[1], "length": None}
        for iteration in task.updates(self.iterations, policy=policy, optimizer=optimizer, memory=memory):
            remaining = self.iterations - iteration + 1
            episodes = affordable(task, remaining, memory["length"], "env_steps", "expert_queries")
            played = task.rollouts(policy, task.fresh_starts(episodes, rng), rng, relabel=True)
            memory["length"] = len(played.actions) / episodes
            assert played.labels is not None
            rows = torch.from_numpy(np.flatnonzero(self.worth(played.success)[played.episode]))
            memory["observations"] = observations = torch.cat([memory["observations"], played.observations[rows]])
            memory["labels"] = labels = torch.cat([memory["labels"], played.labels[rows]])
            batches = Minibatches(len(labels), self.batch_size, rng)
            loss = 0.0
            steps = self.epochs * max(1, len(labels) // self.batch_size)
            for _ in range(min(steps, task.left("gradient_steps") // remaining) if len(labels) else 0):
                index = next(batches)
                penalty = self.kept(reference, policy, task, observations[index], rng)
                loss = descend(optimizer, (penalty - log_likelihood(policy, observations[index], labels[index])).mean(), self.max_grad_norm)
            task.update(policy, iteration, self.iterations, loss=loss, success=float(played.success.mean()))
        return policy

    def worth(self, success: BoolArray) -> BoolArray:
        """Return the mask of episodes to train on, (E,): all. success: (E,)."""
        return np.ones_like(success)

    def kept(
        self, base: ActorCriticPolicy, policy: ActorCriticPolicy, task: TaskHandle, observations: torch.Tensor, rng: np.random.Generator
    ) -> torch.Tensor | float:
        """Return a penalty to add to the imitation loss, (B,): none."""
        return 0.0
