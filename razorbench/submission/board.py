"""The board: packages with the levels that they have reached, ranked within their track by scores on fresh starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from razorbench.compare import MEASURES, Number, Numbers, numbers, paired, units
from razorbench.errors import UsageError
from razorbench.metrics import Estimate
from razorbench.reporting.tables import slug
from razorbench.results import Run
from razorbench.starts import NEARLY_SOLVED
from razorbench.stops import LEVELS
from razorbench.submission import hostile, schema
from razorbench.submission.hostile import Faults
from razorbench.submission.known import Known
from razorbench.submission.replay import digest, fresh_score
from razorbench.submission.schema import FILE, Level, Submission, Track
from razorbench.submission.validate import off_protocol, validate, vouched
from razorbench.suite import suite

SELF_REPORTED, VALIDATED, REPLAYED, RETRAINED = "self-reported", "validated", "replayed", "retrained"
_MOST_LEVEL = 4_000_000


@dataclass(frozen=True)
class Entry:
    """A package on the board. told: what it says of itself; fresh: its score on fresh starts by task and seed, where it is defined, if all of it was replayed.

    rank: within its board; why: it has none.
    """

    folder: str
    digest: str
    told: Submission
    level: str
    runs: Sequence[Run]
    fresh: Numbers | None = None
    rank: int | None = None
    why: str = ""

    @property
    def fresh_score(self) -> Estimate | None:
        """The mean over tasks on fresh starts."""
        return None if self.fresh is None else units(self.fresh).difference

    @property
    def page(self) -> str:
        """Name of its page's folder."""
        return f"{slug(self.folder)}-{self.digest[:12]}"

    def suite(self, name: str) -> Estimate | None:
        """Return a measure of `compare.MEASURES` over the entry's tasks; None if it is undefined, or if the entry is not valid."""
        if not self.runs:
            return None
        value = suite(numbers(self.runs, self.runs[0].arm, MEASURES[name]), sorted({run.task for run in self.runs})).value
        return value if isinstance(value, Estimate) else None

    def at(self, level: float) -> Estimate | None:
        """Retention at a success on the new task: of what others have retrained alone, as curves are only declared before."""
        return self.suite(f"retention@{level:g}") if self.level == RETRAINED else None


@dataclass(frozen=True)
class Board:
    """Entries of one suite and one track, best first; those without a rank stand at the end."""

    suite: str
    track: Track
    entries: Sequence[Entry]


def read_levels(folder: Path) -> dict[str, Level]:
    """Return the board's levels by package digest; of several for one package the last by date. Raises UsageError for a file that is none."""
    found: dict[str, Level] = {}
    for path in sorted(folder.glob("*.json")):
        data = hostile.read(folder, path.name, _MOST_LEVEL, faults := Faults())
        try:
            level = Level.model_validate_json(data or b"")
        except ValidationError as error:
            first = faults[0] if faults else error.errors(include_url=False)[0]["msg"]
            raise UsageError(f"level {path} is none that `razorbench replay --out` writes ({first}): remove it, or replay the package again") from error
        if level.package not in found or found[level.package].when <= level.when:
            found[level.package] = level
    return found


def entry(root: Path, known: Known, levels: Mapping[str, Level]) -> Entry:
    """Return a package's entry; one whose digest has a level was validated then. Raises UsageError if it does not even say what it is."""
    name = digest(root)
    level = levels.get(name)
    told, runs, faults = validate(root, known) if level is None else vouched(root, known)
    if told is None:
        raise UsageError(f"{root} is no package: {next(fault for fault in faults if fault.file == FILE)}")
    if faults:
        return Entry(root.name, name, told, SELF_REPORTED, (), why=f"not valid, {len(faults)} fault{'s' if len(faults) > 1 else ''}; the first: {faults[0]}")
    if level is None:
        return Entry(root.name, name, told, VALIDATED, runs, why="not replayed yet")
    if (fault := off_protocol(told, runs, known)) is not None:
        return Entry(root.name, name, told, level.level, (), why=f"of another protocol: {fault}")
    if level.level == VALIDATED:
        return Entry(root.name, name, told, VALIDATED, runs, why="only a share of its runs was replayed")
    starts = {(run.task, int(run.record["seed"])): run.base_success for run in runs}
    played = {key: each for each in level.fresh.runs if (key := (each.task, each.seed)) in starts}
    scores = {key: fresh_score(each.task, each.success, starts[key]) for key, each in played.items()}
    fresh = {key: Number.exact(score) for key, score in scores.items() if score is not None}
    # Whoever starts from a base that nearly solves a task has no score there, and neither has anyone else.
    if not fresh or set(fresh) != {key for key, success in starts.items() if success <= NEARLY_SOLVED}:
        return Entry(root.name, name, told, level.level, runs, why="its score on fresh starts is undefined for some task and seed")
    return Entry(root.name, name, told, level.level, runs, fresh)


def entries(packages: Sequence[Path], known: Known, levels: Mapping[str, Level]) -> list[Entry]:
    """Return every package's entry; of those with the same checksums the first that is what they say, or else the first, has a claim to them."""
    found = [entry(package, known, levels) for package in packages]
    owners: dict[str, Entry] = {}
    for each in sorted(found, key=lambda each: each.level == SELF_REPORTED):
        owners.setdefault(each.digest, each)
    return [
        each
        if owners[each.digest] is each
        else replace(each, level=SELF_REPORTED, runs=(), fresh=None, why=f"it has the checksums of {owners[each.digest].folder}")
        for each in found
    ]


def boards(entries: Sequence[Entry]) -> list[Board]:
    """Return a board for each suite and track, ranked."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for each in entries:
        groups.setdefault((each.told.suite, each.told.track.model_dump_json()), []).append(each)
    return [Board(suite, group[0].told.track, ranked(group)) for (suite, _), group in sorted(groups.items())]


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries of one board in order of rank.

    Who is not told apart from the best of a rank shares it: the 95% Student interval of their difference, paired by task and seed, holds 0.
    """

    def mean(each: Entry) -> float:
        return each.fresh_score.value if each.fresh_score is not None else float("-inf")

    placed: list[Entry] = []
    for position, each in enumerate(sorted((each for each in entries if each.fresh is not None), key=lambda each: (-mean(each), each.told.name)), 1):
        rank = position
        if placed and placed[-1].rank is not None:
            first = next(other for other in placed if other.rank == placed[-1].rank)
            assert first.fresh is not None and each.fresh is not None
            difference = paired(first.fresh, each.fresh).difference
            if difference is None or difference.low <= 0.0 <= difference.high:
                rank = placed[-1].rank
        placed.append(replace(each, rank=rank))
    return placed + sorted((each for each in entries if each.fresh is None), key=lambda each: each.told.name)


def as_json(found: Sequence[Board]) -> dict[str, Any]:
    """Return `leaderboard.json`."""

    def one(each: Entry) -> dict[str, Any]:
        return {
            "rank": each.rank,
            "unranked": each.why or None,
            "level": each.level,
            "package": each.digest,
            "folder": each.folder,
            "fresh_score": _plain(each.fresh_score),
            "at_best": {name: _plain(each.suite(f"{name}@best")) for name in schema.MEASURES},
            "retention_at": {f"{level:g}": _plain(each.at(level)) for level in LEVELS},
            **each.told.model_dump(mode="json", by_alias=True, exclude={"track", "suite"}),
        }

    return {
        "schema": 1,
        "boards": [{"suite": board.suite, "track": board.track.model_dump(), "entries": [one(each) for each in board.entries]} for board in found],
    }


def _plain(found: Estimate | None) -> dict[str, Any] | None:
    return None if found is None else {"value": found.value, "ci95": [found.low, found.high]}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what differs between two boards, of `as_json`, a sentence for each entry, which its folder names."""

    def flat(shown: Mapping[str, Any]) -> dict[str, tuple[str, str, Any]]:
        return {each["folder"]: (f"{each['name']} on {one['suite']}", each["level"], each["rank"]) for one in shown["boards"] for each in one["entries"]}

    was, now, found = flat(before), flat(after), []
    for folder in [*now, *(gone for gone in was if gone not in now)]:
        if folder not in was:
            name, level, rank = now[folder]
            found.append(f"{name}: new, {level}, {_rank(rank)}")
        elif folder not in now:
            found.append(f"{was[folder][0]}: gone")
        elif was[folder] != now[folder]:
            (name, *old), (_, *new) = was[folder], now[folder]
            found.append(f"{name}: {old[0]}, {_rank(old[1])}; now {new[0]}, {_rank(new[1])}")
    return found


def _rank(rank: int | None) -> str:
    return "without a rank" if rank is None else f"rank {rank}"
