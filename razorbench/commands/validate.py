"""`razorbench validate`: say whether a package is what it says."""

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
    """Check a package; 1 if it has faults."""
    made = Parser(
        prog="razorbench validate", description="Check a package for the leaderboard, offline: all that follows from its rows and weights is computed anew."
    )
    made.add_argument("package", type=Path, help="folder with submission.json")
    made.add_argument("--json", action="store_true", help="the faults as JSON instead")
    made.add_argument("--levels", type=Path, help=LEVELS_HELP)
    made.add_argument("--config-dir", help="your own conf folder, which may hold tasks and suites of your own")
    options = made.parse_args(arguments)
    package = opened(options.package)
    level = level_of(package, options.levels)
    with registry(options.config_dir) as registered:
        told, runs, faults = (check if level is None else kept)(package, known(registered))
    if level is not None and not faults and (wrong := contradiction(level, runs)) is not None:
        raise UsageError(f"the level of {package.root} contradicts itself or the package: {wrong}; replay the package again, and keep what that writes")
    unknown = list(dict.fromkeys(sentence for run in runs for sentence in uncounted(run.record.budget.uncounted)))
    if options.json:
        found = {
            "valid": not faults,
            "uncounted": unknown,
            "kept": level is not None,
            "declared": list(board.DECLARED),
            "faults": [asdict(fault) for fault in faults],
        }
        print(json.dumps(found, indent=2))
    elif faults:
        print("\n".join(map(str, faults[:SHOWN])))
        print(f"{package.root} is not valid: {len(faults)} fault{'s' if len(faults) > 1 else ''}" + (f", {SHOWN} shown" if len(faults) > SHOWN else ""))
    elif level is not None:
        print(f"{package.root} agrees with itself: {told.name if told else ''}, {len(runs)} runs; {as_kept(level, runs)}")
        print("what was checked now: checksums, rates, intervals, forgetting, retention and scores, from its rows; what follows from weights was checked then")
    else:
        print(f"{package.root} is valid: {told.name if told else ''}, {len(runs)} runs; what it says follows from the rows and weights in it; {DECLARED}")
    if not (options.json or faults):
        for sentence in unknown:
            print(f"uncounted: {sentence}")
    return 1 if faults else 0
