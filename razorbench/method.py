"""What a method is, what it may cost, and what it is given to learn from."""

from __future__ import annotations

import json
from collections import UserDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import NotFinite, UsageError
from razorbench.types import BoolArray, IntArray

if TYPE_CHECKING:
    from razorbench.handle import TaskHandle

ACTION_NOISE = 0.15
"""Standard deviation of the Gaussian noise on demonstrated actions, in pretraining and in adaptation alike."""


@dataclass(frozen=True)
class Budget:
    """Caps on what one adaptation may cost; the same for every method."""

    name: str
    env_steps: int
    demo_episodes: int
    expert_queries: int
    gradient_steps: int

    def __post_init__(self) -> None:
        for cap in fields(self)[1:]:
            value = getattr(self, cap.name)
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise UsageError(f"budget.{cap.name} is {value!r}: it must be a positive whole number, as in budget.{cap.name}=10000")


class Method(Protocol):
    """One way to adapt a base policy to a new task. Implementations are frozen dataclasses of hyper-parameters."""

    family: ClassVar[str]
    version: ClassVar[int]
    old_task_data: ClassVar[bool]

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Return the tuned policy; `base` itself stays as it is."""


@dataclass(frozen=True)
class Demonstrations:
    """Decisions of successful episodes. observations: (M, O) float32; actions: (M, A) float32 in [-1, 1].

    episode: (M,), which episode a decision belongs to; start: (E,), the TRAIN start of each episode.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    episode: IntArray
    start: IntArray


@dataclass(frozen=True)
class Rollouts:
    """Sampled episodes of a policy, successes and failures. observations: (M, O) float32; actions: (M, A) float32, not clipped.

    episode: (M,), which episode a decision belongs to; start, success: (E,); labels: (M, A), the expert's actions, if asked for.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    episode: IntArray
    start: IntArray
    success: BoolArray
    labels: torch.Tensor | None = None


class Notes(UserDict[str, Any]):
    """What a method wants to stand in the record, by name: numbers, words, true, false, None, and lists and mappings of these. Others raise UsageError."""

    def __setitem__(self, key: str, item: Any) -> None:
        try:
            kept = json.loads(json.dumps({key: item}, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise UsageError(f"task.notes[{key!r}] is {item!r}: a note must be what JSON can hold ({error}); convert it first") from error
        super().__setitem__(*next(iter(kept.items())))


@dataclass(frozen=True)
class Used:
    """What has been spent so far, in the budget's units."""

    env_steps: int = 0
    demo_episodes: int = 0
    expert_queries: int = 0
    gradient_steps: int = 0


def all_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether no element is NaN or infinite: by the length of each tensor, which is quickly found, and where that overflows by its largest element."""
    plain = [tensor.detach() for tensor in tensors]
    return not plain or any(bool(torch.isfinite(torch.stack(torch._foreach_norm(plain, ord=order))).all()) for order in (2, float("inf")))


@contextmanager
def saying_where(place: str) -> Iterator[None]:
    """Put the place in front of the message of a NotFinite that is raised in the block."""
    try:
        yield
    except NotFinite as error:
        raise NotFinite(f"{place}: {error}") from error
