"""`razorbench compare`: compare two arms on their common tasks and seeds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.claims import RULES, Styles, design_of, styles_of
from razorbench.commands.comparison_tables import SHOWN, comparison
from razorbench.commands.parser import Parser
from razorbench.commands.pooled import announced, selecting
from razorbench.commands.terminal import console
from razorbench.errors import UsageError, among
from razorbench.registry.config import Registry, registry
from razorbench.runs.suggest import sweep
from razorbench.statistics.claim_rules import whys
from razorbench.statistics.comparison import MEASURES, contrast
from razorbench.statistics.finished_runs import Run, by_world, chosen, read_runs
from razorbench.statistics.missing_runs import sweeps
from razorbench.statistics.pooling import pool


def command(arguments: Sequence[str]) -> int:
    """Compare two arms. Returns 0 if there is a verdict on the chosen measure, else 1."""
    options = _options(
        Parser(
            prog="razorbench compare",
            description="Compare two methods on their common tasks and seeds. Exit code 0: there is a verdict on --by; 1: undecided, or too few runs.",
        )
    ).parse_args(arguments)
    with registry(options.config_dir) as registered:
        styles = styles_of(registered)
        every = read_runs(options.results, styles)
        worlds = by_world(every, options.base)
        codes = []
        for world, runs in worlds.items():
            if len(worlds) > 1:
                console.print(f"\nworld {world}", soft_wrap=True)
            codes.append(_compared(registered, styles, runs, options))
    return max(codes)


def _compared(registered: Registry, styles: Styles, every: Sequence[Run], options: argparse.Namespace) -> int:
    """Print the comparison in one world."""
    base, budget = chosen(every, options.base, options.budget)
    runs = announced(pool(every, base, budget, options.mixed)).runs
    design = design_of(registered, registered.item("study", RULES), styles, runs)
    arms = sorted({run.arm for run in runs})
    for arm in (options.a, options.b):
        if arm not in arms:
            raise UsageError(f"{arm}: no such method among the runs{among(arm, arms)} (/2 stands for a task's second style of demonstrations)")
    shown = dict.fromkeys((*SHOWN, options.by))
    contrasts = {name: contrast(runs, options.a, options.b, MEASURES[name]) for name in shown}
    verdicts = {name: measured.verdict(MEASURES[name].quantity.margin) for name, measured in contrasts.items()}
    console.print(comparison(options.a, options.b, contrasts, verdicts))
    console.print(
        "retention@0.9: where SELECT success first crosses 0.9; @best: at the best SELECT\n"
        "success; @end: budget used up. Numbers are of TEST. In brackets: 95% Student\n"
        "interval over tasks. more, less: it excludes 0. same: the 90% interval lies\n"
        "inside .05 (cka: .01). needs: tasks that would decide it in 80% of studies."
    )
    verdict = verdicts[options.by]
    console.print(f"{options.by}: {options.a} against {options.b}: {verdict}", soft_wrap=True)
    if verdict.decided:
        return 0
    measure = MEASURES[options.by]
    place = measure.stop or (None if measure.level is None else f"{measure.level:g}")
    if place is not None and (reasons := whys(runs, (options.a, options.b), place)):
        console.print(f"undefined: {'; '.join(reasons)}", soft_wrap=True)
    for command in sweeps(design.missing(runs, (options.a, options.b), base), sweep(options.results, budget, options.config_dir)):
        console.print(f"add: {command}")
    return 1


def _options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("a", metavar="A", help="a method; sft/2 is sft with each task's second style of demonstrations")
    parser.add_argument("b", metavar="B", help="the method to compare it with")
    parser.add_argument(
        "--by",
        choices=tuple(MEASURES),
        metavar="MEASURE",
        default="retention@best",
        help="measure whose verdict decides the exit code, such as retention@0.9, success@end or retention_kl1 (retention@best)",
    )
    return selecting(parser)
