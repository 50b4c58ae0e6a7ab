"""Pinned runs: ten tiny runs, committed with their records, to check that code still gives the same results.

On the platform and package versions of a pin, its record must be equal to the last bit. Elsewhere hashes must be equal, and numbers to three digits.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from razorbench.registry.config import plain_config, registry
from razorbench.runs.run import run
from razorbench.runs.sequence import SequenceSpec, run_sequence
from razorbench.store.provenance import versions
from razorbench.submissions.installed import ADDED, differences
from razorbench.world import golden

_CONDITIONS = ("versions", "machine", "git", "threads", "wall_s", "measuring_s", "resumed_elsewhere", "config")
"""Parts of a record about its machine, its times and the names of its classes; its settings are in its hash."""
_DIGITS = 1e-3


@dataclass(frozen=True)
class Pin:
    """A pinned run. name: of its file; overrides: as typed; platform: everything that affects the last bit; record: without its conditions."""

    name: str
    overrides: Sequence[str]
    platform: str
    record: Mapping[str, Any]


def here() -> str:
    """Return everything that affects the last bit of a run, as canonical JSON."""
    return json.dumps({**json.loads(golden.platform()), **{name: versions()[name] for name in ("torch", "numpy", "stable-baselines3")}}, sort_keys=True)


def read(folder: Path) -> list[Pin]:
    """Read the pins of a folder, in order of name."""
    return [Pin(path.stem, **json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))]


def made(overrides: Sequence[str]) -> dict[str, Any]:
    """Do a run and return its record without its conditions."""
    with registry() as known, tempfile.TemporaryDirectory() as place:
        (one,) = known.asked([*overrides, f"results={place}"], False)
        config = plain_config(known.compose(one.overrides))
        do = run_sequence if isinstance(one.spec, SequenceSpec) else run
        record = do(one.spec, Path(place), config).record  # type: ignore[arg-type]
    return {key: value for key, value in record.plain().items() if key not in _CONDITIONS}


def faults(pin: Pin, record: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each difference between a record and a pin. New keys of the record are no difference."""
    relative = 0.0 if pin.platform == here() else _DIGITS
    found = differences(record, pin.record, "record", lambda a, b: abs(a - b) <= relative * max(1.0, abs(b)))
    return [f"{path} is {now!r}, pinned is {then!r}" for path, now, then in found if (now, then) != ADDED]


def renewed(pin: Pin, folder: Path) -> list[str]:
    """Do a pin's run. Store its record if a version was raised or it only has new keys; otherwise return the differences."""
    record = made(pin.overrides)
    raised = _versions(record) != _versions(pin.record)
    found = [] if raised else faults(pin, record)
    if raised or (not found and record != pin.record and pin.platform == here()):
        write(folder / f"{pin.name}.json", pin.overrides, record)
    return found


def write(path: Path, overrides: Sequence[str], record: Mapping[str, Any]) -> None:
    """Write a pin."""
    held = {"overrides": list(overrides), "platform": here(), "record": record}
    path.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")


def _versions(record: Mapping[str, Any]) -> Any:
    """Return a record's declared versions. Raising one allows other results."""
    return record["protocol"], record.get("task"), record["method"]["version"], record["hashes"]["task_spec"], record["hashes"]["base_policy"]
