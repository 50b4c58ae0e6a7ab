"""`razorbench status`: where a folder's runs stand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from razorbench.commands.parser import Parser
from razorbench.runs.standings import STATES, left_s, standings

_SHOWN = 20
"""Runs of a state that are shown one by one."""


def command(arguments: Sequence[str]) -> int:
    """Show where a results folder's runs stand; 1 if one has failed."""
    made = Parser(prog="razorbench status", description="Show which runs are done, running, failed or missing, and how long what is left may take.")
    made.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    made.add_argument("--json", action="store_true", help="every run as JSON instead")
    made.add_argument("--config-dir", help="your own conf folder, for commands that are suggested")
    options = made.parse_args(arguments)
    found = standings(options.results)
    counts, left = Counter(one.state for one in found), left_s(found)
    if options.json:
        print(json.dumps([{**asdict(one), "folder": str(one.folder)} for one in found], indent=2))
        return 1 if counts["failed"] else 0
    workers = max(counts["running"], 1)
    when = "" if not left else f"; about {_span(left)} left with {workers} worker{'s' if workers > 1 else ''}"
    print(f"{len(found)} runs: {', '.join(f'{counts[state]} {state}' for state in STATES)}{when}")
    for state in ("running", "failed", "missing"):
        those = [one for one in found if one.state == state]
        for one in those[:_SHOWN]:
            print(f"{state:<8} {one.overrides}" + (f"\n         {one.detail}" if one.detail else ""))
        if len(those) > _SHOWN:
            print(f"{state:<8} and {len(those) - _SHOWN} more, which --json shows")
    return 1 if counts["failed"] else 0


def _span(seconds: float) -> str:
    """Seconds as a person says them."""
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
