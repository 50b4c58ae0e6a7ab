"""Checks of a caller's arguments to an environment; each raises UsageError."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from razorbench.errors import UsageError
from razorbench.types import FloatArray


def known(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise UsageError for a value that is not allowed."""
    if value not in allowed:
        raise UsageError(f"{name}={value!r}: there is no such {name}; choose from {', '.join(map(repr, allowed))}")


def positive(name: str, value: Any) -> None:
    """Raise UsageError for a value that is not a positive whole number."""
    if not isinstance(value, int | np.integer) or value < 1:
        raise UsageError(f"{name}={value!r}: give a whole number of 1 or more")


def actions(given: Any, shape: tuple[int, ...]) -> FloatArray:
    """Return actions as an array. Raises UsageError if they are not real numbers of this shape."""
    try:
        numbers = np.asarray(given)
    except ValueError:
        raise UsageError(f"the action is a list of rows of unequal lengths: give numbers in [-1, 1] of shape {shape}") from None
    if numbers.shape != shape or numbers.dtype.kind not in "fiu":
        raise UsageError(f"the action is of type {numbers.dtype} and shape {numbers.shape}: give numbers in [-1, 1] of shape {shape}")
    return numbers
