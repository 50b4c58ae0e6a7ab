"""On-policy self-distillation: a copy of the base, fine-tuned on the demonstrations, teaches the learner on the learner's own states.

The teacher is a copy of pi_0 fitted to the demonstrations as in `sft`. In each round the learner then acts and minimizes
E_{x ~ its own states}[KL(pi(.|x) || pi_teacher(.|x))] in closed form. For language models the teacher is the model with a demonstration in its context
(SDFT, arXiv 2601.19897); a policy without a context must be fine-tuned instead. On-policy distillation of robot policies also uses the reverse KL on the
learner's own states (arXiv 2603.26666).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.baselines.on_policy import affordable
from razorbench.method import Budget, Minibatches, Supervised, TaskHandle, clone, descend, kl


@dataclass(frozen=True)
class SelfDistill(Supervised):
    """Hyper-parameters; see `Supervised`. The teacher gets at most half of the gradient steps."""

    learning_rate: float = 3e-5
    """Adam's learning rate, constant; chosen by the search."""
    iterations: int = 10
    """Rounds of rollouts and updates; environment and gradient steps are spread evenly over them."""

    family: ClassVar[str] = "on-policy supervised"

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Train the teacher, then distill it; one update is one round."""
        demos = task.demonstrations(budget.demo_episodes, rng)
        half = budget.gradient_steps // 2
        teacher = self.fit_to(clone(base), task, demos.observations, demos.actions, rng, steps=half, report=lambda update, total, loss: None)
        teacher.requires_grad_(False)
        policy = clone(base)
        optimizer = task.optimizer(policy, self.learning_rate)
        memory: dict[str, float | None] = {"length": None}
        for iteration in task.updates(self.iterations, policy=policy, optimizer=optimizer, memory=memory):
            remaining = self.iterations - iteration + 1
            episodes = affordable(task, remaining, memory["length"], "env_steps")
            played = task.rollouts(policy, task.fresh_starts(episodes, rng), rng)
            memory["length"] = len(played.actions) / episodes
            batches = Minibatches(len(played.actions), self.batch_size, rng)
            loss = 0.0
            for _ in range(task.left("gradient_steps") // remaining):
                loss = descend(optimizer, kl(policy, teacher, played.observations[next(batches)]).mean(), self.max_grad_norm)
            task.update(policy, iteration, self.iterations, loss=loss, success=float(played.success.mean()))
        return policy
