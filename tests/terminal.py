"""A terminal for tests: a program in a pseudo-terminal, and what a person sees of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyte

RAZORBENCH = [sys.executable, "-m", "razorbench"]


@dataclass(frozen=True)
class Session:
    """What a program did in a terminal. code: its exit code; raw: every byte; seen: the lines that a person sees at the end, scrolled ones too.

    first_s, seconds: until the first byte, and until the end. moments: every screen's last line that was not empty, each once, in order.
    """

    code: int
    raw: bytes
    seen: list[str]
    moments: list[str]
    first_s: float
    seconds: float

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.seen)


def in_terminal(command: Sequence[str], columns: int = 80, rows: int = 24, environment: Mapping[str, str | None] | None = None, **options: Any) -> Session:
    """Run a command in a pseudo-terminal. environment: variables to set, or None to remove. options: of `os.chdir`, as in cwd=..."""
    wanted = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
    # A test session's own settings are no part of what a person has.
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI"):
        if environment is None or name not in environment:
            wanted.pop(name, None)
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if "cwd" in options:
            os.chdir(options["cwd"])
        os.execvpe(command[0], list(command), {name: value for name, value in wanted.items() if value is not None})
    screen = pyte.HistoryScreen(columns, rows, history=100_000, ratio=1.0)
    stream, raw, first, moments = pyte.ByteStream(screen), b"", None, [""]
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        first = time.perf_counter() - began if first is None else first
        raw += part
        stream.feed(part)
        last = next((line.rstrip() for line in reversed(screen.display) if line.strip()), "")
        if last != moments[-1]:
            moments.append(last)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    scrolled = ["".join(row[column].data for column in range(columns)) for row in screen.history.top]
    seen = [line.rstrip() for line in [*scrolled, *screen.display]]
    while seen and not seen[-1]:
        seen.pop()
    return Session(os.waitstatus_to_exitcode(status), raw, seen, moments[1:], first or 0.0, time.perf_counter() - began)


def controls(raw: bytes) -> list[bytes]:
    """Return the control sequences in what a terminal was sent."""
    return re.findall(rb"\x1b\[[0-9;?]*[A-Za-z]", raw)


if __name__ == "__main__":
    ran = in_terminal(sys.argv[1:])
    print(ran.text)
    print(f"first line after {ran.first_s:.1f} s, {ran.seconds:.0f} s in all, exit code {ran.code}")
    sys.exit(ran.code)
