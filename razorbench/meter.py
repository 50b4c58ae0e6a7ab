"""Costs are announced here where they arise, so that what a method makes for itself is counted like what it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int], None]
_listeners: list[Listener] = []
"""Of the whole process, so that threads of a method's own are heard too."""
_silent: ContextVar[bool] = ContextVar("silent", default=False)


def tell(what: str, amount: int) -> None:
    """Say that so much of a cost is about to arise; what a listener raises prevents it."""
    if _listeners and not _silent.get():
        for listener in tuple(_listeners):
            listener(what, amount)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call a listener for every cost that arises in the block, in any thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def silence() -> Iterator[None]:
    """Tell nobody of what this thread does in the block: it is counted otherwise, or it is the harness that measures."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)
