"""Reading of records: checks every value against its type and migrates records of earlier protocols."""

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
    """Read a run's record. Raises FileDamaged if it cannot be read or a value has the wrong type."""
    return checked_run(path, read_record(path))


def checked_run(path: Path, content: Mapping[str, Any]) -> Record:
    """Return a run's record from its plain data. Raises FileDamaged with the path if a value has the wrong type."""
    return _checked(path, migrated(content), Record.model_validate)


def read_sequence(path: Path) -> SequenceRecord:
    """Read a sequence's record. Raises as `read_run`."""
    return _checked(path, migrated(read_record(path, SequenceFolder.required)), SequenceRecord.model_validate)


def read_snapshots(folder: Path) -> list[Snapshot]:
    """Read a run's curve; empty if its snapshots were not kept. Raises as `read_run`."""
    if not any((folder / name).exists() for name in (CURVE, PACKED_CURVE)):
        return []
    return read_points(folder, Snapshot)


def read_points(folder: Path, kind: type[P]) -> list[P]:
    """Read a curve with points of type `kind`. Raises as `read_run`, also if there is no curve."""
    lines: TypeAdapter[list[P]] = TypeAdapter(Annotated[list[kind], Field(min_length=1)])  # type: ignore[valid-type, arg-type]
    return _checked(folder / CURVE, read_curve(folder), lines.validate_python)


def migrated(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record in the form of this protocol.

    Records before protocol 6 had no drift, no threads and no machines on which a run resumed; records before 7 had no code of the method and no uncounted
    costs.
    """
    record, protocol = dict(content), content.get("protocol")
    if not isinstance(protocol, int) or protocol >= 7:
        return record
    for part, key, value in (("method", "code", None), ("budget", "uncounted", {})):
        if isinstance(record.get(part), dict):
            record[part] = {**record[part], key: record[part].get(key, value)}
    if protocol < 6:
        record = {"drift": None, "threads": None, "resumed_elsewhere": [], **record}
    return record


def _checked(path: Path, content: Any, validate: Callable[[Any], T]) -> T:
    try:
        return validate(content)
    except ValidationError as error:
        # A value of several possible types has several faults: report the deepest.
        faults = (_fault(content, details) for details in error.errors(include_url=False, include_context=False))
        where, value, why = max(faults, key=lambda fault: len(fault[0]))
        raise FileDamaged(f"{path} has {'.'.join(where) or 'a whole'} {shown(value)}, expected {why}: {_DAMAGED}") from error


def _fault(node: Any, error: Any) -> tuple[list[str], object, str]:
    """Return the keys that lead to a fault, the faulty value and the expected one."""
    where: list[str] = []
    for key in error["loc"]:
        inside = key in node if isinstance(node, dict) else isinstance(node, list) and isinstance(key, int) and key < len(node)
        # pydantic puts names of types between the keys.
        if inside:
            node = node[key]
        if inside or error["type"] == "missing":
            where.append(shown(str(key)))
    if error["type"] == "missing":
        return where, "missing", "a value"
    return where, node, _KINDS.get(error["type"], str(error["msg"]).removeprefix("Input should be ").removeprefix("a valid "))


_KINDS = {"model_type": "a mapping", "dict_type": "a mapping", "string_pattern_mismatch": "a name", "float_type": "a number", "int_type": "a whole number"}
