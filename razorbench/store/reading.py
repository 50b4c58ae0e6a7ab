"""Reading records: every value is checked against its type, records of earlier protocols are brought to today's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from razorbench.errors import FileDamaged
from razorbench.store.bounded import shown
from razorbench.store.folder import CURVE, PACKED_CURVE, SequenceFolder, read_curve, read_record
from razorbench.store.record import Costs, Record, Snapshot
from razorbench.store.sequence_record import SequenceRecord

T = TypeVar("T")
P = TypeVar("P", bound=Costs)

_DAMAGED = "it is damaged or no run wrote it; delete its folder and run again"


def read_run(path: Path) -> Record:
    """Read a run's record; raises FileDamaged if it cannot be read, or if a value in it is not of its type."""
    return checked_run(path, read_record(path))


def checked_run(path: Path, found: Mapping[str, Any]) -> Record:
    """Return a run's record from its plain data; raises FileDamaged, which names the path, if a value is not of its type."""
    return _checked(path, migrated(found), Record.model_validate)


def read_sequence(path: Path) -> SequenceRecord:
    """Read a sequence's record; raises as `read_run` does."""
    return _checked(path, migrated(read_record(path, SequenceFolder.required)), SequenceRecord.model_validate)


def read_snapshots(folder: Path) -> list[Snapshot]:
    """Read a run's curve; none if its snapshots were not kept. Raises as `read_run` does."""
    if not any((folder / name).exists() for name in (CURVE, PACKED_CURVE)):
        return []
    return read_points(folder, Snapshot)


def read_points(folder: Path, kind: type[P]) -> list[P]:
    """Read a curve whose points are of a kind; raises as `read_run` does, also if there is none."""
    lines: TypeAdapter[list[P]] = TypeAdapter(Annotated[list[kind], Field(min_length=1)])  # type: ignore[valid-type, arg-type]
    return _checked(folder / CURVE, read_curve(folder), lines.validate_python)


def migrated(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record in the form of this protocol.

    Before protocol 6 records had neither drift, nor threads, nor where a run went on elsewhere; before 7 the method's code and uncounted costs were not
    recorded.
    """
    record, protocol = dict(found), found.get("protocol")
    if not isinstance(protocol, int) or protocol >= 7:
        return record
    for part, key, value in (("method", "code", None), ("budget", "uncounted", {})):
        if isinstance(record.get(part), dict):
            record[part] = {**record[part], key: record[part].get(key, value)}
    if protocol < 6:
        record = {"drift": None, "threads": None, "resumed_elsewhere": [], **record}
    return record


def _checked(path: Path, found: Any, validate: Callable[[Any], T]) -> T:
    try:
        return validate(found)
    except ValidationError as error:
        # Of a value that may be of several kinds, the fault that lies deepest.
        where, value, why = max((_fault(found, each) for each in error.errors(include_url=False, include_context=False)), key=lambda fault: len(fault[0]))
        raise FileDamaged(f"{path} has {'.'.join(where) or 'a whole'} {shown(value)}, expected {why}: {_DAMAGED}") from error


def _fault(found: Any, error: Any) -> tuple[list[str], object, str]:
    """Where a fault lies, what is there and what should be."""
    where: list[str] = []
    for key in error["loc"]:
        inside = key in found if isinstance(found, dict) else isinstance(found, list) and isinstance(key, int) and key < len(found)
        # Among the keys stand names of the kinds that a value may be of.
        if inside:
            found = found[key]
        if inside or error["type"] == "missing":
            where.append(shown(str(key)))
    if error["type"] == "missing":
        return where, "missing", "a value"
    return where, found, _KINDS.get(error["type"], str(error["msg"]).removeprefix("Input should be ").removeprefix("a valid "))


_KINDS = {"model_type": "a mapping", "dict_type": "a mapping", "string_pattern_mismatch": "a name", "float_type": "a number", "int_type": "a whole number"}
