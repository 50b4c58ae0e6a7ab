"""DAgger: the learner acts, the expert says what it would have done, the learner imitates that.

Round after round, minimises E_{x ~ all states the learner has visited}[-log pi(a*(x) | x)], a* the expert's action with the noise of
demonstrations (Ross et al., arXiv 1011.0686, with beta = 0 from the first round on: pi_0 can already act). On-policy
states with off-policy labels: it parts the two halves of what "on-policy" means. No demonstrations and no old-task data are mixed in.
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
    """Adam's step, constant."""
    iterations: int = 10
    """Rounds of whole episodes; expert queries are spread evenly over them."""
    epochs: int = 16
    """Passes over all states so far in each round, fewer if the budget of gradient steps would not last."""

    family: ClassVar[str] = "on-policy supervised"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXPERT})

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Learn from relabelled TRAIN episodes; one update is one round."""
        policy, reference = clone(base), clone(base).requires_grad_(False)
        optimizer = task.optimizer(policy, self.learning_rate)
        nothing = torch.empty(0, *base.observation_space.shape), torch.empty(0, *base.action_space.shape)
        memory: dict[str, Any] = {"observations": nothing[0], "labels": nothing[1], "length": None}
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
                kept = self.kept(reference, policy, task, observations[index], rng)
                loss = descend(optimizer, (kept - log_likelihood(policy, observations[index], labels[index])).mean(), self.max_grad_norm)
            task.update(policy, iteration, self.iterations, loss=loss, success=float(played.success.mean()))
        return policy

    def worth(self, success: BoolArray) -> BoolArray:
        """Return which episodes' states are learnt from, (E,): all. success: (E,)."""
        return np.ones_like(success)

    def kept(
        self, base: ActorCriticPolicy, policy: ActorCriticPolicy, task: TaskHandle, observations: torch.Tensor, rng: np.random.Generator
    ) -> torch.Tensor | float:
        """Return what the loss has beside the imitation, (B,): nothing."""
        return 0.0
