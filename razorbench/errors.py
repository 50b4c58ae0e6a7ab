"""Errors that a user can cause or meet; each message is one sentence with a way out."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class RazorbenchError(Exception):
    """Base of all errors that end a command with one sentence instead of a traceback."""

    exit_code = 1


class UsageError(RazorbenchError):
    """The command, a name or a value is wrong; nothing was started."""

    exit_code = 2


class FileDamaged(UsageError):
    """A file exists but cannot be what it claims to be."""


class Claimed(RazorbenchError):
    """Another living worker does this run."""


class TakenOver(Claimed):
    """Another worker has taken this run over, while this one slept."""


class Unreadable(FileDamaged):
    """The file system did not give a file, which may be whole."""


class BudgetExceeded(RazorbenchError):
    """A method asked for more than its budget allows."""


class UpdatesWrong(RazorbenchError):
    """A method's report of its updates does not add up."""


class UnlikeItsFile(RazorbenchError):
    """A policy does what no file of its parameters could say."""


class NotFinite(RazorbenchError):
    """NaN or infinity where a number belongs; the run stops rather than report it."""


def among(word: str, names: Iterable[str], others: Iterable[str] = ()) -> str:
    """Return the end of a sentence about a wrong name: what it may have been meant for, and all that there are. others: names that may be meant too."""
    known = list(names)
    meant = nearest(word, [*known, *others])
    return f"{f' (did you mean {meant}?)' if meant else ''}; there {'is' if len(known) == 1 else 'are'} {', '.join(known) or 'none'}"


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that a word is nearest to: by its letters, by the first letters of its words, as lr is to learning_rate, or as a part of it."""
    known = {name.casefold(): name for name in names}
    wanted = word.casefold()
    close = difflib.get_close_matches(wanted, known, 1)
    short = [name for name in known if wanted == "".join(part[:1] for part in name.rpartition(".")[2].split("_"))]
    parts = [name for name in known if len(wanted) > 2 and wanted in name]
    return next((known[name] for name in (*close, *short, *parts)), None)


@contextmanager
def saying_where(place: str) -> Iterator[None]:
    """Put the place in front of the message of a NotFinite that is raised in the block."""
    try:
        yield
    except NotFinite as error:
        raise NotFinite(f"{place}: {error}") from error
