"""Compact form of finished runs: the record, the snapshots and episodes packed with xz, and the policy if requested."""

from __future__ import annotations

import lzma
from pathlib import Path

from razorbench.errors import FileDamaged
from razorbench.store.folder import CURVE, EPISODES, PACKED_CURVE, PACKED_EPISODES, POLICY, RECORD, SequenceFolder, content, raw, turned

# A dictionary of a megabyte is more than the rows of an hour-long run need; it limits the memory for unpacking.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME, "dict_size": 1 << 20}]
_KEPT = {PACKED_CURVE: CURVE, PACKED_EPISODES: EPISODES, POLICY: POLICY}
"""Files besides the record: name in the compact folder, name in the run's folder."""
_REMEDY = "do the run again, or give the results folder with whole runs"


def compact(run: Path, out: Path, policy: bool) -> None:
    """Write a run or a sequence to the folder `out` in compact form, at about a third of the size; a compact run is copied.

    policy: whether to include the final policy. Raises FileDamaged if a file of the run is missing or damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = SequenceFolder.file if (run / SequenceFolder.file).exists() else RECORD
    # The record last: a folder with a record is finished.
    for compact_name, name in (*_KEPT.items(), (record, record)):
        if compact_name == POLICY and not policy:
            continue
        if (packed := run / compact_name).exists():
            (out / compact_name).write_bytes(raw(packed, _REMEDY))
        else:
            data = content(run / name, _REMEDY)
            data = _columns(run / name, data) if compact_name == PACKED_EPISODES else data
            (out / compact_name).write_bytes(xz(data) if compact_name.endswith(".xz") else data)


def _columns(path: Path, rows: bytes) -> bytes:
    try:
        return turned(rows.decode()).encode()
    except ValueError as error:
        raise FileDamaged(f"{path} is not a table of episodes ({error}): {_REMEDY}") from error


def xz(data: bytes) -> bytes:
    """Return an xz file of the bytes; equal bytes give equal files."""
    return lzma.compress(data, filters=_FILTERS)
