"""Standard output and error that cannot stop a run: a closed pipe, a full disk or a narrow encoding lose lines only."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, ParamSpec, TextIO

from razorbench.errors import RazorbenchError

P = ParamSpec("P")


class Lenient:
    """A text stream that drops text that it cannot write. It reports the reason once on stderr, except for a closed pipe."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name

    def write(self, text: str) -> int:
        """Write text and return its length. Characters that the encoding lacks become escapes."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            return self.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop the text if that fails."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._drop(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self, error: Exception) -> None:
        # Redirect the stream to the null device, or Python would write the rest again at exit and return an exit code of its own.
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            warn(f"{self._name} cannot be written ({error.strerror}): the rest of it is lost; results are not affected")


@contextmanager
def lenient() -> Iterator[None]:
    """Make standard output and error lenient in the block, and restore them after it."""
    streams = sys.stdout, sys.stderr
    # A process may start without either.
    sys.stdout, sys.stderr = (stream and Lenient(stream, name) for stream, name in zip(streams, ("standard output", "standard error"), strict=True))  # type: ignore[assignment]
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, Lenient):
                stream.flush()
        sys.stdout, sys.stderr = streams


def in_a_sentence(main: Callable[[], object]) -> NoReturn:
    """Run a module's `main` and exit. A RazorbenchError becomes one line on stderr and its exit code."""
    try:
        main()
    except RazorbenchError as error:
        warn(str(error))
        sys.exit(error.exit_code)
    sys.exit(0)


def warn(sentence: str) -> None:
    """Print one line on stderr."""
    print(f"razorbench: {' '.join(sentence.split())}", file=sys.stderr)


@contextmanager
def harmless(what: str) -> Iterator[None]:
    """Report an error in the block in one line on stderr and continue: display must not stop a run. what: name of the failed part."""
    try:
        yield
    except Exception as error:
        warn(f"{what} failed ({type(error).__name__}: {error}); results are not affected")


def once_harmless(function: Callable[P, object], what: str) -> Callable[P, None]:
    """Return a harmless function that does nothing after its first failure. what: its name."""
    works = True

    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        nonlocal works
        if works:
            works = False
            with harmless(what):
                function(*args, **kwargs)
                works = True

    return guarded
