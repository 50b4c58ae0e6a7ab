"""Cache of a base policy's episodes, in `<results>/.base/`: all runs from one base on one machine share them.

A file that is damaged or has other episodes is set aside and made again; no run fails because of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from razorbench.errors import FileDamaged, Unreadable
from razorbench.measures.episodes import Episodes
from razorbench.store.disk import exists, near, seal, unseal
from razorbench.store.folder import RunFolder, digest
from razorbench.types import Identity
from razorbench.world.rollout import Cell

log = logging.getLogger("razorbench")


def episodes(folder: RunFolder, name: str, identity: Identity, cells: Sequence[Cell], play: Callable[[], Episodes]) -> Episodes:
    """Return the base's episodes of the cells, from the cache or played now. identity: everything that determines them."""
    key = digest(identity)
    path = (folder.results / ".base" / f"{name}-{key[:12]}.episodes").absolute()
    try:
        if exists(path):
            cached = Episodes.parsed(unseal(path, key).decode())
            if [row[:5] for row in cached.rows] == [
                ("base", cell.task.name, cell.split.value, cell.mode, int(start)) for cell in cells for start in cell.index
            ]:
                return cached
            raise FileDamaged(f"{near(path)} holds other episodes")
    except (OSError, Unreadable) as error:
        log.warning("%s cannot be read (%s); the base is measured again", near(path), error)
    except (FileDamaged, ValueError, StopIteration) as error:
        log.warning("%s; it is set aside, and the base is measured again", error)
        with suppress(OSError):
            folder.set_aside(path)
    played = play()
    try:
        folder.write(path, lambda temporary: temporary.write_bytes(seal(played.text().encode(), key)))
    except OSError as error:
        log.warning("%s cannot be written (%s); the next run measures the base again", near(path), error)
    return played
