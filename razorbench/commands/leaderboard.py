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
    """Draw the board from packages and levels. Returns 1 if a package is not valid."""
    parser = Parser(prog="razorbench leaderboard", description="Draw the board as a static site, from packages and from the levels that replays wrote.")
    parser.add_argument("packages", type=Path, nargs="+", help="folders with submission.json")
    parser.add_argument("--levels", type=Path, help="folder of files from `razorbench replay --out`")
    parser.add_argument("--out", type=Path, required=True, help="folder for index.html, leaderboard.json, entries/, tables/ and figures/")
    parser.add_argument("--since", type=Path, help="an earlier leaderboard.json, to list the changes since")
    parser.add_argument("--config-dir", help="your own conf folder, with your tasks and suites")
    options = parser.parse_args(arguments)
    for folder in (*options.packages, *([options.levels] if options.levels else [])):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
    with filling(options.out, f"--out {options.out}", "--out DIR"):
        levels = read_levels(options.levels) if options.levels else {}
        earlier = None if options.since is None else read_earlier(options.since)
        with registry(options.config_dir) as registered:
            packages = {package.resolve(): package for package in options.packages}
            entries = board.entries([opened(package).root for package in packages.values()], known(registered), levels)
        drawn = board.boards(entries)
        page = site(drawn, options.out)
    bad = [entry for entry in entries if entry.level == board.SELF_REPORTED]
    for entry in bad:
        print(f"{entry.folder}: {entry.why}")
    if earlier is not None:
        print("\n".join(f"- {line}" for line in changes(earlier, board.as_json(drawn))) or "- no changes")
    replayed, retrained = (sum(entry.fresh is not None and entry.level in levels for entry in entries) for levels in (_PLACED, (board.RETRAINED,)))
    print(f"{len(entries)} entries, {replayed} replayed (with a place), {retrained} retrained (with a rank): {page}")
    return 1 if bad else 0
