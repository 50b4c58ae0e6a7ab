"""`razorbench pack`: make a package of a method's runs over a suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.packages import DECLARED
from razorbench.commands.parser import Parser
from razorbench.errors import UsageError, among
from razorbench.registry.config import registry
from razorbench.runs.suggest import sweep
from razorbench.statistics.finished_runs import chosen, read_runs
from razorbench.store.writable import filling
from razorbench.submissions.installed import known
from razorbench.submissions.pack import pack as make


def command(arguments: Sequence[str]) -> int:
    """Make a package of a method's runs over a suite."""
    parser = Parser(prog="razorbench pack", description="Pack a method's runs over a suite, with its published seeds, for the leaderboard, and check them.")
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("--method", required=True, help="the arm: a method, or METHOD/2 for each task's second style of demonstrations")
    parser.add_argument("--out", type=Path, required=True, help="folder for the package, new or empty")
    parser.add_argument("--suite", default="core")
    parser.add_argument("--base", help="base policy of the runs, if the folder has several (mlp)")
    parser.add_argument("--budget", help="budget of the runs, if the folder has several (standard)")
    parser.add_argument("--name", help="the entry's name on the board, by default the method's")
    parser.add_argument("--author", action="append", required=True, help="name of an author; repeat the option for each")
    parser.add_argument("--description", required=True, help="what the method does, in a few sentences")
    parser.add_argument("--licence", default="MIT", help="licence of the package")
    parser.add_argument("--code", help="https address of the method's code")
    parser.add_argument("--paper", help="https address of a paper")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_args(arguments)
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
        submission = make(runs, options.method, options.suite, from_base, budget, about, installed, options.out, more)
    score = submission.scores["score"]
    print(f"{options.out}: {submission.name} on {submission.suite}, score {'undefined' if score is None else f'{score.value:.3f}'}; valid; {DECLARED}")
    return 0
