"""Options and messages shared by the commands over packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from razorbench.errors import UsageError
from razorbench.statistics.finished_runs import Run
from razorbench.store.folder import PROTOCOL
from razorbench.submissions.levels import read_levels
from razorbench.submissions.package import Package
from razorbench.submissions.schema import Level
from razorbench.submissions.validate import without_policies

SHOWN = 40
DECLARED = "declared only, because nothing in a package shows them: track, costs, SELECT rows, snapshots"
LEVELS_HELP = "folder of the board's levels, for a package kept without policies; by default `levels` next to the folder of entries"


def opened(root: Path) -> Package:
    """Open a package's folder. Raises UsageError if it does not exist."""
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; give the one that `razorbench pack` wrote")
    return Package(root)


def level_of(package: Package, folder: Path | None) -> Level | None:
    """Return the level that vouches for a package kept without its policies; None for any other package."""
    nearby = package.root.absolute().parent.parent / "levels"
    levels = folder or (nearby if nearby.is_dir() else None)
    return read_levels(levels).get(package.digest) if levels is not None and without_policies(package) else None


def as_kept(level: Level, runs: Sequence[Run]) -> str:
    """Return the note on a package whose policies were removed after its replay."""
    protocol = runs[0].record.protocol if runs else PROTOCOL
    earlier = "" if protocol == PROTOCOL else f"made under protocol {protocol}, the present one is {PROTOCOL}; "
    return f"{earlier}kept without policies: {level.level} on {level.when} by {level.who or 'someone'}, score on fresh starts {level.fresh.score_text}"
