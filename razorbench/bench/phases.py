"""Profile of a block of code: times chosen functions while it runs."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch


@dataclass(frozen=True)
class Timed:
    """A function to time: `getattr(owner, name)`. scope: groups the phases inside the function, such as `training`; phase: its own kind of work."""

    owner: Any
    name: str
    scope: str | None = None
    phase: str | None = None


class Phases:
    """Seconds by (scope, phase), each second once: the time of an inner timed function is subtracted from the outer one.

    Only the calling thread counts; time without a phase is `rest`.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._now = ("rest", "rest")
        self._since = 0.0

    @contextmanager
    def timing(self, functions: Sequence[Timed]) -> Iterator[None]:
        """Time these functions within the block."""
        thread = threading.current_thread()
        with ExitStack() as stack:
            for timed in functions:
                stack.enter_context(patch.object(timed.owner, timed.name, self._wrap(timed, thread)))
            self._since = time.perf_counter()
            try:
                yield
            finally:
                self._switch(self._now)

    def of(self, scope: str) -> dict[str, float]:
        """Return the seconds of a scope by phase, longest first."""
        chosen = {phase: s for (where, phase), s in self.seconds.items() if where == scope}
        return dict(sorted(chosen.items(), key=lambda item: -item[1]))

    def _wrap(self, timed: Timed, thread: threading.Thread) -> Callable[..., Any]:
        function = getattr(timed.owner, timed.name)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is not thread:
                return function(*args, **kwargs)
            outer = self._now
            self._switch((timed.scope or outer[0], timed.phase or "rest"))
            try:
                return function(*args, **kwargs)
            finally:
                self._switch(outer)

        return wrapper

    def _switch(self, to: tuple[str, str]) -> None:
        now = time.perf_counter()
        self.seconds[self._now] += now - self._since
        self._since, self._now = now, to
