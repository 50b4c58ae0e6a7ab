"""What a task must offer, and what the world that it lives in must offer. No concrete task is known here."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from typing import Any, Literal, Protocol

import mujoco
import numpy as np

from razorbench import meter, seeding
from razorbench.types import BoolArray, FloatArray, IntArray


class Split(Enum):
    """Disjoint families of starts: TRAIN for methods, SELECT for tuning, TEST for results, PROBE for divergences."""

    TRAIN = "train"
    SELECT = "select"
    TEST = "test"
    PROBE = "probe"


SPLIT_SIZES = {Split.SELECT: 500, Split.TEST: 100, Split.PROBE: 100}
"""Starts per task that exist in each held-out split; TRAIN has no end."""


class World(Protocol):
    """The physics that tasks share: models that step in one batch, and the meaning of actions and sensors."""

    observation_size: int
    action_size: int
    instruction: slice
    """Columns of the observation that hold the one-hot instruction."""
    goal_size: int
    """Numbers in a goal, at least three: the first three are a place, m."""
    hold: FloatArray
    """The action (action_size,) that leaves a start as it is."""
    start_uniforms: int
    substeps: int

    def model(self, variant: Any) -> mujoco.MjModel:
        """Return the compiled model of a variant; all variants have the same sizes."""

    def visual_model(self, variant: Any) -> mujoco.MjModel:
        """Return a variant's model with what is for the eye alone, for rendering; the same states fit it."""

    def readings(self, sensors: FloatArray, goal: FloatArray) -> Any:
        """Name the sensors. sensors: (N, nsensordata), goal: (N, goal_size)."""

    def observe(self, readings: Any, slot: IntArray) -> FloatArray:
        """Return observations (N, observation_size) float32 for instruction slots (N,)."""

    def control(self, readings: Any, actions: FloatArray) -> FloatArray:
        """Turn actions (N, action_size) in [-1, 1] into controls (N, nu), held for one decision."""

    def sound(self, readings: Any) -> Mapping[str, BoolArray]:
        """Return conditions that hold wherever the physics is sound and everything is in its place, by a sentence each, (N,)."""

    def fingerprint(self) -> str:
        """Return a digest of all that decides the dynamics, the observation and the controls."""


@dataclass(frozen=True)
class Start:
    """Initial conditions. state: (N, 1 + nq + nv) full physics state; goal: (N, goal_size)."""

    state: FloatArray
    goal: FloatArray


Expert = Callable[[Any], FloatArray]
"""Readings of N environments to actions (N, action_size); acts on the state alone."""


@dataclass(frozen=True)
class Task:
    """One skill to perform.

    id: name and version, `push-v1`; a change of dynamics, starts or success is a new version.
    slot: index of the instruction that asks for it. variant: the world's model variant.
    delayed: whether a command takes effect one decision late.
    start: maps uniforms (N, world.start_uniforms) to initial conditions.
    success: maps readings to (N,) bool. experts: demonstration styles, the first is the default.
    entailed_by: names of tasks whose experts solve this one too, because doing that means doing this (carrying is lifting).
    terms: named parts in [0, 1] of the shaped reward. reward: `sparse` (1 on success), or `shaped` (plus the mean term).
    """

    id: str
    world: World
    slot: int
    horizon: int
    start: Callable[[FloatArray], Start]
    success: Callable[[Any], BoolArray]
    experts: Mapping[str, Expert]
    variant: Hashable = None
    delayed: bool = False
    terms: Mapping[str, Callable[[Any], FloatArray]] = field(default_factory=dict)
    reward: Literal["sparse", "shaped"] = "sparse"
    entailed_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name without the version."""
        return self.id.rpartition("-v")[0]

    def starts(self, split: Split, index: IntArray) -> Start:
        """Return the starts of a split by index (N,); the same wherever and whenever they are asked for."""
        if split is not Split.TRAIN:
            meter.tell(f"{split.value} starts", len(index))
        stream = seeding.key("start", self.id, split.value)
        return self.start(seeding.uniforms(stream, index, self.world.start_uniforms))

    def fingerprint(self) -> str:
        """Return a digest of the world, the variant, and the normalised code of the files that hold start, success and experts."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        parts = {
            "world": self.world.fingerprint(),
            "variant": repr(self.variant),
            "delayed": self.delayed,
            "id": self.id,
            "slot": self.slot,
            "horizon": self.horizon,
            "reward": self.reward,
            "success": code_digest(self.success),
            "start": code_digest(self.start),
            "experts": sorted({code_digest(expert) for expert in self.experts.values()}),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def asking(task: Task, observations: FloatArray, slots: IntArray) -> FloatArray:
    """Return a copy of observations (N, O) with the instruction replaced by that of slots (N,)."""
    columns, copy = task.world.instruction, observations.copy()
    copy[:, columns] = 0.0
    copy[np.arange(len(copy)), columns.start + slots] = 1.0
    return copy


def other_slots(task: Task, skills: Sequence[Task]) -> list[int]:
    """Instruction slots of the original skills, other than the one that the task itself uses."""
    return sorted({skill.slot for skill in skills} - {task.slot})


def code_digest(item: Any) -> str:
    """Digest of the module that defines an item, without comments, docstrings and layout."""
    module = inspect.getmodule(getattr(item, "func", item))
    return _source_digest(module if module is not None else item)


@cache
def _source_digest(item: Any) -> str:
    tree = ast.parse(inspect.getsource(item))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str))
            ]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def stack_starts(parts: list[Start]) -> Start:
    """Join starts of several tasks into one batch, in order."""
    return Start(np.concatenate([p.state for p in parts]), np.concatenate([p.goal for p in parts]))
