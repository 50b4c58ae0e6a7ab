"""Shared parts of supervised methods: hyper-parameters, minibatches, and a loop that minimizes a loss over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method.data import Need
from razorbench.method.handle import TaskHandle
from razorbench.policy import log_likelihood
from razorbench.types import State

Loss = Callable[[torch.Tensor], torch.Tensor]
"""Maps indices (B,) of decisions to a loss, a scalar."""
Report = Callable[[int, int, float], None]
"""Takes the number of an update, the total number of updates, and the loss."""


@dataclass(frozen=True)
class Descent:
    """Hyper-parameters of methods that fit actions to states."""

    learning_rate: float = 1e-4
    """Adam's learning rate, constant."""
    batch_size: int = 256
    """Decisions per gradient step."""
    max_grad_norm: float = 0.5
    """Gradient clipping norm, as in `ppo`."""

    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or self.batch_size < 1 or self.max_grad_norm <= 0:
            raise UsageError(f"the method got {self}: learning_rate, batch_size and max_grad_norm must be positive")


@dataclass(frozen=True)
class Supervised(Descent):
    """Hyper-parameters of methods that fit a fixed data set."""

    epochs: int = 30
    """Passes over the data, fewer if the budget of gradient steps ends first."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.DEMONSTRATIONS})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs < 1:
            raise UsageError(f"method.epochs is {self.epochs}: it must be 1 or more")

    def fit(
        self,
        policy: ActorCriticPolicy,
        task: TaskHandle,
        decisions: int,
        loss: Loss,
        rng: np.random.Generator,
        *,
        steps: int | None = None,
        report: Report | None = None,
    ) -> ActorCriticPolicy:
        """Minimize a loss over minibatches of the data and return the policy. One update is one gradient step.

        decisions: size of the data; steps: most gradient steps, by default the rest of the budget; report: called after each update, by default reports
        the policy to the task.
        """
        total = min(self.epochs * max(1, decisions // self.batch_size), task.left("gradient_steps") if steps is None else steps)
        optimizer = task.optimizer(policy, self.learning_rate)
        batches = Minibatches(decisions, self.batch_size, rng)
        for update in task.updates(total, policy=policy, optimizer=optimizer, batches=batches):
            value = descend(optimizer, loss(next(batches)), self.max_grad_norm)
            if report is None:
                task.update(policy, update, total, loss=value)
            else:
                report(update, total, value)
        return policy

    def fit_to(
        self,
        policy: ActorCriticPolicy,
        task: TaskHandle,
        observations: torch.Tensor,
        actions: torch.Tensor,
        rng: np.random.Generator,
        *,
        steps: int | None = None,
        report: Report | None = None,
    ) -> ActorCriticPolicy:
        """Minimize E[-log pi(a | x)] over observations (M, O) and actions (M, A), and return the policy; see `fit`."""

        def misfit(i: torch.Tensor) -> torch.Tensor:
            return -log_likelihood(policy, observations[i], actions[i]).mean()

        return self.fit(policy, task, len(actions), misfit, rng, steps=steps, report=report)


class Minibatches:
    """Endless iterator of minibatches of indices (B,), shuffled anew in each pass; drops the incomplete last minibatch of a pass."""

    def __init__(self, decisions: int, batch_size: int, rng: np.random.Generator) -> None:
        self._decisions, self._size, self._rng = decisions, min(batch_size, decisions), rng
        self._order, self._next = torch.empty(0, dtype=torch.int64), 0

    def __iter__(self) -> Iterator[torch.Tensor]:
        return self

    def __next__(self) -> torch.Tensor:
        if self._next + self._size > len(self._order):
            self._order, self._next = torch.from_numpy(self._rng.permutation(self._decisions)), 0
        self._next += self._size
        return self._order[self._next - self._size : self._next]

    def state_dict(self) -> State:
        """Return the order of the pass and the position of the next minibatch."""
        return {"order": self._order, "next": self._next}

    def load_state_dict(self, state: State) -> None:
        """Restore the order and the position."""
        self._order, self._next = state["order"], state["next"]


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor, max_grad_norm: float) -> float:
    """Take one clipped gradient step and return the loss."""
    optimizer.zero_grad()
    loss.backward()
    parameters: list[Any] = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm)
    optimizer.step()
    return loss.item()
