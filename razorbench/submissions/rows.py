"""Checks of a run's table of episodes: it has exactly the required rows, and the base's rows are those of the shipped base played here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from razorbench.bases.base import Base
from razorbench.measures.episodes import COLUMNS, Episodes, Row
from razorbench.measures.summary import MODES
from razorbench.policy import network as policies
from razorbench.runs.head import versions
from razorbench.store import provenance
from razorbench.store.folder import turned
from razorbench.store.record import Record
from razorbench.submissions import hostile
from razorbench.submissions.hostile import Faults
from razorbench.submissions.installed import Known
from razorbench.submissions.package import Package
from razorbench.task import Split, Task, World, pairs_episodes
from razorbench.world.rollout import Cell, Mode, play_policy

Key = tuple[str, str, str, str, int]
"""Policy, task, split, mode, start."""
FLIPS = 2
"""Number of episodes of a cell that may end differently on another machine. Of 5,700 of a base with weights moved by 1e-7, which is a rounding, one did."""
SHARE = 0.01
"""Share of all episodes that may end differently on another machine."""


def here(record: Record, world: World) -> bool:
    """Whether results must repeat to the last bit: same processor, system and versions, a run on one machine, and a world that promises it."""
    same_here = (record.machine, record.versions, record.resumed_elsewhere) == (provenance.machine(), versions(world), [])
    return same_here and pairs_episodes(world)


def expected_rows(updates: Sequence[int], task: Task, base: Base, known: Known) -> dict[Key, int]:
    """Return every episode of a run with its horizon. updates: of its snapshots, without the base's."""
    settings = known.settings
    snapshots = [(f"update{update}", settings.skill_episodes, MODES[:1]) for update in updates]
    played = [("base", settings.episodes, MODES), *snapshots, ("final", settings.episodes, MODES)]
    horizons: dict[Key, int] = {}
    for label, of_skill, modes in played:
        for mode in modes:
            for place, number in ((task, settings.episodes), *((skill, of_skill) for skill in base.skills)):
                horizons |= {(label, place.name, settings.split, mode, start): place.horizon for start in range(number)}
        horizons |= {(label, task.name, Split.SELECT.value, "greedy", start): task.horizon for start in range(settings.episodes)}
    return horizons


def parse(name: str, text: str, wanted: Mapping[Key, int], faults: Faults) -> Episodes | None:
    """Return the table in a file's text if it has exactly the wanted rows, each once; else None."""
    columns = hostile.lines(name, text, len(COLUMNS), faults)
    if columns is None:
        return None
    try:
        header, *lines = turned("\n".join(columns)).splitlines() or [""]
    except ValueError:
        faults.add(name, "lengths of its columns", [column.count(",") for column in columns], "all the same")
        return None
    if header != ",".join(COLUMNS):
        faults.add(name, "columns", header, ",".join(COLUMNS))
        return None
    if len(lines) > len(wanted):
        faults.add(name, "number of episodes", len(lines), len(wanted))
        return None
    rows: list[Row] = []
    seen: set[Key] = set()
    for number, line in enumerate((line.split(",") for line in lines), 1):
        if not all(word.isascii() and word.isdecimal() and len(word) < 7 for word in line[4:]) or line[5] not in ("0", "1"):
            faults.add(name, f"episode {number}", ",".join(line), "policy, task, split, mode, start, success (0 or 1), length")
            return None
        key, solved, length = (line[0], line[1], line[2], line[3], int(line[4])), line[5] == "1", int(line[6])
        horizon = wanted.get(key)
        if horizon is None or key in seen:
            faults.add(name, f"episode {number}", ",".join(line), "an episode that the run plays" if horizon is None else "each episode once")
            return None
        if not 1 <= length <= horizon or (not solved and length != horizon):
            faults.add(name, f"episode {number}, length", length, f"1 to {horizon}" if solved else f"{horizon}, as it failed")
            return None
        seen.add(key)
        rows.append((*key, solved, length))
    if len(rows) != len(wanted):
        missing = next(key for key in wanted if key not in seen)
        faults.add(name, "number of episodes", len(rows), f"{len(wanted)}; the first that is missing is {','.join(map(str, missing))}")
        return None
    return Episodes(tuple(rows))


def declared_rows(package: Package, name: str) -> dict[Any, tuple[bool, int]]:
    """Return the rows of a valid file: success and length by policy, task, split, mode and start."""
    lines = turned(package.text(name, Faults()) or "").splitlines()[1:]
    return {(*line[:4], int(line[4])): (line[5] == "1", int(line[6])) for line in (line.split(",") for line in lines)}


def check_base(name: str, episodes: Episodes, record: Record, task: Task, base: Base, known: Known, faults: Faults) -> None:
    """Compare the base's rows with those of the shipped base, played here."""
    ours = _played(task, base, known)
    same(name, (row for row in episodes.rows if row[0] == "base"), ours, "the shipped base", here(record, task.world), faults)


def check_last(name: str, episodes: Episodes, update: int, record: Record, faults: Faults) -> None:
    """Compare the rows of the last snapshot with those of the final policy, which is the same policy."""
    final = {row[1:5]: row[5:] for row in episodes.rows if row[0] == "final"}
    same(name, (row for row in episodes.rows if row[0] == f"update{update}"), final, "the final policy", not record.resumed_elsewhere, faults)


def same(name: str, rows: Iterable[Row], ours: Mapping[tuple[str, str, str, int], tuple[bool, int]], whose: str, exactly: bool, faults: Faults) -> None:
    """Add declared rows that differ from a policy's: any row if exactly, else more rows than rounding can change."""
    flips: dict[tuple[str, ...], int] = {}
    total = 0
    for row in rows:
        other, total = ours[row[1:5]], total + 1
        if exactly and other != row[5:]:
            faults.add(name, ",".join(map(str, row[:5])), f"success and length {row[5:]}", f"{other}, as {whose} does it")
            return
        flips[row[1:4]] = flips.get(row[1:4], 0) + (other[0] != row[5])
    for cell, number in flips.items():
        if number > FLIPS:
            faults.add(name, f"number of episodes of {', '.join(cell)} that end otherwise than with {whose}", number, f"at most {FLIPS}, as on another machine")
            return
    if (turned_over := sum(flips.values())) > max(FLIPS, SHARE * total):
        faults.add(name, f"number of episodes that end otherwise than with {whose}", turned_over, f"at most {SHARE:.0%} of {total}, as on another machine")


def _played(task: Task, base: Base, known: Known) -> dict[tuple[str, str, str, int], tuple[bool, int]]:
    """Return the base's episodes by task, split, mode and start. Each cell is played once for all packages."""
    settings, cache = known.settings, known.played
    wanted: list[tuple[Task, str, Mode]] = [(each, settings.split, mode) for mode in MODES for each in (task, *base.skills)]
    wanted.append((task, Split.SELECT.value, "greedy"))
    keys = [(base.sha256, each.fingerprint(), split, mode, settings.episodes) for each, split, mode in wanted]
    new = [k for k, key in enumerate(keys) if key not in cache]
    if new:
        cells = [Cell(wanted[k][0], Split(wanted[k][1]), np.arange(settings.episodes), wanted[k][2]) for k in new]
        with policies.one_thread():
            played = Episodes.of("base", cells, play_policy(base.policy, cells))
        for k in new:
            about = (wanted[k][0].name, *wanted[k][1:])
            cache[keys[k]] = {row[1:5]: row[5:] for row in played.rows if row[1:4] == about}
    return {start: end for key in keys for start, end in cache[key].items()}
