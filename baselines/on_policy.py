"""What methods share that learn from whole episodes of their own: how many to play, so that a budget lasts to the end."""

from __future__ import annotations

from razorbench.errors import UsageError
from razorbench.method import TaskHandle


def affordable(task: TaskHandle, iterations: int, length: float | None, *costs: str, group: int = 1) -> int:
    """Return how many episodes, a multiple of `group`, to play now so that what is left of the costs lasts for that many iterations.

    This iteration is one of them. length: decisions of a mean episode, or None while it is not known. Raises UsageError if not even one group can be played.
    """
    horizon = task.task.horizon
    left = min(task.left(cost) for cost in costs)
    episodes = min(int(left / iterations / (horizon if length is None else length)), left // horizon)
    if episodes < group:
        named = " and ".join(f"budget.{cost}" for cost in costs)
        raise UsageError(f"{named} leave {left} decisions for {iterations} iterations of {group} episodes or more: raise the budget or lower method.iterations")
    return episodes // group * group
