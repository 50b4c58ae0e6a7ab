"""`razorbench validate`: check a package against its own rows and weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from razorbench.commands.packages import DECLARED, LEVELS_HELP, SHOWN, as_kept, level_of, opened
from razorbench.commands.parser import Parser
from razorbench.errors import UsageError
from razorbench.method.counting import uncounted
from razorbench.registry.config import registry
from razorbench.submissions import board
from razorbench.submissions.installed import known
from razorbench.submissions.levels import contradiction
from razorbench.submissions.validate import kept
from razorbench.submissions.validate import validate as check


def command(arguments: Sequence[str]) -> int:
    """Check a package. Returns 1 if it has faults."""
    parser = Parser(prog="razorbench validate", description="Check a leaderboard package offline: recompute everything that follows from its rows and weights.")
    parser.add_argument("package", type=Path, help="folder with submission.json")
    parser.add_argument("--json", action="store_true", help="print the faults as JSON instead")
    parser.add_argument("--levels", type=Path, help=LEVELS_HELP)
    parser.add_argument("--config-dir", help="your own conf folder, with your tasks and suites")
    options = parser.parse_args(arguments)
    package = opened(options.package)
    level = level_of(package, options.levels)
    with registry(options.config_dir) as registered:
        submission, runs, faults = (check if level is None else kept)(package, known(registered))
    if level is not None and not faults and (wrong := contradiction(level, runs)) is not None:
        raise UsageError(f"the level of {package.root} contradicts itself or the package: {wrong}; replay the package again, and keep the new level")
    unknown = list(dict.fromkeys(sentence for run in runs for sentence in uncounted(run.record.budget.uncounted)))
    if options.json:
        content = {
            "valid": not faults,
            "uncounted": unknown,
            "kept": level is not None,
            "declared": list(board.DECLARED),
            "faults": [asdict(fault) for fault in faults],
        }
        print(json.dumps(content, indent=2))
    elif faults:
        print("\n".join(map(str, faults[:SHOWN])))
        print(f"{package.root} is not valid: {len(faults)} fault{'s' if len(faults) > 1 else ''}" + (f", {SHOWN} shown" if len(faults) > SHOWN else ""))
    elif level is not None:
        print(f"{package.root} agrees with itself: {submission.name if submission else ''}, {len(runs)} runs; {as_kept(level, runs)}")
        print("checked now, from its rows: checksums, rates, intervals, forgetting, retention and scores; checked at its replay: what follows from weights")
    else:
        print(f"{package.root} is valid: {submission.name if submission else ''}, {len(runs)} runs; its numbers follow from its rows and weights; {DECLARED}")
    if not (options.json or faults):
        for sentence in unknown:
            print(f"uncounted: {sentence}")
    return 1 if faults else 0
