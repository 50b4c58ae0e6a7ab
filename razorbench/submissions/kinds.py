"""Strict types of a submitted record and snapshot: every value is typed, finite and in its range, at any depth."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from razorbench.submissions.hostile import Faults
from razorbench.submissions.schema import Line, Name

MOST = 1e6
"""Largest divergence or change of weights; ours stay below ten thousand."""
_PATH = re.compile(r"(?:^|[\s\"'=:(\[,])(?:/[^/\s]+){2,}|^~[\w/\\]|[A-Za-z]:\\|^\\\\|file:/")
_RANGES = {"js": 0.7, "tv": 1.0, "moved": 1.0}
_EXPECTED = {"missing": "there", "extra_forbidden": "nothing", "model_type": "a mapping", "dict_type": "a mapping"}
"""Plain words by pydantic's type of error."""
_MOST_SAID = 20
"""Largest number of listed faults of one record or snapshot."""
_SLACK = 1e-3
"""Tolerance of a range, for rounding."""

Finite = Annotated[float, Field(allow_inf_nan=False, ge=-MOST, le=MOST)]
Amount = Annotated[float, Field(allow_inf_nan=False, ge=-_SLACK, le=MOST)]
Share = Annotated[float, Field(allow_inf_nan=False, ge=-_SLACK, le=1 + _SLACK)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,39}$")]
Plain = str | int | float | bool | None


class _Kind(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Rate(_Kind):
    """A success rate."""

    successes: Count
    episodes: Annotated[int, Field(ge=1, le=10_000)]
    rate: Share
    ci95: Annotated[list[Share], Field(min_length=2, max_length=2)]


class Value(_Kind):
    """A number with its interval, or why there is none."""

    value: Finite | None
    ci95: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None
    undefined: str | None = None


class _Modes(_Kind):
    greedy: Rate
    sampled: Rate


class _Both(_Kind):
    base: _Modes
    final: _Modes


class _New(_Both):
    select: Rate


def _divergence(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    for name, values in found.items():
        most = _RANGES.get(name, MOST)
        for where, value in values.items():
            if value > most + _SLACK:
                raise ValueError(f"{name}.{where} is {value:.4g}, above {most:g}")
    return found


Divergence = Annotated[dict[Name, dict[Name, Amount]], AfterValidator(_divergence)]


class _Weights(_Kind):
    l1: Amount
    l2: Amount
    fisher: Amount
    spectral: Amount
    changed: Share
    rank: Amount | None


class _Activations(_Kind):
    l1: Amount
    l2: Amount
    cka: Share | None
    cknna: Share | None


class Drift(_Kind):
    """Drift of weights and activations."""

    weights: _Weights
    activations: dict[Name, _Activations]


class Measured(_Kind):
    """Measures that follow from a policy's weights."""

    divergence: Divergence
    drift: Drift


class Point(_Kind):
    """A snapshot, a line of the curve."""

    update: Count
    env_steps: Count
    demo_episodes: Count
    expert_queries: Count
    gradient_steps: Count
    new_task: dict[Name, Rate]
    original: dict[Name, Rate]
    forgetting: Value
    retention: Value
    divergence: Divergence
    drift: Drift


class _Method(_Kind):
    name: Name
    family: Line
    version: Annotated[int, Field(ge=1, lt=2**31)]
    code: Hash | None = None
    demos: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$|^sha256:[0-9a-f]{64}$")]


class _Budget(_Kind):
    name: Name
    env_steps: int
    demo_episodes: int
    expert_queries: int
    gradient_steps: int
    uncounted: dict[Name, Count] = {}
    caps: dict[Name, Any]
    old_task_data: bool


class _Upstream(_Kind):
    method: Name | None
    run: Hash | None
    env_steps: Count
    demo_episodes: Count
    expert_queries: Count
    gradient_steps: Count


class _Machine(_Kind):
    system: Line
    architecture: Line
    processor: Annotated[str, Field(max_length=120)]
    simd: Line
    cores: Annotated[int, Field(ge=1, le=2**20)] | None
    threads: Annotated[int, Field(ge=1, le=2**20)] | None = None


class _Git(_Kind):
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$|^[0-9a-f]{64}$")]
    changed: bool


class _Hashes(_Kind):
    run: Hash
    task_spec: Hash
    base_policy: Hash
    probe: Hash


class Record(_Kind):
    """A run's record."""

    schema_: int = Field(alias="schema")
    protocol: Annotated[int, Field(ge=1, lt=2**31)]
    task: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}-v[0-9]{1,6}$")]
    world: Line | None = None
    estimator: Line | None = None
    promises: Annotated[list[Line], Field(max_length=10)] | None = None
    base: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}-s[0-9]{1,6}$")]
    seed: Count
    method: _Method
    budget: _Budget
    upstream: _Upstream | None
    notes: dict[Annotated[str, Field(max_length=120)], Plain | list[Plain] | dict[str, Plain]]
    config: dict[str, Any]
    hashes: _Hashes
    versions: dict[Annotated[str, Field(max_length=60)], Version]
    machine: _Machine
    git: _Git | None
    threads: Annotated[int, Field(ge=1, le=2**20)] | None
    resumed_elsewhere: Annotated[list[_Machine], Field(max_length=1000)]
    wall_s: Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e9)]
    measuring_s: Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e9)]
    new_task: _New
    original: dict[Name, _Both]
    forgetting: Value
    retention: Value
    score: Finite | None
    divergence: Divergence
    drift: Drift

    @model_validator(mode="after")
    def _times(self) -> Record:
        if self.measuring_s > self.wall_s + 1:
            raise ValueError(f"measuring_s is {self.measuring_s:g}, more than wall_s, {self.wall_s:g}")
        return self


def check(kind: type[BaseModel], found: object, file: str, faults: Faults) -> bool:
    """Add the values of a wrong type and paths of a machine. Return whether there are none."""
    before = len(faults)
    try:
        kind.model_validate(found)
    except ValidationError as error:
        for each in error.errors(include_url=False)[:_MOST_SAID]:
            what = "missing" if each["type"] == "missing" else each["input"] if each["loc"] else "inconsistent"
            faults.add(file, ".".join(map(str, each["loc"])) or "content", what, _EXPECTED.get(each["type"], each["msg"].removeprefix("Input should be ")))
    for where, word in _words(found):
        if _PATH.search(word):
            faults.add(file, where, word, "no path of a machine: leave it out")
    return len(faults) == before


def _words(node: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string in plain data with its dotted path."""
    if isinstance(node, str):
        yield where, node
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ():
        yield from _words(value, f"{where}.{key}".lstrip("."))
