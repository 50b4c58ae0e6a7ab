"""`razorbench status`: show the standing of a folder's runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from razorbench.commands.parser import Parser
from razorbench.runs.standings import STATES, left_s, standings

_SHOWN = 20
"""Largest number of runs of a state that are listed."""


def command(arguments: Sequence[str]) -> int:
    """Show the standing of a results folder's runs. Returns 1 if a run has failed."""
    parser = Parser(prog="razorbench status", description="Show which runs are done, running, failed or missing, and estimate the time left.")
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("--json", action="store_true", help="print every run as JSON instead")
    parser.add_argument("--config-dir", help="your own conf folder, for suggested commands")
    options = parser.parse_args(arguments)
    runs = standings(options.results)
    counts, left = Counter(one.state for one in runs), left_s(runs)
    if options.json:
        print(json.dumps([{**asdict(one), "folder": str(one.folder)} for one in runs], indent=2))
        return 1 if counts["failed"] else 0
    workers = max(counts["running"], 1)
    when = "" if not left else f"; about {_span(left)} left with {workers} worker{'s' if workers > 1 else ''}"
    print(f"{len(runs)} runs: {', '.join(f'{counts[state]} {state}' for state in STATES)}{when}")
    for state in ("running", "failed", "missing"):
        in_state = [one for one in runs if one.state == state]
        for one in in_state[:_SHOWN]:
            print(f"{state:<8} {one.overrides}" + (f"\n         {one.detail}" if one.detail else ""))
        if len(in_state) > _SHOWN:
            print(f"{state:<8} and {len(in_state) - _SHOWN} more, which --json shows")
    return 1 if counts["failed"] else 0


def _span(seconds: float) -> str:
    """Format seconds in the largest fitting unit."""
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
