"""What `submission.json` holds, as pydantic models; nothing else may stand in it."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from razorbench.store import PACKED_CURVE, PACKED_EPISODES, POLICY, RECORD

SCHEMA = 1
FILE = "submission.json"
SUMS = "SHA256SUMS"
RUN_FILES = (RECORD, PACKED_CURVE, PACKED_EPISODES, POLICY)
MEASURES = ("score", "success", "retention", "forward_kl")
"""Numbers of a submission's final policies, over its suite's tasks, as its records have them."""

Line = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
Address = Annotated[str, Field(max_length=300, pattern=r"^https://[^\s\x00-\x1f\x7f<>\"']+$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Track(_Strict):
    """What a method was given, by its records: entries of one track alone are ranked together."""

    base: Name
    budget: Name
    old_task_data: bool
    demonstrations: bool
    environment_steps: bool
    expert_queries: bool


class Estimate(_Strict):
    """A mean over tasks of the mean over seeds, and its 95% Student interval over tasks."""

    value: float
    ci95: tuple[float, float]


class Submission(_Strict):
    """A method on a suite: who, what, and what its runs come to."""

    schema_: Literal[1] = Field(alias="schema")
    name: Line
    authors: Annotated[list[Line], Field(min_length=1, max_length=50)]
    description: Annotated[str, Field(min_length=1, max_length=2000)]
    licence: Line
    code: Address | None
    paper: Address | None
    suite: Name
    method: Name
    track: Track
    scores: dict[Name, Estimate | None]
    """By measure; null where it is undefined."""


class FreshRun(_Strict):
    """A run's score and success rates on fresh starts, by task, base and final."""

    task: Name
    seed: int
    score: float | None
    success: dict[Name, dict[Literal["base", "final"], float]]


class Fresh(_Strict):
    """What a package's policies did on fresh starts."""

    score: Estimate | None
    score_text: str
    runs: list[FreshRun]


class Level(_Strict):
    """What the board knows of a package: the level that it has reached, by whom, when, with what, on which seed."""

    level: Literal["validated", "replayed", "retrained"]
    package: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    who: Annotated[str, Field(max_length=120)]
    when: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    versions: dict[str, str]
    machine: dict[str, str | int | None]
    fresh_seed: int
    exact: int
    """Runs whose episodes repeated, row by row."""
    retrained_exact: int | None
    """Runs that repeated to the bit when they were trained again; None if they were not."""
    fresh: Fresh


def json_schema() -> str:
    """Return the JSON Schema of submission.json, as the docs have it."""
    return json.dumps(Submission.model_json_schema(), indent=2) + "\n"


def run_folder(task: str, seed: int) -> str:
    """Return where a run lies in a package."""
    return f"runs/{task}/seed{seed}"
