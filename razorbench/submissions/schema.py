"""What `submission.json` and the board's levels hold, as pydantic models; nothing else may stand in them."""

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
"""Numbers of a submission's final policies, over its suite's tasks, as its records have them."""


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
    """What a method was given, by its records: entries of one track alone are ranked together."""

    base: Name
    budget: Name
    old_task_data: bool
    demonstrations: bool
    environment_steps: bool
    expert_queries: bool


class Estimate(_Strict):
    """A mean over tasks of the mean over seeds, and its 95% Student interval over tasks."""

    value: Finite
    ci95: tuple[Finite, Finite]

    @model_validator(mode="after")
    def _inside(self) -> Estimate:
        if not self.ci95[0] <= self.value <= self.ci95[1]:
            raise ValueError("a value lies within its interval")
        return self


class Submission(_Strict):
    """A method on a suite: who, what, and what its runs come to."""

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
    """By measure; null where it is undefined."""


class FreshRun(_Strict):
    """A run's score and success rates on fresh starts, by task, base and final."""

    task: Name
    seed: Count
    score: Share | None
    success: dict[Name, dict[Literal["base", "final"], Share]]


class Fresh(_Strict):
    """What a package's policies did on fresh starts."""

    score: Estimate | None
    score_text: Annotated[str, Field(max_length=120)]
    runs: Annotated[list[FreshRun], Field(min_length=1, max_length=1000)]


class Level(_Strict):
    """What the board knows of a package: the level that it has reached, by whom, when, with what, on which seed."""

    level: Literal["validated", "replayed", "retrained"]
    package: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    who: Annotated[str, Field(max_length=120), AfterValidator(lambda text: text and _visible(text))]
    when: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day)]
    versions: dict[str, Annotated[str, Field(max_length=60)]]
    machine: dict[str, str | int | None]
    fresh_seed: Count
    exact: Count
    """Runs whose episodes repeated, row by row."""
    retrained_exact: Count | None
    """Runs that repeated to the bit when they were trained again; None if they were not."""
    fresh: Fresh
    replayed: dict[Name, Estimate | None] | None = None
    """What the package's policies did on the published starts when they were played again, by measure; None in levels of before."""


def json_schema() -> str:
    """Return the JSON Schema of submission.json, as the docs have it."""
    return json.dumps(Submission.model_json_schema(), indent=2) + "\n"


def run_folder(task: str, seed: int) -> str:
    """Return where a run lies in a package."""
    return f"runs/{task}/seed{seed}"
