"""Number of episodes per iteration of an on-policy method, so that its budget lasts to the end."""

from __future__ import annotations

from razorbench.errors import UsageError
from razorbench.method import TaskHandle


def affordable(task: TaskHandle, iterations: int, length: float | None, *costs: str, group: int = 1) -> int:
    """Return the number of episodes to play in this iteration, a multiple of `group`.

    iterations: number of remaining iterations, this one included; length: mean decisions per episode, None if unknown; costs: those to spread. Raises
    UsageError if the budget is too small for one group.
    """
    horizon = task.task.horizon
    left = min(task.left(cost) for cost in costs)
    episodes = min(int(left / iterations / (horizon if length is None else length)), left // horizon)
    if episodes < group:
        named = " and ".join(f"budget.{cost}" for cost in costs)
        raise UsageError(f"{named} leave {left} decisions for {iterations} iterations of {group} episodes or more: raise the budget or lower method.iterations")
    return episodes // group * group
