"""Types of a sequence's record."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from razorbench.store.estimate import Estimated
from razorbench.store.record import Conditions, Costs, Count, Divergence, Hashes, Method, Name, Origin, Part, Plain, Rate, Splits, TaskId, Word, task_name


class StageSnapshot(Costs):
    """A line of a sequence's curve: success on the current stage's task. stage: number from 1; task: its name; update: number within the stage."""

    stage: Annotated[int, Field(ge=1)]
    task: Name
    update: Count
    new_task: Splits


class SequenceMethod(Method):
    """A sequence's method. demos: style of demonstrations, by task."""

    demos: list[Word]  # type: ignore[assignment]


class SequenceHashes(Hashes):
    """Digests of a sequence. task_spec: by task."""

    task_spec: list[Word] | None = None  # type: ignore[assignment]


class StageCosts(Costs):
    """Costs of one stage of a sequence. uncounted: as in `Budget`."""

    uncounted: dict[str, Count] = Field(default_factory=dict)


class SequenceBudget(Part):
    """Costs of the stages of a sequence; each stage has the same budget."""

    name: Name
    caps: dict[str, Plain] | None = None
    used: list[StageCosts] = Field(default_factory=list)
    old_task_data: bool = False


class SequenceRecord(Conditions, Origin):
    """A sequence's record. success: greedy, TEST, by task and original skill, before the first stage and after each; retention: after each stage."""

    sequence: Name
    tasks: list[TaskId]
    method: SequenceMethod
    budget: SequenceBudget
    hashes: SequenceHashes
    success: dict[Name, list[Rate]]
    original_skills: list[Name]
    forgetting_of_skills: list[Estimated] = Field(default_factory=list)
    retention: Annotated[list[Estimated], Field(min_length=1)]
    divergence: list[Divergence] = Field(default_factory=list)
    transfer: dict[str, Estimated]

    @property
    def task_names(self) -> list[str]:
        """Names of the tasks, in learning order."""
        return list(map(task_name, self.tasks))
