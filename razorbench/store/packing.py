"""Finished runs as they are kept and sent: record, snapshots and episodes, the last two packed with xz, and, where asked for, the policy."""

from __future__ import annotations

import lzma
from pathlib import Path

from razorbench.errors import FileDamaged
from razorbench.store.folder import CURVE, EPISODES, PACKED_CURVE, PACKED_EPISODES, POLICY, RECORD, SequenceFolder, content, raw, turned

# A dictionary of a megabyte is more than an hour-long run's rows need, and bounds the memory of whoever unpacks.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME, "dict_size": 1 << 20}]
_KEPT = {PACKED_CURVE: CURVE, PACKED_EPISODES: EPISODES, POLICY: POLICY}
"""What is kept beside the record, and what a run calls it."""
_REMEDY = "do the run again, or give the results folder with whole runs"


def compact(run: Path, out: Path, policy: bool) -> None:
    """Write a run's or a sequence's folder into another one, made for it, in compact form, at about a third of the size; a compact one is copied.

    policy: its final one as well. Raises FileDamaged if a file of the run is missing or damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = SequenceFolder.file if (run / SequenceFolder.file).exists() else RECORD
    # The record last, as a folder that has one is finished.
    for kept, whole in (*_KEPT.items(), (record, record)):
        if kept == POLICY and not policy:
            continue
        if (there := run / kept).exists():
            (out / kept).write_bytes(raw(there, _REMEDY))
        else:
            data = content(run / whole, _REMEDY)
            data = _columns(run / whole, data) if kept == PACKED_EPISODES else data
            (out / kept).write_bytes(xz(data) if kept.endswith(".xz") else data)


def _columns(path: Path, rows: bytes) -> bytes:
    try:
        return turned(rows.decode()).encode()
    except ValueError as error:
        raise FileDamaged(f"{path} holds no table of episodes ({error}): {_REMEDY}") from error


def xz(data: bytes) -> bytes:
    """Return bytes as an xz file, the same for the same bytes."""
    return lzma.compress(data, filters=_FILTERS)
