"""The public door for authors of tasks: a task file needs this module, `razorbench.types` and `razorbench.errors`. Only the names in `__all__` are promised.

It says what a task offers, and what the world offers that the task lives in. It knows no concrete task.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property, partial
from typing import Any, Protocol

import mujoco
import numpy as np
from gymnasium.spaces import Box

from razorbench import meter, seeding
from razorbench.errors import UsageError
from razorbench.identity.parts import made_of, own, shipped
from razorbench.identity.source import digest as code_digest
from razorbench.types import BoolArray, FloatArray, IntArray, Settings

__all__ = ["PROMISES", "Engine", "Expert", "Goals", "MujocoWorld", "Split", "Start", "Task", "World", "code_digest"]


class Split(Enum):
    """Disjoint families of starts: TRAIN for methods, SELECT for tuning, TEST for results, PROBE for divergences."""

    TRAIN = "train"
    SELECT = "select"
    TEST = "test"
    PROBE = "probe"


SPLIT_SIZES = {Split.SELECT: 500, Split.TEST: 100, Split.PROBE: 100}
"""Starts per task that exist in each held-out split; TRAIN has no end."""


PROMISES = ("seeded", "alone_equal", "resumable")
"""What a world may promise: a start decides what follows, an episode is the same alone and among others, and its actions restore it halfway."""


class World(Protocol):
    """A world that tasks share: sizes, starts, and an engine that steps its tasks.

    A world that is MuJoCo models needs no engine of its own (`MujocoWorld`). Any other one has a method `engine(tasks, size, threads) -> Engine`, and may have
    `promises`, those of PROMISES that hold, and a method `versions()` of packages that it runs on besides this Python's, for the record.
    """

    version: str
    """Name and version, `workcell-2`; any change of dynamics, observation or controls is a new version."""
    observation_size: int
    action_size: int
    goal_size: int
    """Numbers in a goal; 0 for a world without goals."""
    start_uniforms: int
    """Uniform numbers that a start is made of."""
    width: int
    """Episodes that an evaluation plays at once; results do not depend on it."""

    @property
    def instruction(self) -> slice | None:
        """Columns of the observation that hold the one-hot instruction; None for a world without instructions."""

    def digest(self) -> str:
        """Return a digest of the files that the version stands for, for `lock.json`."""


class MujocoWorld(World, Protocol):
    """A world of MuJoCo models that step in one batch, with the meaning of actions and sensors. Its goals begin with a place, m."""

    hold: FloatArray
    """The action (action_size,) that leaves a start as it is."""
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


@dataclass(frozen=True)
class Start:
    """Initial conditions. state: (N, S), as the world's engine takes it, in a MujocoWorld the full physics state; goal: (N, goal_size)."""

    state: FloatArray
    goal: FloatArray


Expert = Callable[[Any], FloatArray]
"""Readings of N environments to actions (N, action_size); acts on the state alone."""
NO_STYLE = "none"
"""Demonstration style of a task without scripted experts."""
Goals = Callable[[Any, FloatArray], list[FloatArray]]
"""Readings of N scenes and the uniforms (N, start_uniforms) of their starts to goals (N, goal_size), as many kinds as there are."""


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
    settings: what the task was made with, by `made`; part of what it is. Raises UsageError for another reward.
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
    reward: str = "sparse"
    entailed_by: tuple[str, ...] = ()
    settings: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.reward not in ("sparse", "shaped"):
            raise UsageError(f"reward is {self.reward!r}: it must be sparse or shaped")

    @property
    def name(self) -> str:
        """Name without the version."""
        return self.id.rpartition("-v")[0]

    @property
    def style(self) -> str:
        """The first demonstration style, or `none` for a task without scripted experts."""
        return next(iter(self.experts), NO_STYLE)

    def starts(self, split: Split, index: IntArray) -> Start:
        """Return the starts of a split by index (N,); the same wherever and whenever they are asked for."""
        if split is not Split.TRAIN:
            meter.tell(f"{split.value} starts", len(index))
        stream = seeding.key("start", self.id, split.value)
        return self.start(seeding.uniforms(stream, index, self.world.start_uniforms))

    def fingerprint(self) -> str:
        """Return a digest of what the task is: its id and its world's version, its settings, and the code that a user wrote for it."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()

    def identity(self) -> Settings:
        """Return what the fingerprint is made of. A shipped id stands for shipped code, which `lock.json` guards; all other code is digested."""
        code = {"start": self.start, "success": self.success, "experts": self.experts, "terms": self.terms}
        parts = [self.start, self.success, *self.experts.values(), *self.terms.values()]
        declared = self.id in shipped("task") and not any(isinstance(part, partial) or own(part) for part in parts)
        return {
            "id": self.id,
            "world": made_of(self.world) if own(type(self.world)) else self.world.version,
            "slot": self.slot,
            "horizon": self.horizon,
            "variant": made_of(self.variant),
            "delayed": self.delayed,
            "reward": self.reward,
            "settings": made_of(self.settings),
            "code": None if declared else made_of(code),
        }


def made(factory: Callable[..., Any], values: Settings) -> Any:
    """Return what a factory makes of values by name; a task remembers as its settings those that are not the factory's defaults."""
    built = factory(**values)
    if not isinstance(built, Task):
        return built
    defaults = {name: parameter.default for name, parameter in inspect.signature(factory).parameters.items()}
    return replace(built, settings={name: value for name, value in values.items() if name not in defaults or value != defaults[name]})


def asking(task: Task, observations: FloatArray, slots: IntArray) -> FloatArray:
    """Return a copy of observations (N, O) with the instruction replaced by that of slots (N,); raises UsageError in a world without instructions."""
    columns, copy = task.world.instruction, observations.copy()
    if columns is None:
        raise UsageError(f"{task.id} lives in {task.world.version}, a world without instructions: there is no other instruction to give")
    copy[:, columns] = 0.0
    copy[np.arange(len(copy)), columns.start + slots] = 1.0
    return copy


def has_other_slots(task: Task, skills: Sequence[Task]) -> bool:
    """Whether an original skill has another instruction than the task."""
    return any(skill.slot != task.slot for skill in skills)


def other_slots(task: Task, skills: Sequence[Task]) -> list[int]:
    """Return the instruction slots of the original skills without the task's own. Raises UsageError if there are none."""
    if not has_other_slots(task, skills):
        raise UsageError(f"{task.id} has the instruction of every original skill of this base: there is no other one; choose a base with more skills")
    return sorted({skill.slot for skill in skills} - {task.slot})


class Engine(Protocol):
    """Steps environments of several tasks that share one world; for a given start and action sequence an episode is the same in any batch.

    An environment is a slot; `ids`, (M,) and ascending, says which slots a call is about.
    """

    @property
    def world(self) -> World:
        """The world that the tasks share."""

    def begin(self, ids: IntArray, task: IntArray | int, start: Start) -> None:
        """Put environments at their starts. task: (M,) indices into the engine's tasks."""

    def step(self, ids: IntArray, actions: FloatArray) -> None:
        """Advance environments by one decision. actions: (M, A) in [-1, 1]; raises NotFinite if one is NaN or infinite."""

    def observe(self, ids: IntArray) -> FloatArray:
        """Return observations (M, O) float32."""

    def success(self, ids: IntArray) -> BoolArray:
        """Return which environments have solved their task, (M,)."""

    def shaped(self, ids: IntArray) -> FloatArray:
        """Return shaped rewards (M,) in [0, 1]; 0 for a task without terms."""

    def expert(self, ids: IntArray, style: str | None = None) -> FloatArray:
        """Return the scripted experts' actions (M, A) in [-1, 1]; `style` None takes each task's first. Never called for a task without experts."""

    def readings(self, ids: IntArray) -> Any:
        """Return what success, experts and goals read of environments as they are now."""


def promises(world: World) -> tuple[str, ...]:
    """Return what a world promises: all of PROMISES unless it says less."""
    kept: tuple[str, ...] = getattr(world, "promises", PROMISES)
    return kept


def pairs_episodes(world: World) -> bool:
    """Return whether a start has one episode of each policy, whatever else is played: only then may episodes be compared start by start."""
    return "alone_equal" in promises(world)


def resumes(world: World) -> bool:
    """Return whether an episode can be restored halfway, so that a killed run may go on."""
    return "resumable" in promises(world)


def world_versions(world: World) -> dict[str, str]:
    """Return the versions of packages that a world runs on besides this Python's, each by `world.PACKAGE`."""
    versions: Callable[[], Mapping[str, str]] = getattr(world, "versions", dict)
    return {f"world.{name}": version for name, version in versions().items()}


def stack_starts(parts: list[Start]) -> Start:
    """Join starts of several tasks into one batch, in order."""
    return Start(np.concatenate([p.state for p in parts]), np.concatenate([p.goal for p in parts]))


def spaces(task: Task) -> tuple[Box, Box]:
    """Return observation and action space of one environment."""
    return (
        Box(-5.0, 5.0, (task.world.observation_size,), np.float32),
        Box(-1.0, 1.0, (task.world.action_size,), np.float32),
    )
