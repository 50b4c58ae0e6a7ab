"""What a record, a snapshot and a sequence's record have to be before anything is computed from them: every number a number, every name a name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from razorbench.errors import FileDamaged
from razorbench.store.bounded import shown
from razorbench.store.folder import CURVE, NAME, PACKED_CURVE, SequenceFolder, read_curve, read_record

T = TypeVar("T")

Name = Annotated[str, Field(pattern=rf"^{NAME}$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
Word = Annotated[str, Field(max_length=200)]
Settings = dict[str, Any]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Leaf = float | Annotated[list[float], Field(max_length=2)] | None
Numbers = dict[str, Leaf | dict[str, Leaf | dict[str, Leaf]]]


class _Read(BaseModel):
    """Extra keys are passed over: later versions may write more."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Rate(_Read):
    """A success rate."""

    successes: Count
    episodes: Annotated[int, Field(ge=1)]
    rate: Share
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None


class Estimate(_Read):
    """A value with its interval, or why there is none."""

    value: float | None = None
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    undefined: Word | None = None


class Costs(_Read):
    """What was used up."""

    env_steps: Count = 0
    demo_episodes: Count = 0
    expert_queries: Count = 0
    gradient_steps: Count = 0


class Measured(_Read):
    """What a policy was measured to be."""

    forgetting: Estimate | None = None
    retention: Estimate | None = None
    divergence: Numbers | None = None
    drift: Numbers | None = None


class Snapshot(Costs, Measured):
    """A line of a curve."""

    update: Count
    new_task: dict[Name, Rate]
    original: dict[Name, Rate] | None = None


class Budget(Costs):
    """A budget's name, what was used of it and what it allows."""

    name: Name
    old_task_data: bool = False
    caps: Settings | None = None


class Config(_Read):
    """What a run was composed of. Nothing in it is ever built: see `recorded`."""

    task: Settings | None = None
    method: Settings | None = None
    base: Settings | None = None
    eval: Settings | None = None
    log_std: Word | None = None
    demos: Word | None = None


class Upstream(Costs):
    """Whose policy a run learned from."""

    method: Name | None = None
    run: Hash | None = None


class Method(_Read):
    """The method of a run, or of a sequence, whose demonstrations are listed by task."""

    name: Name
    family: Word
    version: Count
    code: Word | None = None
    demos: Word | list[Word]


class Hashes(_Read):
    """Digests. task_spec: of each task in a sequence."""

    run: Hash
    task_spec: Word | list[Word] | None = None
    base_policy: Word | None = None
    probe: Word | None = None


class _Head(_Read):
    protocol: Count
    base: Annotated[str, Field(pattern=rf"^{NAME}-s[0-9]{{1,9}}$")]
    seed: Count
    method: Method
    budget: Any
    hashes: Hashes
    config: Config | None
    versions: dict[str, Word]
    wall_s: Annotated[float, Field(ge=0)]


_Task = Annotated[str, Field(pattern=rf"^{NAME}-v[0-9]{{1,9}}$")]
_Rates = dict[str, dict[str, Rate]]


class Record(_Head, Measured):
    """A run's record."""

    task: _Task
    budget: Budget
    upstream: Upstream | None
    new_task: dict[str, Rate | dict[str, Rate]]
    original: dict[Name, _Rates] | None
    score: float | None


class SequenceRecord(_Head):
    """A sequence's record."""

    sequence: Name
    tasks: list[_Task]
    success: dict[Name, list[Rate]]
    original_skills: list[Name]
    retention: Annotated[list[Estimate], Field(min_length=1)]
    transfer: dict[str, Estimate]


_CURVE = TypeAdapter(Annotated[list[Snapshot], Field(min_length=1)])
_DAMAGED = "it is damaged or no run wrote it; delete its folder and run again"


def read_run(path: Path) -> dict[str, Any]:
    """Read a run's record; raises FileDamaged if it cannot be read, or if anything in it is not what it has to be."""
    return _checked(path, read_record(path), Record.model_validate)


def read_sequence(path: Path) -> dict[str, Any]:
    """Read a sequence's record; raises as `read_run` does."""
    return _checked(path, read_record(path, SequenceFolder.required), SequenceRecord.model_validate)


def read_snapshots(folder: Path) -> list[dict[str, Any]]:
    """Read a run's curve; none if its snapshots were not kept. Raises as `read_run` does."""
    if not any((folder / name).exists() for name in (CURVE, PACKED_CURVE)):
        return []
    return _checked(folder / CURVE, read_curve(folder), _CURVE.validate_python)


def _checked(path: Path, found: T, validate: Callable[[T], object]) -> T:
    try:
        validate(found)
    except ValidationError as error:
        # Of a value that may be of several kinds, the fault that lies deepest.
        where, value, why = max((_fault(found, each) for each in error.errors(include_url=False, include_context=False)), key=lambda fault: len(fault[0]))
        raise FileDamaged(f"{path} has {'.'.join(where) or 'a whole'} {shown(value)}, expected {why}: {_DAMAGED}") from error
    return found


def _fault(found: Any, error: Any) -> tuple[list[str], object, str]:
    """Where a fault lies, what is there and what should be."""
    where: list[str] = []
    for key in error["loc"]:
        inside = key in found if isinstance(found, dict) else isinstance(found, list) and isinstance(key, int) and key < len(found)
        # Among the keys stand names of the kinds that a value may be of.
        if inside:
            found = found[key]
        if inside or error["type"] == "missing":
            where.append(shown(str(key)))
    if error["type"] == "missing":
        return where, "missing", "a value"
    return where, found, _KINDS.get(error["type"], str(error["msg"]).removeprefix("Input should be ").removeprefix("a valid "))


_KINDS = {"model_type": "a mapping", "dict_type": "a mapping", "string_pattern_mismatch": "a name", "float_type": "a number", "int_type": "a whole number"}
