"""The commands that read finished runs: `razorbench report`, `compare` and `claims`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from razorbench.claims import Claim
from razorbench.compare import MARGIN, MEASURES, Comparison, numbers, paired
from razorbench.config import Registry, registry
from razorbench.errors import UsageError
from razorbench.results import Pool, Run, pool, read_runs
from razorbench.rules import FAILS, Evidence
from razorbench.show import console
from razorbench.store import make_writable

Parser = Callable[..., argparse.ArgumentParser]
Styles = Mapping[str, Sequence[str]]


def styles_of(registered: Registry) -> Styles:
    """Return every task's demonstration styles."""
    return {name: tuple(registered.item("task", name).experts) for name in registered.names("task")}


def _told(found: Pool) -> Pool:
    """Return the pool again, having said what is not in it."""
    by_reason: dict[str, list[Run]] = {}
    for run, why in found.apart:
        by_reason.setdefault(why, []).append(run)
    for why, (first, *others) in by_reason.items():
        print(f"set apart: {first.folder} {why}{f'; and so {len(others)} more' if others else ''}", file=sys.stderr)
    return found


def report(arguments: Sequence[str], parser: Parser) -> int:
    """Write the report over finished runs; 0 if it was written."""
    made = parser(
        prog="razorbench report",
        description="Write one page over finished runs: scores, Pareto frontiers, the law and its rivals, every run; and each figure as PNG, SVG and CSV.",
    )
    made.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    made.add_argument("--out", type=Path, required=True, help="folder for index.html, figures/ and tables/")
    options = _selecting(made).parse_args(arguments)
    make_writable(options.out, f"--out {options.out}", "--out DIR")
    with registry(options.config_dir) as registered:
        families = {name: str(registered.item("method", name).family) for name in registered.names("method")}
        styles = styles_of(registered)
        runs = read_runs(options.results, styles)
        found = _told(pool(runs, options.base, options.budget))
        others = {base: pool(several, base, options.budget).runs for base, several in by_base(runs, options.budget).items() if base != options.base}

        from razorbench.reporting.report import report as write

        page = write(
            found,
            lambda: decide(registered, styles, {options.base: found.runs, **others}, options.results, options.budget, options.config_dir),
            families,
            registered.item("study", "questions"),
            options.out,
            lambda title: console.print(f"{title} ...", highlight=False),
        )
    console.print(f"{len(found.runs)} runs: {page}", markup=False, highlight=False)
    return 0


def compare(arguments: Sequence[str], parser: Parser) -> int:
    """Compare two arms; 0 if the first is better on the chosen measure, else 1."""
    options = _options(
        parser(
            prog="razorbench compare",
            description="Compare two methods on the tasks and seeds that both have: is A better than B? The exit code is 0 if so on --by, 1 if not.",
        )
    ).parse_args(arguments)
    with registry(options.config_dir) as registered:
        runs = _told(pool(read_runs(options.results, styles_of(registered)), options.base, options.budget)).runs
    arms = sorted({run.arm for run in runs})
    for arm in (options.a, options.b):
        if arm not in arms:
            raise UsageError(f"{arm}: no such method among the runs; there are {', '.join(arms)} (/2 stands for a task's second style of demonstrations)")
    found = {name: paired(numbers(runs, options.a, measure), numbers(runs, options.b, measure)) for name, measure in MEASURES.items()}
    console.width = max(console.width, 100)
    console.print(_table(options.a, options.b, found))
    console.print(
        f"Differences are paired by task and seed, averaged over seeds; 95% Student interval over tasks (over seeds where there is one task).\n"
        f"No difference: inside {MARGIN:g} either way. Visible: the smallest difference that these runs would show in 80% of such studies."
    )
    verdict = found[options.by].verdict()
    console.print(f"{options.by}: {options.a} against {options.b}: {verdict}")
    return 0 if verdict == "better" else 1


def _options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("a", metavar="A", help="a method; sft/2 is sft with each task's second style of demonstrations")
    parser.add_argument("b", metavar="B", help="the method that it is compared with")
    parser.add_argument(
        "--by",
        choices=tuple(name for name, measure in MEASURES.items() if measure.more_is_better),
        default="retention@0.7",
        help="measure that decides the exit code (retention@0.7)",
    )
    return _selecting(parser)


def _selecting(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--base", default="mlp", help="base policy of the runs (mlp)")
    parser.add_argument("--budget", default="standard", help="budget of the runs (standard)")
    parser.add_argument("--config-dir", help="your own conf folder")
    return parser


def _table(a: str, b: str, found: dict[str, Comparison]) -> Table:
    table = Table(title=f"{a} less {b}", title_justify="left", box=box.SIMPLE)
    for column in ("measure", "difference", "95%", "over", "runs", "visible", "A is"):
        table.add_column(column, justify="left" if column in ("measure", "A is") else "right", no_wrap=True)
    for name, each in found.items():
        over = f"{each.n} {each.unit}"
        if each.difference is None:
            table.add_row(name, "undefined", "", over, str(each.pairs), "", "underpowered")
        else:
            shown = each.difference
            visible = "" if each.visible is None else f"{each.visible:.3f}"
            verdict = each.verdict() if MEASURES[name].more_is_better else ""
            table.add_row(name, f"{shown.value:+.3f}", f"{shown.low:+.3f} to {shown.high:+.3f}", over, str(each.pairs), visible, verdict)
    return table


def claims(arguments: Sequence[str], parser: Parser) -> int:
    """Decide the paper's claims on finished runs; 1 if one does not hold, else 0."""
    options = _claim_options(
        parser(
            prog="razorbench claims",
            description="Decide the paper's claims on the runs below a folder, by the rules of conf/study/claims.yaml. Exit code 1: one does not hold.",
        )
    ).parse_args(arguments)
    with registry(options.config_dir) as registered:
        styles = styles_of(registered)
        runs = by_base(read_runs(options.results, styles), options.budget)
        pooled = {base: _told(pool(several, base, options.budget)).runs for base, several in runs.items()}
        decided = decide(registered, styles, pooled, options.results, options.budget, options.config_dir)
    if options.json:
        print(json.dumps([asdict(claim) | {"verdict": claim.verdict, "commands": commands} for claim, commands in decided], indent=1))
    else:
        _print_claims(decided)
    return 1 if any(claim.verdict == FAILS for claim, _ in decided) else 0


def by_base(runs: Sequence[Run], budget: str) -> dict[str, list[Run]]:
    """Return the runs of a budget by base. Raises UsageError if there are none."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run.record["budget"]["name"] == budget:
            found.setdefault(run.base, []).append(run)
    if not found:
        raise UsageError(f"no run with budget={budget} among {len(runs)}; there are {', '.join(sorted({run.record['budget']['name'] for run in runs}))}")
    return found


def decide(
    registered: Registry, styles: Styles, runs: Mapping[str, Sequence[Run]], results: Path, budget: str, config_dir: str | None = None
) -> list[tuple[Claim, list[str]]]:
    """Decide every claim, and name the commands that would add what it lacks. runs: by base; results: where they lie, and controlled studies."""
    rules = registered.item("study", "claims")
    second = {name: names[1] for name, names in styles.items() if len(names) > 1}
    tasks, methods = registered.item("suite", rules.suite)["tasks"], registered.names("method")
    decided = rules.decide(Evidence(runs, tasks, rules.seeds, second, methods, results / "studies"))
    finding = f" --config-dir {config_dir}" if config_dir else ""
    sweep = f"python -m razorbench -m{finding} results={results} budget={budget}"
    study = f"python -m razorbench{finding} results={results} study="
    return [(claim, claim.commands(sweep, study)) for claim in decided]


def _claim_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("--budget", default="standard", help="budget of the runs (standard)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--config-dir", help="your own conf folder")
    return parser


def _print_claims(decided: Sequence[tuple[Claim, Sequence[str]]]) -> None:
    console.width = max(console.width, 150)
    for claim, commands in decided:
        console.print(f"[bold]{claim.name}[/bold]  {claim.says}: [bold]{claim.verdict}[/bold]", highlight=False)
        table = Table(box=box.SIMPLE, pad_edge=False)
        for column in ("", "claimed", "measured", "95%", "of", "visible", "verdict"):
            table.add_column(column, justify="left" if column in ("", "claimed", "of", "verdict") else "right")
        for each in claim.findings:
            effect = ("undefined", "") if each.effect is None else (f"{each.effect.value:+.3f}", f"{each.effect.low:+.3f} to {each.effect.high:+.3f}")
            visible = "" if each.visible is None else f"{each.visible:.3f}"
            table.add_row(each.what, each.claimed, *effect, each.n, visible, f"({each.verdict})" if each.beside else each.verdict)
        console.print(table)
        for note in dict.fromkeys(each.note for each in claim.findings if each.note):
            console.print(f"  {note}", markup=False, highlight=False)
        for command in commands:
            console.print(f"  add: {command}", markup=False, highlight=False, soft_wrap=True)
        console.print()
    console.print("Visible: the smallest effect that such runs would show in 80% of studies. Verdicts in brackets are beside the claim and decide nothing.")
