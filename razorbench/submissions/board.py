"""The board: packages with their levels, ranked within their track by scores on fresh starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from razorbench.errors import UsageError
from razorbench.reports.tables import slug
from razorbench.statistics.base_success import NEARLY_SOLVED
from razorbench.statistics.comparison import MEASURES, Number, Numbers, numbers, paired, units
from razorbench.statistics.finished_runs import Run
from razorbench.statistics.stops import LEVELS
from razorbench.statistics.suite_score import suite
from razorbench.store.estimate import Estimate
from razorbench.store.folder import PROTOCOL
from razorbench.submissions import hostile, schema
from razorbench.submissions.installed import Known
from razorbench.submissions.levels import contradiction
from razorbench.submissions.likeness import prints, reads_like, twins
from razorbench.submissions.package import Package
from razorbench.submissions.replay import fresh_score
from razorbench.submissions.schema import FILE, Level, Submission, Track
from razorbench.submissions.validate import off_protocol, validate, vouched

SELF_REPORTED, VALIDATED, REPLAYED, RETRAINED = "self-reported", "validated", "replayed", "retrained"
DECLARED = ("track", "costs", "SELECT rows", "snapshots", "at_best")
"""Parts that a package only declares; a retraining checks them."""


@dataclass(frozen=True)
class Entry:
    """A package on the board.

    submission: its own statement; vouches: its level's file; fresh: scores on fresh starts by task and seed, where defined, if all runs were replayed.
    place: position by fresh scores among replayed packages; rank: among retrained ones only; why: the reason for no rank.
    """

    folder: str
    digest: str
    submission: Submission
    level: str
    runs: Sequence[Run]
    fresh: Numbers | None = None
    place: int | None = None
    rank: int | None = None
    why: str = ""
    vouches: Level | None = None

    @property
    def fresh_score(self) -> Estimate | None:
        """Mean score over tasks on fresh starts, None if it was not replayed."""
        return None if self.fresh is None else units(self.fresh).difference

    @property
    def page(self) -> str:
        """Name of its page's folder."""
        return f"{slug(self.folder)}-{self.digest[:12]}"

    @property
    def protocol(self) -> int:
        """Protocol of its runs."""
        return self.runs[0].record.protocol if self.runs else PROTOCOL

    @property
    def world(self) -> str:
        """World of its runs, empty if there are none."""
        return self.runs[0].world if self.runs else ""

    @property
    def estimator(self) -> str:
        """How the KLs of its runs were computed, which their base decides, so records that do not name it are distinguished by base. Empty without runs."""
        return self.runs[0].record.estimator or f"unnamed, base {self.runs[0].base}" if self.runs else ""

    @property
    def declared(self) -> Sequence[str]:
        """Parts that nobody has checked, because they do not follow from a package's content."""
        return () if self.level == RETRAINED else DECLARED

    def end(self, name: str) -> Estimate | None:
        """Return a measure of `schema.MEASURES` of the final policies: as replayed if they were, so that no tolerance adds to it, else as declared."""
        replayed = None if self.vouches is None else self.vouches.replayed
        measured = (self.submission.scores if replayed is None or name not in replayed else replayed).get(name)
        return None if measured is None else Estimate(measured.value, *measured.ci95)

    def suite(self, name: str) -> Estimate | None:
        """Return a measure of `comparison.MEASURES` over the entry's tasks; None if it is undefined or the entry is not valid."""
        if not self.runs:
            return None
        value = suite(numbers(self.runs, self.runs[0].arm, MEASURES[name]), sorted({run.task for run in self.runs})).value
        return value if isinstance(value, Estimate) else None

    def at(self, level: float) -> Estimate | None:
        """Return retention at a success level of the new task, for retrained entries only: the curves of others are only declared."""
        return self.suite(f"retention@{level:g}") if self.level == RETRAINED else None


@dataclass(frozen=True)
class Board:
    """Entries of one suite, track, protocol, world and KL estimator, best first. Entries without a rank follow in order of place."""

    suite: str
    track: Track
    entries: Sequence[Entry]
    protocol: int = PROTOCOL
    world: str = ""
    estimator: str = ""


def entry(root: Path, known: Known, levels: Mapping[str, Level]) -> Entry:
    """Return a package's entry. A package with a level was validated before and is only compared with its checksums.

    Raises UsageError if submission.json is unreadable, or if the level contradicts the package or itself.
    """
    package = Package(root)
    name = package.digest
    level = levels.get(name)
    submission, runs, faults = validate(package, known) if level is None else vouched(package, known)
    if submission is None:
        raise UsageError(f"{root} is no package: {next(fault for fault in faults if fault.file == FILE)}")
    if faults:
        return Entry(
            root.name, name, submission, SELF_REPORTED, (), why=f"not valid, {len(faults)} fault{'s' if len(faults) > 1 else ''}; the first: {faults[0]}"
        )
    if level is None:
        return Entry(root.name, name, submission, VALIDATED, runs, why="not replayed yet")
    if (wrong := contradiction(level, runs)) is not None:
        raise UsageError(f"the level of {root} contradicts itself or the package: {wrong}; replay the package again, and keep the new level")
    made = Entry(root.name, name, submission, level.level, runs, vouches=level)
    if made.protocol == PROTOCOL and (fault := off_protocol(submission, runs, known)) is not None:
        return replace(made, runs=(), why=f"of another protocol: {fault}")
    if level.level == VALIDATED:
        return replace(made, why="only a share of its runs was replayed")
    starts = {(run.task, run.seed): run.base_success for run in runs}
    scores = {(each.task, each.seed): fresh_score(each.task, each.success, starts[each.task, each.seed]) for each in level.fresh.runs}
    fresh = {key: Number.exact(score) for key, score in scores.items() if score is not None}
    # No entry has a score on a task that its base nearly solves.
    if not fresh or set(fresh) != {key for key, success in starts.items() if success <= NEARLY_SOLVED}:
        return replace(made, why="its score on fresh starts is undefined for some task and seed")
    return replace(made, fresh=fresh, why="" if level.level == RETRAINED else "not retrained: its track, costs and curve are declared")


def entries(packages: Sequence[Path], known: Known, levels: Mapping[str, Level]) -> list[Entry]:
    """Return the packages' entries, as of `entries_of`."""
    return entries_of([entry(package, known, levels) for package in packages])


def entries_of(entered: Sequence[Entry]) -> list[Entry]:
    """Return the entries. Of those with like checksums, policies or names, only the earliest keeps its level."""
    known_by = {id(one): prints(one.runs) for one in entered}
    # Valid before invalid, with a level before new, then by day.
    ordered = sorted(entered, key=lambda one: (one.level == SELF_REPORTED, one.vouches is None, one.vouches.when if one.vouches else "", one.folder))
    shown: dict[int, Entry] = {}
    for k, one in enumerate(ordered):
        alike = next((why for other in ordered[:k] if (why := _like(one, other, known_by[id(one)], known_by[id(other)])) is not None), None)
        shown[id(one)] = one if alike is None else replace(one, level=SELF_REPORTED, runs=(), fresh=None, why=alike)
    return [shown[id(one)] for one in entered]


def _like(ours: Entry, theirs: Entry, our_prints: Any, their_prints: Any) -> str | None:
    """Return how an entry resembles an earlier one, None if it does not."""
    if ours.digest == theirs.digest:
        return f"it has the checksums of {theirs.folder}"
    if (number := twins(our_prints, their_prints)) > 0:
        return f"{number} of its {len(ours.runs)} policies are nearly those of {theirs.folder}"
    # The authors may enter their own entry again under a new protocol.
    again = ours.protocol != theirs.protocol and ours.submission.authors == theirs.submission.authors
    if not again and (reads := reads_like(ours.submission, theirs.submission)) is not None:
        return f"{reads}: give it a name of its own"
    return None


def boards(entries: Sequence[Entry]) -> list[Board]:
    """Return a ranked board for each suite, track, protocol, world and KL estimator, the latest protocol first.

    An entry without valid runs has no rank. It stands on the first board of its suite and track.
    """
    groups: dict[tuple[int, str, str], dict[tuple[str, str], list[Entry]]] = {}
    for one in sorted(entries, key=lambda one: not one.runs):
        group = groups.setdefault((-one.protocol, one.submission.suite, one.submission.track.model_dump_json()), {})
        kind = (one.world, one.estimator) if one.runs or not group else min(group)
        group.setdefault(kind, []).append(one)
    return [
        Board(suite, several[0].submission.track, ranked(several), -protocol, *kind)
        for (protocol, suite, _), group in sorted(groups.items())
        for kind, several in sorted(group.items())
    ]


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries of one board in order of rank; entries without a rank follow in order of place."""

    def mean(entry: Entry) -> float:
        return entry.fresh_score.value if entry.fresh_score is not None else float("-inf")

    scored = sorted((entry for entry in entries if entry.fresh is not None), key=lambda entry: (-mean(entry), entry.submission.name))
    placed = {entry.folder + entry.digest: number for entry, number in _numbered(scored)}
    ranks = {entry.folder + entry.digest: number for entry, number in _numbered([entry for entry in scored if entry.level == RETRAINED])}
    numbered = [replace(entry, place=placed[key], rank=ranks.get(key)) for entry in scored for key in [entry.folder + entry.digest]]
    rest = sorted((entry for entry in entries if entry.fresh is None), key=lambda entry: entry.submission.name)
    return sorted(numbered, key=lambda entry: entry.rank is None) + rest


def _numbered(ordered: Sequence[Entry]) -> list[tuple[Entry, int]]:
    """Number entries in their order.

    An entry shares the rank of the best if the 95% Student interval of their difference, paired by task and seed, contains 0.
    """
    numbered: list[tuple[Entry, int]] = []
    best: Entry | None = None
    for position, entry in enumerate(ordered, 1):
        number = position
        if best is not None and best.fresh is not None and entry.fresh is not None:
            difference = paired(best.fresh, entry.fresh).difference
            if difference is None or difference.low <= 0.0 <= difference.high:
                number = numbered[-1][1]
        if number == position:
            best = entry
        numbered.append((entry, number))
    return numbered


def as_json(boards: Sequence[Board]) -> dict[str, Any]:
    """Return `leaderboard.json`."""

    def one(entry: Entry) -> dict[str, Any]:
        vouches = entry.vouches
        return {
            "rank": entry.rank,
            "place": entry.place,
            "unranked": entry.why or None,
            "level": entry.level,
            "declared": list(entry.declared),
            "package": entry.digest,
            "folder": entry.folder,
            "level_file": None
            if vouches is None
            else {**vouches.model_dump(mode="json", include={"who", "when", "fresh_seed", "exact"}), "sha256": sha(vouches)},
            "fresh_score": _plain(entry.fresh_score),
            "replayed": None if vouches is None or vouches.replayed is None else vouches.model_dump(mode="json")["replayed"],
            "at_best": {name: _plain(entry.suite(f"{name}@best")) for name in schema.MEASURES},
            "retention_at": {f"{level:g}": _plain(entry.at(level)) for level in LEVELS},
            **entry.submission.model_dump(mode="json", by_alias=True, exclude={"track", "suite"}),
        }

    shown = [
        {
            **{name: getattr(board, name) for name in ("suite", "protocol", "world", "estimator")},
            "track": board.track.model_dump(),
            "entries": [one(e) for e in board.entries],
        }
        for board in boards
    ]
    return {"schema": 2, "boards": shown}


def sha(level: Level) -> str:
    """Return the SHA-256 of a level."""
    return hostile.sha256(level.model_dump_json().encode())


def _plain(value: Estimate | None) -> dict[str, Any] | None:
    return None if value is None else {"value": value.value, "ci95": [value.low, value.high]}
