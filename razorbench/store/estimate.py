"""A number with its 95% interval, or the reason why there is none: one form in records, one in text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return self.text()

    def text(self, decimals: int | None = None) -> str:
        """Format all three numbers to the same precision. decimals: by default those that `number` gives the largest of them."""
        parts = self.value, self.low, self.high
        size = max(map(abs, parts))
        value, low, high = (number(part, size) if decimals is None else _fixed(part, decimals) for part in parts)
        return f"{value} [{low}, {high}]"

    def line(self) -> str:
        """Format it for a terminal: `0.123  95% 0.10 to 0.15`."""
        return f"{self.value:.3f}  95% {between(self.low, self.high)}"


@dataclass(frozen=True)
class Undefined:
    """A number that does not exist, and why."""

    why: str

    @property
    def value(self) -> None:
        """None, so that a record's estimates all have a value."""
        return None


def number(value: float, like: float | None = None) -> str:
    """Format a number: two decimals, three below 0.01, two digits below 0.0005, none from 1000. like: the number that decides, by default the value."""
    size = abs(value if like is None else like)
    if size >= 1000:
        return f"{value:,.0f}"
    if 0 < size < 0.0005:
        return f"{value:.2g}"
    decimals = 3 if 0 < size < 0.01 else 2
    return _fixed(value, decimals)


def between(low: float, high: float) -> str:
    """Format an interval without its value: `0.12 to 0.34`."""
    return f"{_fixed(low, 2)} to {_fixed(high, 2)}"


def _fixed(value: float, decimals: int) -> str:
    # Adding 0 makes a negative zero positive.
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def plain(estimate: Estimate | Undefined) -> dict[str, Any]:
    """Return an estimate in the form of records."""
    if isinstance(estimate, Undefined):
        return {"value": None, "ci95": None, "undefined": estimate.why}
    return {"value": estimate.value, "ci95": [estimate.low, estimate.high]}


def _parsed(node: object) -> Estimate | Undefined:
    """Read the form of `plain`; null counts as not measured."""
    if isinstance(node, Estimate | Undefined):
        return node
    match node:
        case None:
            return Undefined("not measured")
        case {"value": None, "undefined": str(why)} if len(why) <= _MOST_WHY:
            return Undefined(why)
        case {"value": None}:
            return Undefined("not measured")
        case {"value": value, "ci95": [low, high]} if all(map(_is_number, (value, low, high))):
            return Estimate(value, low, high)
    expected = "a value with its 95% interval, ci95" if isinstance(node, Mapping) else "a mapping"
    raise PydanticCustomError("estimate", "{expected}", {"expected": expected})


def _is_number(node: object) -> bool:
    return isinstance(node, int | float) and not isinstance(node, bool)


_MOST_WHY = 200
Estimated = Annotated[Estimate | Undefined, PlainValidator(_parsed), PlainSerializer(plain)]
"""Type of a record's field."""
