"""Types of a run's record and of its snapshots. Reading checks every value (`razorbench.store.reading`)."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from razorbench.store.estimate import Estimate, Estimated, Undefined
from razorbench.types import Settings

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
"""Pattern for names of tasks, bases, methods, budgets and sequences: never a path."""
Name = Annotated[str, Field(pattern=rf"^{NAME}$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
Word = Annotated[str, Field(max_length=200)]
TaskId = Annotated[str, Field(pattern=rf"^{NAME}-v[0-9]{{1,9}}$")]
BaseId = Annotated[str, Field(pattern=rf"^{NAME}-s[0-9]{{1,9}}$")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Plain = str | int | float | bool | None


def _mapping(node: object) -> object:
    """Read null as an empty mapping."""
    return {} if node is None else node


def task_name(task: str) -> str:
    """Return the name of a task from its id: `pick_place` from `pick_place-v1`."""
    return task.rpartition("-v")[0]


class Part(BaseModel):
    """A part of a record. It ignores unknown keys, because later versions may write more."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    def plain(self) -> dict[str, Any]:
        """Return the part as plain data, as in its file, without fields that the file lacks."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Rate(Part):
    """A success rate: number of successes and of episodes, their ratio and its 95% Wilson interval."""

    successes: Count
    episodes: Annotated[int, Field(ge=1)]
    rate: Share
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)]

    @property
    def estimate(self) -> Estimate:
        """The rate with its interval."""
        return Estimate(self.rate, *self.ci95)


class Costs(Part):
    """Spent costs: environment steps, demonstrations, expert queries, gradient steps."""

    env_steps: Count
    demo_episodes: Count
    expert_queries: Count
    gradient_steps: Count


class Drift(Part):
    """Drift of weights, by norm, and of activations, by states and norm."""

    weights: dict[str, float | None] = {}
    activations: dict[str, dict[str, float | None]] = {}


Divergence = dict[str, dict[str, float]]
"""Divergences of a policy from its base, by divergence and states; in nats per decision unless docs/measures.md says otherwise."""


class Kept(Part):
    """Forgetting and retention of the original skills."""

    forgetting: Estimated = Undefined("not measured")
    retention: Estimated = Undefined("not measured")


class Moved(Part):
    """Divergence and drift of a policy from its base."""

    divergence: Annotated[Divergence, BeforeValidator(_mapping)] = {}
    drift: Annotated[Drift, BeforeValidator(_mapping)] = Drift()

    @property
    def forward_kl(self) -> float | None:
        """Forward KL on the new task's states, nats per decision; None if it was not measured."""
        return self.number("divergence.kl_forward.new")

    def number(self, path: str) -> float | None:
        """Return a divergence or a drift by its dotted path, such as `drift.activations.new.cka`; None if it was not measured or is not finite."""
        part, *keys = path.split(".")
        node: Any = getattr(self, part) if part == "divergence" else getattr(self.drift, keys.pop(0))
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        return float(node) if isinstance(node, (int, float)) and math.isfinite(node) else None


class Splits(Part):
    """Greedy success on the new task, by starts: TEST for every published number, SELECT for choices. A tuning run has SELECT only."""

    test: Rate | None = None
    select: Rate | None = None


class Success(Kept):
    """Success of one policy. original: greedy success, by original skill."""

    new_task: Splits
    original: Annotated[dict[Name, Rate], BeforeValidator(_mapping)] = {}


# Files list the fields in the order of the base classes, the last one first.
class Evaluation(Moved, Success, Costs):
    """Measurements of one policy of a run. update: the number of updates before it, None if unknown."""

    update: Count | None = None

    @property
    def success(self) -> float | None:
        """Greedy success on the new task, TEST; None if it was not measured."""
        return None if self.new_task.test is None else self.new_task.test.rate

    @property
    def select_success(self) -> float | None:
        """Greedy success on the new task, SELECT; None if it was not measured."""
        return None if self.new_task.select is None else self.new_task.select.rate


class Snapshot(Evaluation):
    """A line of a run's curve."""

    update: Count


class Modes(Part):
    """Success of one policy with greedy and with sampled actions."""

    greedy: Rate
    sampled: Rate


class BeforeAfter(Part):
    """Success of the base and of the final policy."""

    base: Modes
    final: Modes


class NewTask(BeforeAfter):
    """Success on the new task. select: greedy success of the final policy on SELECT starts."""

    select: Rate | None = None


class FinalSuccess(Kept):
    """Success of a run's base and final policy. score: None if it is undefined."""

    new_task: NewTask
    original: Annotated[dict[Name, BeforeAfter], BeforeValidator(_mapping)]
    score: float | None


class Score(FinalSuccess):
    """A policy scored against a base. policy: its file or class; estimator: how the KL was computed, None where it is undefined."""

    task: TaskId
    world: Word
    base: BaseId
    policy: Word
    estimator: Word | None
    divergence: Divergence


class Budget(Costs):
    """Costs of a run. name, caps: the budget and its caps; uncounted: number of uncounted costs by kind; old_task_data: whether the method had such data."""

    name: Name
    uncounted: dict[str, Count] = {}
    caps: dict[str, Plain] | None = None
    old_task_data: bool = False


class Config(Part):
    """Configuration of a run, with every default. It is compared and shown, never built: see `razorbench.registry.recorded`."""

    model_config = ConfigDict(extra="allow")

    task: Settings | None = None
    method: Settings | None = None
    base: Settings | None = None
    eval: Settings | None = None
    log_std: Word | None = None
    demos: Word | None = None


class Upstream(Costs):
    """Costs of making a method's data. method, run: the run that made the data, None if no run did."""

    method: Name | None = None
    run: Hash | None = None


class Method(Part):
    """A run's method. code: digest of a user's own code; demos: style of demonstrations, or the digest of their file."""

    name: Name
    family: Word
    version: Count
    code: Word | None = None
    demos: Word


class Hashes(Part):
    """Digests of a run, its task, the base policy, and the states for divergences."""

    run: Hash
    task_spec: Word | None = None
    base_policy: Word | None = None
    probe: Word | None = None


class Origin(Part):
    """Origin of a run or a sequence: base, seed, configuration, versions, machine.

    world: its name and version; None in records before the second world. promises: those of `razorbench.task.PROMISES` that it keeps; None as for world.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_: Annotated[int, Field(alias="schema")]
    protocol: Count
    world: Word | None = None
    promises: list[Word] | None = None
    base: BaseId
    seed: Count
    config: Annotated[Config, BeforeValidator(_mapping)]
    versions: dict[str, Word]
    machine: dict[str, Plain] | None = None
    git: dict[str, Plain] | None = None

    @property
    def base_name(self) -> str:
        """The base's name, which its pretraining seeds share: `mlp` from `mlp-s0`."""
        return self.base.rpartition("-s")[0]

    @property
    def base_seed(self) -> int:
        """The base's pretraining seed."""
        return int(self.base.rpartition("-s")[2])


class Conditions(Part):
    """Conditions of a run: physics threads, other machines on which it resumed, seconds in total and for measuring."""

    threads: Count | None = None
    resumed_elsewhere: list[dict[str, Plain]] = []
    wall_s: Annotated[float, Field(ge=0)]
    measuring_s: Annotated[float, Field(ge=0)] | None = None


class Record(Moved, FinalSuccess, Conditions, Origin):
    """A run's record. task: id of the new task; estimator: how the KL was computed, None in records before it was named; notes: the method's own remarks."""

    task: TaskId
    method: Method
    budget: Budget
    upstream: Upstream | None
    estimator: Word | None = None
    notes: Settings = {}
    hashes: Hashes

    @property
    def task_name(self) -> str:
        """The new task's name."""
        return task_name(self.task)

    def final(self, update: int | None) -> Evaluation:
        """Return the measurements of the final policy. update: the last update, None if unknown."""
        used = {cost: getattr(self.budget, cost) for cost in Costs.model_fields}
        measured = {name: getattr(self, name) for name in (*Kept.model_fields, *Moved.model_fields)}
        new = Splits(test=self.new_task.final.greedy, select=self.new_task.select)
        skills = {skill: rates.final.greedy for skill, rates in self.original.items()}
        return Evaluation.model_construct(update=update, new_task=new, original=skills, **used, **measured)
