"""Data of a method: its budget, demonstrations, rollouts, notes and spent costs."""

from __future__ import annotations

import json
from collections import UserDict
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

import torch

from razorbench.errors import UsageError
from razorbench.types import BoolArray, IntArray

ACTION_NOISE = 0.15
"""Standard deviation of the Gaussian noise on demonstrated actions, in pretraining and in adaptation."""


class Need(Enum):
    """What a method may need besides an environment. Where a task, its world or the base lacks it, the method is undefined and no work is begun."""

    DEMONSTRATIONS = "demonstrations: a scripted expert, or a file of them (demos=FILE)"
    EXPERT = "a scripted expert, which answers on the policy's own states"
    OLD_DEMONSTRATIONS = "scripted experts for the original skills"
    INSTRUCTIONS = "an original skill whose instruction is not the new task's"
    GOALS = "goals for the original skills in the new task's scenes (`goals` in the base's yaml)"


@dataclass(frozen=True)
class Budget:
    """Caps on the costs of one adaptation, the same for every method. Raises UsageError unless all are positive whole numbers."""

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


@dataclass(frozen=True)
class Demonstrations:
    """Decisions of successful episodes. observations: (M, O) float32; actions: (M, A) float32 in [-1, 1].

    episode: (M,), index of each decision's episode; start: (E,), the TRAIN start of each episode.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    episode: IntArray
    start: IntArray


@dataclass(frozen=True)
class Rollouts:
    """Sampled episodes of a policy, successes and failures. observations: (M, O) float32; actions: (M, A) float32, not clipped.

    episode: (M,), index of each decision's episode; start, success: (E,); labels: (M, A), the expert's actions, only with `relabel`.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    episode: IntArray
    start: IntArray
    success: BoolArray
    labels: torch.Tensor | None = None


class Notes(UserDict[str, Any]):
    """A method's notes for the record, by name: numbers, strings, booleans, None, and lists and mappings of these. Raises UsageError for other values."""

    def __setitem__(self, key: str, item: Any) -> None:
        try:
            note = json.loads(json.dumps({key: item}, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise UsageError(f"task.notes[{key!r}] is {item!r}: a note must be a JSON value ({error}); convert it first") from error
        super().__setitem__(*next(iter(note.items())))


@dataclass(frozen=True)
class Used:
    """Spent costs, in the budget's units."""

    env_steps: int = 0
    demo_episodes: int = 0
    expert_queries: int = 0
    gradient_steps: int = 0
