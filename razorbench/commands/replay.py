"""`razorbench replay`: play a package's policies again, and on fresh starts."""

from __future__ import annotations

import json
import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.packages import LEVELS_HELP, SHOWN, as_kept, level_of, opened
from razorbench.commands.parser import Parser
from razorbench.errors import UsageError
from razorbench.registry.config import registry
from razorbench.store.writable import make_writable
from razorbench.submissions.installed import known
from razorbench.submissions.replay import entry, rates, share
from razorbench.submissions.replay import replay as play
from razorbench.submissions.retrain import retrain, retrainable
from razorbench.submissions.validate import kept
from razorbench.submissions.validate import validate as check


def command(arguments: Sequence[str]) -> int:
    """Play a package's policies on published and fresh starts. Returns 1 if they differ from the package."""
    parser = Parser(prog="razorbench replay", description="Play the policies of a package on published starts and on fresh ones.")
    parser.add_argument("package", type=Path, help="folder with submission.json")
    parser.add_argument("--episodes", type=int, default=100, help="published starts of each task, 100 at most")
    parser.add_argument("--fraction", type=float, default=1.0, help="share of the runs, drawn with the seed")
    parser.add_argument(
        "--retrain",
        type=Path,
        metavar="RESULTS",
        help="also train them again in this folder, new or from a stopped retraining; takes as long as the runs did",
    )
    parser.add_argument("--fresh-seed", type=int, help="seed of the fresh starts, below 2**31; by default drawn now, as a rank requires")
    parser.add_argument("--out", type=Path, help="file for the level, in the board's form")
    parser.add_argument("--who", default="", help="your name, for the level")
    parser.add_argument("--config-dir", help="your own conf folder, with your tasks and suites")
    parser.add_argument("--levels", type=Path, help=LEVELS_HELP)
    options = parser.parse_args(arguments)
    seed = secrets.randbelow(_SEEDS) if options.fresh_seed is None else options.fresh_seed
    package = opened(options.package)
    if not 0 <= seed < _SEEDS or not 0 < options.fraction <= 1 or not 1 <= options.episodes <= 100:
        raise UsageError("--fresh-seed must be 0 or more and below 2**31, --fraction above 0 and at most 1, --episodes 1 to 100")
    if options.retrain is not None:
        make_writable(options.retrain, f"--retrain {options.retrain}", "--retrain RESULTS")
    level = level_of(package, options.levels)
    with registry(options.config_dir) as registered:
        installed = known(registered)
        submission, runs, faults = (check if level is None else kept)(package, installed)
    if faults or submission is None:
        raise UsageError(f"{options.package} is not valid; the first fault: {faults[0]}; see `razorbench validate {shlex.quote(str(options.package))}`")
    if level is not None:
        print(f"{options.package}: nothing to play; {as_kept(level, runs)}")
        return 0
    chosen, say = share(runs, options.fraction, seed), lambda text: print(text, file=sys.stderr)
    if options.retrain is not None:
        retrainable(submission, chosen, installed)
    played = play(package, submission, chosen, installed, fresh_seed=seed, episodes=options.episodes, faults=faults, say=say)
    print("\n".join(rates(played)))
    again = None
    if options.retrain is not None and not faults:
        again = retrain(submission, chosen, installed, options.retrain, faults, say)
    if faults:
        print("\n".join(map(str, faults[:SHOWN])))
        print(f"{options.package}: its policies do not do what it says, {len(faults)} fault{'s' if len(faults) > 1 else ''}")
        return 1
    made_level = entry(package, played, seed, options.who, len(chosen) == len(runs), again)
    exact = sum(one.exact for one in played)
    print(f"{options.package}: {len(played)} of {len(runs)} policies do what it says, {exact} of them to the row; fresh seed {seed}")
    if again is not None:
        print(f"trained again                 {len(chosen)} runs agree, {again} of them to the bit")
    print(f"score on fresh starts         {made_level['fresh']['score_text']}")
    if options.out is not None:
        make_writable(options.out.parent, f"--out {options.out}", "--out FILE")
        options.out.write_text(json.dumps(made_level, indent=2) + "\n", encoding="utf-8")
        print(f"level `{made_level['level']}`: {options.out}")
    return 0


_SEEDS = 2**31
