"""Standard output and error that cannot stop the work: a reader that goes away, a full disk or a narrow encoding cost lines, never a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, ParamSpec, TextIO

from razorbench.errors import RazorbenchError

P = ParamSpec("P")


class Lenient:
    """A text stream that drops what cannot be written. A reader that went away is passed over in silence; any other reason is told once, on stderr."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name

    def write(self, text: str) -> int:
        """Write text, characters that the encoding lacks as escapes; returns its length."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            return self.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop what cannot be written."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._drop(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _drop(self, error: Exception) -> None:
        # Into nothing from here on, or Python would try to write the rest again at exit and end with a code of its own.
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            warn(f"{self._name} takes no more ({error.strerror}): what else there is to show is left out; results are not affected")


@contextmanager
def lenient() -> Iterator[None]:
    """Make standard output and error of the block lenient, and put back what was there."""
    before = sys.stdout, sys.stderr
    # A process may be started without either.
    sys.stdout, sys.stderr = (stream and Lenient(stream, name) for stream, name in zip(before, ("standard output", "standard error"), strict=True))  # type: ignore[assignment]
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, Lenient):
                stream.flush()
        sys.stdout, sys.stderr = before


def in_a_sentence(main: Callable[[], object]) -> NoReturn:
    """Run a module's `main` and exit: an error of ours as one line on stderr and its exit code."""
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
    """Tell of an error in the block in one line on stderr, and go on: what is shown never decides over what is done."""
    try:
        yield
    except Exception as error:
        warn(f"{what} failed ({type(error).__name__}: {error}); results are not affected")


def once_harmless(function: Callable[P, object], what: str) -> Callable[P, None]:
    """Return a function that is harmless, and that is not called again once it has failed."""
    works = True

    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        nonlocal works
        if works:
            works = False
            with harmless(what):
                function(*args, **kwargs)
                works = True

    return guarded
