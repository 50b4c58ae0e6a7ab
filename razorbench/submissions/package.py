"""The files of a package, each read once: the bytes that are hashed are those that are checked, played and shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from razorbench.store.folder import PACKED_CURVE, PACKED_EPISODES, POLICY, RECORD
from razorbench.submissions import hostile
from razorbench.submissions.hostile import Faults
from razorbench.submissions.schema import FILE, SUMS

MOST_BYTES = {FILE: 200_000, SUMS: 200_000, RECORD: 500_000, PACKED_CURVE: 1_000_000, PACKED_EPISODES: 1_000_000, POLICY: 8_000_000}
"""Largest files by name, in bytes: ten times ours; a whole package stays below a gigabyte."""
MOST_TEXT = 8_000_000
"""Largest unpacked file, in bytes."""


@dataclass(frozen=True)
class Package:
    """A folder from a stranger."""

    root: Path
    _read: dict[str, bytes | None] = field(default_factory=dict, repr=False)

    def read(self, name: str, faults: Faults) -> bytes | None:
        """Return a file's bytes, the same at every call; None if it cannot be read, which adds a fault at the first call."""
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
        """Identity of the package: the SHA-256 of its checksums."""
        return hostile.sha256(self.read(SUMS, Faults()) or b"")
