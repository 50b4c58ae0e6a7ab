"""Differences between two boards, as of `board.as_json`: a sentence for each entry with a visible change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from razorbench.errors import UsageError
from razorbench.submissions import hostile
from razorbench.submissions.hostile import Faults
from razorbench.types import Settings

_MOST = 64_000_000


def read_earlier(path: Path) -> Settings:
    """Read an earlier `leaderboard.json`. Raises UsageError if it is not one."""
    data = hostile.read(path.parent, path.name, _MOST, faults := Faults())
    text = None if data is None else hostile.text(path.name, data, faults)
    content: Any = None if text is None else hostile.parsed(path.name, text, faults)
    try:
        changes(content, content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        why = faults[0] if faults else f"{type(error).__name__}: {error}"
        raise UsageError(f"--since {path}: it is no leaderboard.json of `razorbench leaderboard` ({why}); give one, or leave it out") from error
    return dict(content)


def changes(before: Settings, after: Settings) -> list[str]:
    """Return a sentence for each entry that differs. Entries are matched by folder."""
    was, now, sentences = _flat(before), _flat(after), []
    for folder in [*now, *(gone for gone in was if gone not in now)]:
        name = (now if folder in now else was)[folder]["title"]
        if folder not in was:
            sentences.append(f"{name}: new, {_standing(now[folder])}")
        elif folder not in now:
            sentences.append(f"{name}: gone")
        elif parts := _parts(was[folder], now[folder]):
            sentences.append(f"{name}: {'; '.join(parts)}")
    return sentences


def _flat(shown: Settings) -> dict[str, Settings]:
    return {
        entry["folder"]: {**entry, "title": f"{entry['name']} on {one['suite']}", "track": one["track"]} for one in shown["boards"] for entry in one["entries"]
    }


def _parts(old: Settings, new: Settings) -> list[str]:
    """Return the changes of an entry. A value without words of its own is named by its key."""
    sentences = []
    if _standing(old) != _standing(new):
        sentences.append(f"{_standing(old)}; now {_standing(new)}")
    for key, words in (("package", "checksums"), ("level_file", "level file"), ("fresh_score", "score on fresh starts"), ("replayed", "replayed numbers")):
        # A value that an earlier version did not write is no difference.
        if key in old and old[key] != new.get(key):
            sentences.append(f"{words} {_short(old.get(key))}; now {_short(new.get(key))}")
    said = {"rank", "place", "level", "package", "level_file", "fresh_score", "replayed"}
    sentences += [f"{key} is another" for key in sorted((old.keys() & new.keys()) - said) if old[key] != new[key]]
    return sentences


def _standing(entry: Settings) -> str:
    rank = "without a rank" if entry["rank"] is None else f"rank {entry['rank']}"
    return f"{entry['level']}, {rank}" + ("" if entry.get("place") is None else f", place {entry['place']}")


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value[:12]
    if "sha256" in value:
        return f"{value['sha256'][:12]} of {value['when']} by {value['who'] or 'someone'}"
    if "value" in value:
        return f"{value['value']:.3f}"
    return ", ".join(f"{key} {_short(part)}" for key, part in value.items())
