"""`razorbench report`: one page over finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.claims import by_base, decide, styles_of
from razorbench.commands.parser import Parser
from razorbench.commands.pooled import announced, selecting
from razorbench.commands.terminal import console
from razorbench.registry.config import registry
from razorbench.statistics.finished_runs import chosen, read_runs
from razorbench.statistics.pooling import pool
from razorbench.store.disk import near
from razorbench.store.writable import filling


def command(arguments: Sequence[str]) -> int:
    """Write the report over finished runs. Returns 0."""
    parser = Parser(
        prog="razorbench report",
        description="Write one page over finished runs: scores, Pareto frontiers, the law and its rivals, every run; and each figure as PNG, SVG and CSV.",
    )
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("--out", type=Path, required=True, help="folder for index.html, figures/ and tables/")
    options = selecting(parser).parse_args(arguments)
    with filling(options.out, f"--out {options.out}", "--out DIR"), registry(options.config_dir) as registered:
        families = {name: str(method.family) for name, method in registered.sound("method").items()}
        styles = styles_of(registered)
        runs = read_runs(options.results, styles)
        options.base, options.budget = chosen(runs, options.base, options.budget)
        pooled = announced(pool(runs, options.base, options.budget, options.mixed))
        same_world = [run for run in runs if run.world == pooled.runs[0].world]
        others = {
            base: pool(several, base, options.budget, options.mixed).runs
            for base, several in by_base(same_world, options.budget).items()
            if base != options.base
        }

        from razorbench.reports.build import report as write

        page = write(
            pooled,
            lambda: decide(registered, styles, {options.base: pooled.runs, **others}, options.results, options.budget, options.config_dir),
            families,
            registered.item("study", "questions"),
            options.out,
            lambda title: console.print(f"{title} ..."),
        )
    console.print(f"{len(pooled.runs)} runs: {near(page.absolute())}")
    return 0
