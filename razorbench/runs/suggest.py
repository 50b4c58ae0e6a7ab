"""Commands in messages, ready to paste into a shell."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

_COMMAND = re.compile(r"`((?:python -m )?razorbench\b[^`]*)`")


def finding(config_dir: str | None) -> str:
    """Return the option for a user's own conf folder, empty if there is none."""
    return f" --config-dir {shlex.quote(config_dir)}" if config_dir else ""


def completed(sentence: str, config_dir: str | None) -> str:
    """Return a sentence with the user's own conf folder added to every command in it."""
    return _COMMAND.sub(lambda match: match[0] if "--config-dir" in match[1] else f"`{match[1]}{finding(config_dir)}`", sentence)


def sweep(results: Path, budget: str, config_dir: str | None) -> str:
    """Return the beginning of a command that adds runs to a results folder."""
    return f"python -m razorbench -m{finding(config_dir)} {shlex.quote(f'results={results}')} budget={budget}"
