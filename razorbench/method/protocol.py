"""The protocol of a method."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.method.data import Budget
from razorbench.method.handle import TaskHandle


class Method(Protocol):
    """One way to adapt a base policy to a new task. Implementations are frozen dataclasses of hyper-parameters.

    A class attribute `needs`, a frozenset of `Need`, says what it cannot do without; it may be left out.
    """

    family: ClassVar[str]
    version: ClassVar[int]
    old_task_data: ClassVar[bool]

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Return the fine-tuned policy; do not change `base`."""
