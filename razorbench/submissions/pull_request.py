"""Check of a pull request to the board, from git's list of changes, before any of its files is read.

    git diff --raw -z --no-renames --no-abbrev BASE HEAD | python -m razorbench.submissions.pull_request --by CONTRIBUTOR

A submitter may only add files to one new entry folder: existing entries stay unchanged, and a new version needs a new name. Only the board's keepers change
levels and other files of the board. Nobody changes the checks together with a submission.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

ENTRIES, LEVELS, CHECKS = "baselines/results/entries/", "baselines/results/levels/", ".github/"
KEEPERS = ("OWNER", "MEMBER", "COLLABORATOR")
"""GitHub's names for an author's association with the repository."""
MOST_CHANGES = 2_000
MOST_BYTES = 4_000_000
_SHOWN = 20
_FILE = "100644"
_CHANGE = re.compile(r":(\d{6}) (\d{6}) [0-9a-f]{7,64} [0-9a-f]{7,64} ([A-Z])\d*")
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Change:
    """A changed file. status: A added, M modified, D deleted, T another type; mode: the file's new mode, 000000 if it is gone."""

    status: str
    mode: str
    path: str


def parse(raw: bytes) -> list[Change]:
    """Parse the output of `git diff --raw -z --no-renames`. Raises ValueError for any other text."""
    if len(raw) > MOST_BYTES:
        raise ValueError(f"{len(raw)} bytes of changes, at most {MOST_BYTES}")
    words = raw.decode("utf-8", "backslashreplace").split("\0")
    if words.pop() or len(words) % 2:
        raise ValueError("it is no output of git diff --raw -z, or cut short")
    changes = []
    for about, path in zip(words[::2], words[1::2], strict=True):
        match = _CHANGE.fullmatch(about)
        if match is None:
            raise ValueError(f"{about[:80]!r} is no line of git diff --raw")
        changes.append(Change(match[3], match[2], path))
    return changes


def entry(changes: Sequence[Change]) -> str | None:
    """Return the entry that the changes belong to, None if there are none or several."""
    names = {change.path.removeprefix(ENTRIES).partition("/")[0] for change in changes if change.path.startswith(ENTRIES)}
    return names.pop() if len(names) == 1 else None


def refusals(changes: Sequence[Change], by: str, there: Sequence[str]) -> list[str]:
    """Return the reasons to refuse a pull request, a sentence each. by: its author's association; there: names of the board's entries."""
    if not changes:
        return ["nothing is changed: add the folder of a package, as `razorbench pack` wrote it, to baselines/results/entries"]
    if len(changes) > MOST_CHANGES:
        return [f"{len(changes)} files are changed: a submission has at most {MOST_CHANGES}"]
    keeper = by in KEEPERS
    found = [why for change in changes if (why := _refused(change, keeper, there)) is not None]
    if not keeper and entry(changes) is None and not found:
        found.append("files of several entries are changed: send each entry in a pull request of its own")
    new = entry(changes)
    if not keeper and new is not None and any(new.casefold() == other.casefold() for other in there):
        found.append(f"entry {new} is there already: an entry stays as it is; send a new version under another name")
    return found


def _refused(change: Change, keeper: bool, there: Sequence[str]) -> str | None:
    path = ascii(change.path)[1:-1]
    if change.path.startswith(CHECKS):
        return f"{path}: what checks a submission is not changed along with one; send that in a pull request of its own"
    if not change.path.startswith((ENTRIES, LEVELS)):
        return f"{path}: it is no part of an entry; send changes of the program in a pull request of its own"
    inside = change.path.removeprefix(ENTRIES)
    if any(not _PATH.fullmatch(part) for part in change.path.split("/")):
        return f"{path}: its name has other signs than letters, digits, _, . and -"
    if change.mode not in (_FILE, "000000"):
        return f"{path}: it is no plain file (mode {change.mode}); links, programs and modules are no part of an entry"
    if keeper:
        return None
    if change.path.startswith(LEVELS):
        return f"{path}: levels are given by whoever keeps the board, who replays a package; leave it out"
    if "/" not in inside:
        return f"{path}: it lies in no entry's folder"
    if change.status != "A":
        what = {"D": "deleted", "M": "changed"}.get(change.status, "made another")
        return f"{path}: a file that is there is {what}; a submission only adds its own entry"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Read changes from standard input and print the reasons to refuse them. Returns 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m razorbench.submissions.pull_request", description="Check the changes of a pull request to the board.")
    parser.add_argument("--by", default="NONE", help="GitHub's name for the author's association")
    parser.add_argument("--there", nargs="*", default=[], help="names of the board's entries")
    options = parser.parse_args(arguments)
    try:
        changes = parse(sys.stdin.buffer.read(MOST_BYTES + 1))
    except ValueError as error:
        print(f"the list of changes cannot be read: {error}")
        return 1
    wrong = refusals(changes, options.by, options.there)
    print("\n".join(wrong[:_SHOWN]))
    if wrong:
        more = f", {_SHOWN} shown" if len(wrong) > _SHOWN else ""
        print(f"this pull request is not taken as it is: {len(wrong)} reason{'s' if len(wrong) > 1 else ''}{more}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
