"""Pydantic models of `submission.json` and the board's levels, without any other keys."""

from __future__ import annotations

import json
import time
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from razorbench.store.folder import PACKED_CURVE, PACKED_EPISODES, POLICY, RECORD
from razorbench.submissions.names import unseen

SCHEMA = 1
FILE = "submission.json"
SUMS = "SHA256SUMS"
RUN_FILES = (RECORD, PACKED_CURVE, PACKED_EPISODES, POLICY)
MEASURES = ("score", "success", "retention", "forward_kl")
"""Measures of a submission's final policies over its suite's tasks, from its records."""


def _visible(text: str) -> str:
    if (why := unseen(text)) is not None:
        raise ValueError(f"a name has to be what one sees: {why}")
    return text


def _printable(text: str) -> str:
    if not all(line.isprintable() for line in text.split("\n")):
        raise ValueError("it holds characters that no page shows")
    return text


def _day(text: str) -> str:
    try:
        there = date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"there is no such day ({error})") from error
    if there.isoformat() > (today := time.strftime("%Y-%m-%d", time.gmtime())):
        raise ValueError(f"the day lies ahead of today, {today}")
    return text


Line = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_visible)]
Address = Annotated[str, Field(max_length=300, pattern=r"^https://[a-z0-9.-]+(/[!#$%&()*+,./0-9:;=?@A-Z_a-z~-]*)?$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1)]
Count = Annotated[int, Field(ge=0, lt=2**31)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Track(_Strict):
    """What a method was given, according to its records. Only entries of the same track are ranked together."""

    base: Name
    budget: Name
    old_task_data: bool
    demonstrations: bool
    environment_steps: bool
    expert_queries: bool


class Estimate(_Strict):
    """A mean over tasks of the means over seeds, with its 95% Student interval over tasks."""

    value: Finite
    ci95: tuple[Finite, Finite]

    @model_validator(mode="after")
    def _inside(self) -> Estimate:
        if not self.ci95[0] <= self.value <= self.ci95[1]:
            raise ValueError("a value lies within its interval")
        return self


class Submission(_Strict):
    """A method on a suite: authors, description and scores."""

    schema_: Literal[1] = Field(alias="schema")
    name: Line
    authors: Annotated[list[Line], Field(min_length=1, max_length=50)]
    description: Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_printable)]
    licence: Line
    code: Address | None
    paper: Address | None
    suite: Name
    method: Name
    track: Track
    scores: dict[Name, Estimate | None]
    """Scores by measure; null if undefined."""


class FreshRun(_Strict):
    """A run's score and success rates on fresh starts, by task, base and final."""

    task: Name
    seed: Count
    score: Share | None
    success: dict[Name, dict[Literal["base", "final"], Share]]


class Fresh(_Strict):
    """Results of a package's policies on fresh starts."""

    score: Estimate | None
    score_text: Annotated[str, Field(max_length=120)]
    runs: Annotated[list[FreshRun], Field(min_length=1, max_length=1000)]


class Level(_Strict):
    """The board's file on a package: its level, and who checked it, when, with which versions, on which seed."""

    level: Literal["validated", "replayed", "retrained"]
    package: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    who: Annotated[str, Field(max_length=120), AfterValidator(lambda text: text and _visible(text))]
    when: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day)]
    versions: dict[str, Annotated[str, Field(max_length=60)]]
    machine: dict[str, str | int | None]
    fresh_seed: Count
    exact: Count
    """Number of runs whose episodes repeated row by row."""
    retrained_exact: Count | None
    """Number of runs that repeated bit for bit in a retraining; None without one."""
    fresh: Fresh
    replayed: dict[Name, Estimate | None] | None = None
    """Results of the replay on published starts, by measure; None in early levels."""


def json_schema() -> str:
    """Return the JSON Schema of submission.json for the docs."""
    return json.dumps(Submission.model_json_schema(), indent=2) + "\n"


def run_folder(task: str, seed: int) -> str:
    """Return a run's folder in a package."""
    return f"runs/{task}/seed{seed}"
