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
    return {each["folder"]: {**each, "title": f"{each['name']} on {one['suite']}", "track": one["track"]} for one in shown["boards"] for each in one["entries"]}


def _parts(old: Settings, new: Settings) -> list[str]:
    """Return the changes of an entry. A value without words of its own is named by its key."""
    found = []
    if _standing(old) != _standing(new):
        found.append(f"{_standing(old)}; now {_standing(new)}")
    for key, words in (("package", "checksums"), ("level_file", "level file"), ("fresh_score", "score on fresh starts"), ("replayed", "replayed numbers")):
        # A value that an earlier version did not write is no difference.
        if key in old and old[key] != new.get(key):
            found.append(f"{words} {_short(old.get(key))}; now {_short(new.get(key))}")
    said = {"rank", "place", "level", "package", "level_file", "fresh_score", "replayed"}
    found += [f"{key} is another" for key in sorted((old.keys() & new.keys()) - said) if old[key] != new[key]]
    return found


def _standing(each: Settings) -> str:
    rank = "without a rank" if each["rank"] is None else f"rank {each['rank']}"
    return f"{each['level']}, {rank}" + ("" if each.get("place") is None else f", place {each['place']}")


def _short(found: Any) -> str:
    if found is None:
        return "none"
    if isinstance(found, str):
        return found[:12]
    if "sha256" in found:
        return f"{found['sha256'][:12]} of {found['when']} by {found['who'] or 'someone'}"
    if "value" in found:
        return f"{found['value']:.3f}"
    return ", ".join(f"{key} {_short(each)}" for key, each in found.items())
