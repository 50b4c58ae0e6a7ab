"""The parser of every command: its errors are sentences."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from razorbench.errors import UsageError, nearest


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are UsageErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with the message and the closest valid word."""
        choice = re.search(r"(?<=invalid choice: )'(.*)' \(choose from (.*)\)", message)
        option = re.search(r"unrecognized arguments: (--[\w-]+)", message)
        meant = nearest(choice[1], choice[2].replace("'", "").split(", ")) if choice else None
        meant = nearest(option[1], re.findall(r"--[\w-]+", self.format_help())) if option else meant
        raise UsageError(f"{self.prog}: {message}{f' (did you mean {meant}?)' if meant else ''}; see {self.prog} --help")
