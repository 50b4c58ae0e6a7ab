"""Progress of a run in a terminal: one line that is redrawn if possible, else a line every ten seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.live import Live
from rich.text import Text

from razorbench.runs.run import Progress, Watcher
from razorbench.runs.spec import RunSpec
from razorbench.store.output import harmless, once_harmless

EVERY_S = 10.0
"""Seconds between lines if lines cannot be redrawn."""
_LEAST_BAR, _MOST_BAR, _NARROW = 10, 40, 40
"""Smallest and largest width of the bar, and smallest width of a terminal with a bar, in columns."""


@contextmanager
def watching(console: Console, title: str, spec: RunSpec, alone: bool) -> Iterator[Watcher]:
    """Show the progress of a run, or of a sequence that begins with it. The watcher never raises.

    title: name of the task or the sequence; alone: whether no other run draws in the same terminal.
    """
    line = Line(f"{title}, {spec.method_name}, seed {spec.seed}")
    redraws = alone and _redraws(console)
    then = "" if redraws else ": measuring the base policy first"
    with harmless("printing"):
        console.print(
            Text.assemble(*((title, "bold"), " with ", (spec.method_name, "bold")), f", from {spec.base.id}, seed {spec.seed}, budget {spec.budget.name}{then}")
        )
    if not redraws:
        last = time.perf_counter()

        def tell(progress: Progress) -> None:
            nonlocal last
            line.progress = progress
            if time.perf_counter() - last >= EVERY_S:
                last = time.perf_counter()
                console.print(line.whole())

        yield once_harmless(tell, "showing progress")
        return
    live = Live(get_renderable=_never_raising(lambda: line.fitting(console.width, console.encoding)), console=console, transient=True)
    with harmless("the progress bar"):
        live.start()

    def redraw(progress: Progress) -> None:
        line.progress = progress

    try:
        yield redraw
    finally:
        with harmless("the progress bar"):
            live.stop()


class Line:
    """The progress line of a run. progress: the latest, None before the first update."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.progress: Progress | None = None
        self._began = time.perf_counter()

    def whole(self) -> str:
        """Return the complete line."""
        first, *rest = self._parts()
        return f"{self.title}: {', '.join([first, *rest])}"

    def fitting(self, width: int, encoding: str = "utf-8") -> Text:
        """Return as much of the line as fits into `width` columns, with a bar from 40 columns on."""
        first, *rest = self._parts()
        line, bar = Text(first), self.progress is not None and width >= _NARROW
        most = width - (_LEAST_BAR + 2 if bar else 0)
        shown = [part for k, part in enumerate(rest) if len("  ".join([first, *rest[: k + 1]])) < most]
        if self.progress is not None and bar:
            room = min(width - len("  ".join([first, *shown])) - 3, _MOST_BAR)
            done = round(room * self.progress.update / max(self.progress.total, 1))
            full, empty = ("━", "─") if encoding.lower().startswith("utf") else ("#", "-")
            line.append("  ").append(full * done, "magenta").append(empty * (room - done), "dim")
        for part in shown:
            line.append("  " + part)
        line.truncate(max(width - 1, 1))
        line.no_wrap = True
        return line

    def _parts(self) -> list[str]:
        """Return the parts of the line, the most important first."""
        took = time.perf_counter() - self._began
        if (progress := self.progress) is None:
            return ["measuring the base policy", clock(took)]
        parts = [f"update {progress.update} of {progress.total}"]
        if progress.success is not None:
            parts.append(f"success {progress.success:.2f}")
        if progress.left_s is not None:
            parts.append(f"{clock(progress.left_s)} left")
        if progress.used.env_steps:
            parts.append(f"{progress.used.env_steps / took:,.0f} env steps/s")
        return parts


def clock(seconds: float) -> str:
    """Return seconds as 1:02 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _redraws(console: Console) -> bool:
    """Whether a line can be redrawn. Rich also treats a pipe with forced colors, and a notebook, as a terminal."""
    try:
        terminal = os.isatty(console.file.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return terminal and not console.is_dumb_terminal and not console.is_jupyter


def _never_raising(draw: Callable[[], Text]) -> Callable[[], Text]:
    """Return a function that draws nothing if `draw` fails. Rich calls it in its own thread, where errors cannot be caught."""

    def guarded() -> Text:
        with suppress(Exception):
            return draw()
        return Text("")

    return guarded
