"""Records by name and type: of a run, of a sequence, and of the snapshots along a run. Reading checks every value (`razorbench.store.reading`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from razorbench.store.estimate import Estimate, Estimated, Undefined

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
"""Of tasks, bases, methods, budgets and sequences: never a path."""
Name = Annotated[str, Field(pattern=rf"^{NAME}$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
Word = Annotated[str, Field(max_length=200)]
TaskId = Annotated[str, Field(pattern=rf"^{NAME}-v[0-9]{{1,9}}$")]
BaseId = Annotated[str, Field(pattern=rf"^{NAME}-s[0-9]{{1,9}}$")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Plain = str | int | float | bool | None
Settings = dict[str, Any]
"""Part of a configuration: plain data of any depth, which is compared and shown, and never built."""


def _mapping(found: object) -> object:
    """Read null as an empty mapping."""
    return {} if found is None else found


def task_name(task: str) -> str:
    """Return the name of a task from its id: `pick_place` from `pick_place-v1`."""
    return task.rpartition("-v")[0]


class Part(BaseModel):
    """A part of a record. Keys that this version does not know are ignored: later versions may write more."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    def plain(self) -> dict[str, Any]:
        """Return the part as plain data, in the form of its file, without what its file left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Rate(Part):
    """A success rate: how many episodes succeeded, of how many, their share and its 95% Wilson interval."""

    successes: Count
    episodes: Annotated[int, Field(ge=1)]
    rate: Share
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)]

    @property
    def estimate(self) -> Estimate:
        """The rate with its interval."""
        return Estimate(self.rate, *self.ci95)


class Costs(Part):
    """What was used up: environment steps, demonstrations, queries of the expert, gradient steps."""

    env_steps: Count
    demo_episodes: Count
    expert_queries: Count
    gradient_steps: Count


class Drift(Part):
    """How far weights moved, by norm, and activations, by states and norm."""

    weights: dict[str, float | None] = {}
    activations: dict[str, dict[str, float | None]] = {}


Divergence = dict[str, dict[str, float]]
"""Of a policy from its base, by divergence and states; nats per decision, or as docs/measures.md says."""


class Kept(Part):
    """What a policy lost and kept of the original skills."""

    forgetting: Estimated = Undefined("not measured")
    retention: Estimated = Undefined("not measured")


class Moved(Part):
    """How far a policy moved from its base, by divergence and states."""

    divergence: Annotated[Divergence, BeforeValidator(_mapping)] = {}
    drift: Annotated[Drift, BeforeValidator(_mapping)] = Drift()

    @property
    def forward_kl(self) -> float | None:
        """Forward KL on the new task's states, nats per decision; None if it was not measured."""
        return self.number("divergence.kl_forward.new")

    def number(self, path: str) -> float | None:
        """Return a divergence or a drift by its dotted path, such as `drift.activations.new.cka`; None if it was not measured or is not finite."""
        part, *keys = path.split(".")
        found: Any = getattr(self, part) if part == "divergence" else getattr(self.drift, keys.pop(0))
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return float(found) if isinstance(found, int | float) and math.isfinite(found) else None


class Splits(Part):
    """Greedy success on the new task, by the starts: TEST for every number shown, SELECT to choose. A run for tuning has SELECT alone."""

    test: Rate | None = None
    select: Rate | None = None


class Success(Kept):
    """Success of one policy. original: greedy success, by original skill."""

    new_task: Splits
    original: Annotated[dict[Name, Rate], BeforeValidator(_mapping)] = {}


# Fields stand in files in the order of the bases, the last base first.
class Evaluation(Moved, Success, Costs):
    """One policy of a run. update: the update after which it was taken, None if that is not known."""

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
    """Success of one policy, by how it acts."""

    greedy: Rate
    sampled: Rate


class BeforeAfter(Part):
    """Success of the base and of the final policy."""

    base: Modes
    final: Modes


class NewTask(BeforeAfter):
    """Success on the new task. select: of the final policy, greedy, on SELECT starts."""

    select: Rate | None = None


class FinalSuccess(Kept):
    """Success of a run's base and final policy. score: None where it is undefined."""

    new_task: NewTask
    original: Annotated[dict[Name, BeforeAfter], BeforeValidator(_mapping)]
    score: float | None


class Budget(Costs):
    """What a run used. name, caps: the budget, and what it allows; uncounted: how often a cost may have gone uncounted; old_task_data: whether it had any."""

    name: Name
    uncounted: dict[str, Count] = {}
    caps: dict[str, Plain] | None = None
    old_task_data: bool = False


class Config(Part):
    """What a run was composed of, with every default. Nothing in it is ever built: see `razorbench.registry.recorded`."""

    model_config = ConfigDict(extra="allow")

    task: Settings | None = None
    method: Settings | None = None
    base: Settings | None = None
    eval: Settings | None = None
    log_std: Word | None = None
    demos: Word | None = None


class Upstream(Costs):
    """What making a method's data cost. method, run: of the run that made them, None if none did."""

    method: Name | None = None
    run: Hash | None = None


class Method(Part):
    """A run's method. code: digest of a user's own; demos: style of demonstrations, or the digest of a file of them."""

    name: Name
    family: Word
    version: Count
    code: Word | None = None
    demos: Word


class Hashes(Part):
    """Digests of a run, of its task, of the base policy, and of the states that divergences are measured on."""

    run: Hash
    task_spec: Word | None = None
    base_policy: Word | None = None
    probe: Word | None = None


class Origin(Part):
    """What a run or a sequence was made from, by which versions, on which machine.

    world: its name and version; None in records before there were two. promises: those of `razorbench.task.PROMISES` that it keeps; None as for world.
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
    """The conditions of the work: physics threads, other machines that took part, seconds in all and for measuring."""

    threads: Count | None = None
    resumed_elsewhere: list[dict[str, Plain]] = []
    wall_s: Annotated[float, Field(ge=0)]
    measuring_s: Annotated[float, Field(ge=0)] | None = None


class Record(Moved, FinalSuccess, Conditions, Origin):
    """A run's record. task: id of the new task; notes: the method's own remarks."""

    task: TaskId
    method: Method
    budget: Budget
    upstream: Upstream | None
    notes: Settings = {}
    hashes: Hashes

    @property
    def task_name(self) -> str:
        """The new task's name."""
        return task_name(self.task)

    def final(self, update: int | None) -> Evaluation:
        """Return the final policy's numbers. update: the last one, None if it is not known."""
        used = {cost: getattr(self.budget, cost) for cost in Costs.model_fields}
        measured = {name: getattr(self, name) for name in (*Kept.model_fields, *Moved.model_fields)}
        new = Splits(test=self.new_task.final.greedy, select=self.new_task.select)
        skills = {skill: rates.final.greedy for skill, rates in self.original.items()}
        return Evaluation.model_construct(update=update, new_task=new, original=skills, **used, **measured)
