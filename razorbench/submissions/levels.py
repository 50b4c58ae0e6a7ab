"""The board's level files, checked like packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from razorbench.errors import UsageError
from razorbench.measures.success import score
from razorbench.statistics.finished_runs import Run
from razorbench.store.estimate import plain
from razorbench.submissions import hostile
from razorbench.submissions.hostile import Faults
from razorbench.submissions.installed import differences
from razorbench.submissions.replay import fresh_retention, fresh_score, over, score_text
from razorbench.submissions.schema import Level

_MOST_LEVEL = 4_000_000
_MOST_FILES = 10_000


def read_levels(folder: Path) -> dict[str, Level]:
    """Return the board's levels by package digest; the latest if a package has several.

    Raises UsageError for a missing folder, a file that is not a level, and two levels of one package and day.
    """
    if not folder.is_dir():
        raise UsageError(f"--levels {folder}: no such folder; give the folder of files from `razorbench replay --out`, or leave it out")
    latest: dict[str, tuple[Path, Level]] = {}
    for path in sorted(folder.glob("*.json"))[:_MOST_FILES]:
        level = _read(folder, path)
        other = latest.get(level.package)
        if other is not None and other[1].when == level.when and other[1] != level:
            raise UsageError(f"levels {other[0]} and {path} are of one package and one day, {level.when}: keep one of them")
        if other is None or other[1].when < level.when:
            latest[level.package] = path, level
    return {digest: level for digest, (_, level) in latest.items()}


def _read(folder: Path, path: Path) -> Level:
    data = hostile.read(folder, path.name, _MOST_LEVEL, faults := Faults())
    text = None if data is None else hostile.text(path.name, data, faults)
    if text is not None:
        hostile.parsed(path.name, text, faults)
    why = str(faults[0]) if faults else ""
    try:
        if not faults and text is not None:
            return Level.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    raise UsageError(f"level {path} is none that `razorbench replay --out` writes ({why}): remove it, or replay the package again")


def contradiction(level: Level, runs: Sequence[Run]) -> str | None:
    """Return a contradiction between a level and its package's runs, None if there is none."""
    by_key = {(run.task, run.seed): run for run in runs}
    declared = {(each.task, each.seed): each for each in level.fresh.runs}
    whole = level.level != "validated"
    if len(declared) != len(level.fresh.runs) or not declared.keys() <= by_key.keys() or (whole and declared.keys() != by_key.keys()):
        return f"its fresh runs are {len(level.fresh.runs)}, not {'each' if whole else 'some'} of the package's {len(by_key)} once"
    if (level.retrained_exact is not None) != (level.level == "retrained") and whole:
        return f"its retrained_exact is {level.retrained_exact}, its level {level.level}"
    for name in ("exact", "retrained_exact"):
        if (getattr(level, name) or 0) > len(declared):
            return f"its {name} is {getattr(level, name)}, of {len(declared)} runs"
    for key, one in declared.items():
        run = by_key[key]
        if one.success.keys() != {run.task, *run.record.original} or not all(rates.keys() == {"base", "final"} for rates in one.success.values()):
            return f"its success of {one.task}, seed {one.seed}, is not of the new task and of each original skill, base and final"
        # Before cards had 500 starts, a score used the base's success on the fresh starts.
        kept, rates = fresh_retention(one.task, one.success), one.success[one.task]
        wanted = [fresh_score(one.task, one.success, run.base_success), score(rates["final"], rates["base"], kept)]
        if not any(_near(one.score, each) for each in wanted):
            return f"its score of {one.task}, seed {one.seed}, is {one.score}, its success rates come to {wanted[0]}"
    total = over({key: one.score for key, one in declared.items()})
    said = None if level.fresh.score is None else {"value": level.fresh.score.value, "ci95": list(level.fresh.score.ci95)}
    if differences(said, total and plain(total), "score", _close):
        return f"its score is {said and said['value']}, those of its runs come to {total and total.value}"
    if level.fresh.score_text != score_text(total):
        return f"its score_text is {level.fresh.score_text!r}, its score {score_text(total)!r}"
    return None


def _near(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else _close(one, other)


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9
