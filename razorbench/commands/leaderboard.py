"""`razorbench leaderboard`: draw the board from packages and levels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.packages import opened
from razorbench.commands.parser import Parser
from razorbench.errors import UsageError
from razorbench.registry.config import registry
from razorbench.store.writable import filling
from razorbench.submissions import board
from razorbench.submissions.installed import known
from razorbench.submissions.levels import read_levels
from razorbench.submissions.since import changes, read_earlier
from razorbench.submissions.site import site

_PLACED = (board.REPLAYED, board.RETRAINED)


def command(arguments: Sequence[str]) -> int:
    """Draw the board from packages and levels; 1 if a package is not valid."""
    made = Parser(prog="razorbench leaderboard", description="Draw the board as a static site, from packages and from the levels that replays have written.")
    made.add_argument("packages", type=Path, nargs="+", help="folders with submission.json")
    made.add_argument("--levels", type=Path, help="folder of the files that `razorbench replay --out` wrote")
    made.add_argument("--out", type=Path, required=True, help="folder for index.html, leaderboard.json, entries/, tables/ and figures/")
    made.add_argument("--since", type=Path, help="an earlier leaderboard.json, to say what is different now")
    made.add_argument("--config-dir", help="your own conf folder, which may hold tasks and suites of your own")
    options = made.parse_args(arguments)
    for folder in (*options.packages, *([options.levels] if options.levels else [])):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
    with filling(options.out, f"--out {options.out}", "--out DIR"):
        levels = read_levels(options.levels) if options.levels else {}
        before = None if options.since is None else read_earlier(options.since)
        with registry(options.config_dir) as registered:
            packages = {package.resolve(): package for package in options.packages}
            entries = board.entries([opened(package).root for package in packages.values()], known(registered), levels)
        found = board.boards(entries)
        page = site(found, options.out)
    bad = [each for each in entries if each.level == board.SELF_REPORTED]
    for each in bad:
        print(f"{each.folder}: {each.why}")
    if before is not None:
        print("\n".join(f"- {line}" for line in changes(before, board.as_json(found))) or "- nothing is different")
    replayed, retrained = (sum(each.fresh is not None and each.level in levels for each in entries) for levels in (_PLACED, (board.RETRAINED,)))
    print(f"{len(entries)} entries, {replayed} of them with a place, as they were replayed, {retrained} with a rank, as they were retrained: {page}")
    return 1 if bad else 0
