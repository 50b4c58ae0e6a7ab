"""The files of a package, each read once: what is hashed is what is checked, played and shown, whatever becomes of the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from razorbench.store.folder import PACKED_CURVE, PACKED_EPISODES, POLICY, RECORD
from razorbench.submissions import hostile
from razorbench.submissions.hostile import Faults
from razorbench.submissions.schema import FILE, SUMS

MOST_BYTES = {FILE: 200_000, SUMS: 200_000, RECORD: 500_000, PACKED_CURVE: 1_000_000, PACKED_EPISODES: 1_000_000, POLICY: 8_000_000}
"""Of files by their names: ten times what ours have, so that a whole package stays below a gigabyte."""
MOST_TEXT = 8_000_000
"""Bytes of anything unpacked."""


@dataclass(frozen=True)
class Package:
    """A folder that a stranger sent."""

    root: Path
    _read: dict[str, bytes | None] = field(default_factory=dict, repr=False)

    def read(self, name: str, faults: Faults) -> bytes | None:
        """Return a file's bytes, the same whenever it is asked for; None if there are none, which is a fault the first time."""
        if name not in self._read:
            self._read[name] = hostile.read(self.root, name, MOST_BYTES[Path(name).name], faults)
        return self._read[name]

    def text(self, name: str, faults: Faults) -> str | None:
        """Return a file as text, unpacked if its name ends in .xz."""
        data = self.read(name, faults)
        if data is not None and name.endswith(".xz"):
            data = hostile.unpacked(name, data, MOST_TEXT, faults)
        return None if data is None else hostile.text(name, data, faults)

    @property
    def digest(self) -> str:
        """What tells the package from every other: the SHA-256 of its checksums."""
        return hostile.sha256(self.read(SUMS, Faults()) or b"")
