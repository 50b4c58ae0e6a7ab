"""Commands that messages suggest, as they are to be pasted into a shell."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

_COMMAND = re.compile(r"`((?:python -m )?razorbench\b[^`]*)`")


def finding(config_dir: str | None) -> str:
    """The end of a command that finds a user's own conf folder, if there is one."""
    return f" --config-dir {shlex.quote(config_dir)}" if config_dir else ""


def completed(sentence: str, config_dir: str | None) -> str:
    """Return a sentence with the user's own conf folder in every command that it suggests."""
    return _COMMAND.sub(lambda found: found[0] if "--config-dir" in found[1] else f"`{found[1]}{finding(config_dir)}`", sentence)


def sweep(results: Path, budget: str, config_dir: str | None) -> str:
    """The beginning of a command that adds runs to a folder of results."""
    return f"python -m razorbench -m{finding(config_dir)} {shlex.quote(f'results={results}')} budget={budget}"
