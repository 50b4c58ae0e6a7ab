"""The commands of the leaderboard: `razorbench pack`, `validate`, `replay` and `leaderboard`."""

from __future__ import annotations

import argparse
import functools
import json
import secrets
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from razorbench import base
from razorbench.building import typed
from razorbench.config import Registry, registry
from razorbench.errors import UsageError
from razorbench.guess import among
from razorbench.method import Budget
from razorbench.results import Run, chosen, read_runs
from razorbench.store import PROTOCOL, filling, make_writable
from razorbench.submission import board
from razorbench.submission.known import Known
from razorbench.submission.levels import contradiction, read_levels
from razorbench.submission.pack import pack as make
from razorbench.submission.package import Package
from razorbench.submission.replay import entry, rates, share
from razorbench.submission.replay import replay as play
from razorbench.submission.retrain import retrain, retrainable
from razorbench.submission.schema import Level
from razorbench.submission.since import changes, read_earlier
from razorbench.submission.site import site
from razorbench.submission.validate import kept, without_policies
from razorbench.submission.validate import validate as check
from razorbench.suggest import sweep

Parser = Callable[..., argparse.ArgumentParser]
_SHOWN = 40
_PLACED = (board.REPLAYED, board.RETRAINED)
_DECLARED = "declared, as nothing in a package shows it: track, costs, SELECT rows, snapshots"
_LEVELS = "folder of the board's levels, for a package that was kept without policies; by default the folder levels beside that of the entries"
_SEEDS = 2**31


def known(registered: Registry) -> Known:
    """Return what a registry holds a submission against."""
    suites = registered.sound("suite")
    recipes = registered.sound("base")
    return Known(
        suites={name: (found["tasks"], found["seeds"]) for name, found in suites.items() if "seeds" in found},
        tasks=registered.sound("task"),
        budgets={name: typed(Budget, budget, "budget") for name, budget in registered.sound("budget").items()},
        methods=registered.sound("method"),
        bases=list(recipes),
        load=lambda name, seed: base.load(recipes[name], seed),
        node=functools.cache(registered.node),
    )


def pack(arguments: Sequence[str], parser: Parser) -> int:
    """Make a package of a method's runs over a suite."""
    made = parser(prog="razorbench pack", description="Pack all runs of a method over a suite, with its published seeds, for the leaderboard; and check them.")
    made.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    made.add_argument("--method", required=True, help="the arm: a method, or METHOD/2 for each task's second style of demonstrations")
    made.add_argument("--out", type=Path, required=True, help="folder for the package, new or empty")
    made.add_argument("--suite", default="core")
    made.add_argument("--base", help="base policy of the runs, where they are of several (mlp)")
    made.add_argument("--budget", help="budget of the runs, where they are of several (standard)")
    made.add_argument("--name", help="the entry's name on the board, by default the method's")
    made.add_argument("--author", action="append", required=True, help="once for each author")
    made.add_argument("--description", required=True, help="what the method does, in a few sentences")
    made.add_argument("--licence", default="MIT", help="of the package")
    made.add_argument("--code", help="https address of the method's code")
    made.add_argument("--paper", help="https address of a paper")
    made.add_argument("--config-dir", help="your own conf folder")
    options = made.parse_args(arguments)
    about = {
        **{"name": options.name or options.method, "authors": options.author, "description": options.description},
        **{"licence": options.licence, "code": options.code, "paper": options.paper},
    }
    with filling(options.out, f"--out {options.out}", "--out DIR"), registry(options.config_dir) as registered:
        installed = known(registered)
        if options.suite not in installed.suites:
            raise UsageError(f"--suite {options.suite}: no such suite{among(options.suite, installed.suites)}")
        runs = read_runs(options.results, {name: tuple(task.experts) for name, task in installed.tasks.items()})
        from_base, budget = chosen([run for run in runs if run.arm == options.method], options.base, options.budget)
        more = sweep(options.results, budget, options.config_dir)
        told = make(runs, options.method, options.suite, from_base, budget, about, installed, options.out, more)
    score = told.scores["score"]
    print(f"{options.out}: {told.name} on {told.suite}, score {'undefined' if score is None else f'{score.value:.3f}'}; valid; {_DECLARED}")
    return 0


def validate(arguments: Sequence[str], parser: Parser) -> int:
    """Check a package; 1 if it has faults."""
    made = parser(
        prog="razorbench validate", description="Check a package for the leaderboard, offline: all that follows from its rows and weights is computed anew."
    )
    made.add_argument("package", type=Path, help="folder with submission.json")
    made.add_argument("--json", action="store_true", help="the faults as JSON instead")
    made.add_argument("--levels", type=Path, help=_LEVELS)
    made.add_argument("--config-dir", help="your own conf folder, which may hold tasks and suites of your own")
    options = made.parse_args(arguments)
    package = _package(options.package)
    level = _level(package, options.levels)
    with registry(options.config_dir) as registered:
        told, runs, faults = (check if level is None else kept)(package, known(registered))
    if level is not None and not faults and (wrong := contradiction(level, runs)) is not None:
        raise UsageError(f"the level of {package.root} contradicts itself or the package: {wrong}; replay the package again, and keep what that writes")
    if options.json:
        found = {"valid": not faults, "kept": level is not None, "declared": list(board.DECLARED), "faults": [asdict(fault) for fault in faults]}
        print(json.dumps(found, indent=2))
    elif faults:
        print("\n".join(map(str, faults[:_SHOWN])))
        print(f"{package.root} is not valid: {len(faults)} fault{'s' if len(faults) > 1 else ''}" + (f", {_SHOWN} shown" if len(faults) > _SHOWN else ""))
    elif level is not None:
        print(f"{package.root} agrees with itself: {told.name if told else ''}, {len(runs)} runs; {_as_kept(level, runs)}")
        print("what was checked now: checksums, rates, intervals, forgetting, retention and scores, from its rows; what follows from weights was checked then")
    else:
        print(f"{package.root} is valid: {told.name if told else ''}, {len(runs)} runs; what it says follows from the rows and weights in it; {_DECLARED}")
    return 1 if faults else 0


def _package(root: Path) -> Package:
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; give the one that `razorbench pack` wrote")
    return Package(root)


def _level(package: Package, folder: Path | None) -> Level | None:
    """The level that vouches for a package kept without its policies; None for any other package."""
    beside = package.root.absolute().parent.parent / "levels"
    levels = folder or (beside if beside.is_dir() else None)
    return read_levels(levels).get(package.digest) if levels is not None and without_policies(package) else None


def _as_kept(level: Level, runs: Sequence[Run]) -> str:
    """What to say of a package whose policies were left out after it was replayed."""
    protocol = int(runs[0].record["protocol"]) if runs else PROTOCOL
    earlier = "" if protocol == PROTOCOL else f"made under protocol {protocol}, the present one is {PROTOCOL}; "
    return f"{earlier}kept without policies: {level.level} on {level.when} by {level.who or 'someone'}, score on fresh starts {level.fresh.score_text}"


def leaderboard(arguments: Sequence[str], parser: Parser) -> int:
    """Draw the board from packages and levels; 1 if a package is not valid."""
    made = parser(prog="razorbench leaderboard", description="Draw the board as a static site, from packages and from the levels that replays have written.")
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
            entries = board.entries([_package(package).root for package in packages.values()], known(registered), levels)
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


def replay(arguments: Sequence[str], parser: Parser) -> int:
    """Play a package's policies again, and on fresh starts; 1 if they do not do what it says."""
    made = parser(prog="razorbench replay", description="Play the policies of a package on published starts and on fresh ones.")
    made.add_argument("package", type=Path, help="folder with submission.json")
    made.add_argument("--episodes", type=int, default=100, help="published starts of each task, 100 at most")
    made.add_argument("--fraction", type=float, default=1.0, help="share of the runs, drawn by the seed")
    made.add_argument(
        "--retrain",
        type=Path,
        metavar="RESULTS",
        help="train them again as well, in this folder, new or of a stopped retraining; takes as long as the runs did",
    )
    made.add_argument("--fresh-seed", type=int, help="seed of the fresh starts, below 2**31; by default drawn now, as whoever ranks an entry has to")
    made.add_argument("--out", type=Path, help="file for the level, as the board keeps it")
    made.add_argument("--who", default="", help="who replays, for the level")
    made.add_argument("--config-dir", help="your own conf folder, which may hold tasks and suites of your own")
    made.add_argument("--levels", type=Path, help=_LEVELS)
    options = made.parse_args(arguments)
    seed = secrets.randbelow(_SEEDS) if options.fresh_seed is None else options.fresh_seed
    package = _package(options.package)
    if not 0 <= seed < _SEEDS or not 0 < options.fraction <= 1 or not 1 <= options.episodes <= 100:
        raise UsageError("--fresh-seed must be 0 or more and below 2**31, --fraction above 0 and at most 1, --episodes 1 to 100")
    if options.retrain is not None:
        make_writable(options.retrain, f"--retrain {options.retrain}", "--retrain RESULTS")
    level = _level(package, options.levels)
    with registry(options.config_dir) as registered:
        installed = known(registered)
        told, runs, faults = (check if level is None else kept)(package, installed)
    if faults or told is None:
        raise UsageError(f"{options.package} is not valid; the first fault: {faults[0]}; see `razorbench validate {shlex.quote(str(options.package))}`")
    if level is not None:
        print(f"{options.package}: nothing to play; {_as_kept(level, runs)}")
        return 0
    chosen, say = share(runs, options.fraction, seed), lambda text: print(text, file=sys.stderr)
    if options.retrain is not None:
        retrainable(told, chosen, installed)
    found = play(package, told, chosen, installed, fresh_seed=seed, episodes=options.episodes, faults=faults, say=say)
    print("\n".join(rates(found)))
    again = None
    if options.retrain is not None and not faults:
        again = retrain(told, chosen, installed, options.retrain, faults, say)
    if faults:
        print("\n".join(map(str, faults[:_SHOWN])))
        print(f"{options.package}: its policies do not do what it says, {len(faults)} fault{'s' if len(faults) > 1 else ''}")
        return 1
    made_level = entry(package, found, seed, options.who, len(chosen) == len(runs), again)
    exact = sum(one.exact for one in found)
    print(f"{options.package}: {len(found)} of {len(runs)} policies do what it says, {exact} of them to the row; fresh seed {seed}")
    if again is not None:
        print(f"trained again                 {len(chosen)} runs agree, {again} of them to the bit")
    print(f"score on fresh starts         {made_level['fresh']['score_text']}")
    if options.out is not None:
        make_writable(options.out.parent, f"--out {options.out}", "--out FILE")
        options.out.write_text(json.dumps(made_level, indent=2) + "\n", encoding="utf-8")
        print(f"level `{made_level['level']}`: {options.out}")
    return 0
