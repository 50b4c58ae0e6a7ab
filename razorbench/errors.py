"""Errors that a user can cause or meet; each message is one sentence with a way out."""


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
