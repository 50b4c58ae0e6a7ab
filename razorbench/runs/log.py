"""A run's `log.txt`. No result depends on it, so a line that cannot be written is lost and the run continues."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from razorbench.errors import TakenOver
from razorbench.store.disk import near
from razorbench.store.lock import Claim
from razorbench.store.output import warn

log = logging.getLogger("razorbench")


class _Log(logging.FileHandler):
    """Writes lines while the worker's claim holds, and warns once if it cannot write."""

    def __init__(self, path: Path, claim: Claim) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self._claim, self._told = claim, False
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._claim.check()
            super().emit(record)
        except TakenOver:
            pass
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._told:
            self._told = True
            warn(f"{near(Path(self.baseFilename))} cannot be written ({sys.exc_info()[1]}): some of its lines are lost; results are not affected")


@contextmanager
def logging_to(path: Path, claim: Claim) -> Iterator[None]:
    """Write the log of the block to a file."""
    handler = _Log(path, claim)
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate
        with suppress(OSError):
            handler.close()
