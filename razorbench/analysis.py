"""The commands that read finished runs: `razorbench report`, `compare` and `claims`."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from razorbench.analysis_tables import SHOWN, comparison, print_claims, print_primary
from razorbench.claims import Claim, Claims
from razorbench.compare import MEASURES, contrast
from razorbench.config import Registry, registry
from razorbench.disk import near
from razorbench.errors import UsageError
from razorbench.guess import among
from razorbench.lacking import Design, sweeps
from razorbench.pooling import Pool, pool
from razorbench.results import Run, chosen, only, read_runs
from razorbench.rules import Evidence, whys
from razorbench.show import console
from razorbench.store import filling
from razorbench.suggest import finding, sweep

Parser = Callable[..., argparse.ArgumentParser]
Styles = Mapping[str, Sequence[str]]
RULES = "claims2"
"""The study that holds the rules of the claims."""


def styles_of(registered: Registry) -> Styles:
    """Return every task's demonstration styles."""
    return {name: tuple(task.experts) for name, task in registered.sound("task").items()}


def _told(found: Pool) -> Pool:
    """Return the pool again, having said what is not in it."""
    by_reason: dict[str, list[Run]] = {}
    for run, why in found.apart:
        by_reason.setdefault(why, []).append(run)
    for why, (first, *others) in by_reason.items():
        print(f"set apart: {first.folder} {why}{f'; and so {len(others)} more' if others else ''}", file=sys.stderr)
    for note in found.notes:
        print(note, file=sys.stderr)
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
    with filling(options.out, f"--out {options.out}", "--out DIR"), registry(options.config_dir) as registered:
        families = {name: str(method.family) for name, method in registered.sound("method").items()}
        styles = styles_of(registered)
        runs = read_runs(options.results, styles)
        options.base, options.budget = chosen(runs, options.base, options.budget)
        found = _told(pool(runs, options.base, options.budget, options.mixed))
        others = {
            base: pool(several, base, options.budget, options.mixed).runs for base, several in by_base(runs, options.budget).items() if base != options.base
        }

        from razorbench.reporting.report import report as write

        page = write(
            found,
            lambda: decide(registered, styles, {options.base: found.runs, **others}, options.results, options.budget, options.config_dir),
            families,
            registered.item("study", "questions"),
            options.out,
            lambda title: console.print(f"{title} ..."),
        )
    console.print(f"{len(found.runs)} runs: {near(page.absolute())}")
    return 0


def compare(arguments: Sequence[str], parser: Parser) -> int:
    """Compare two arms; 0 if there is a verdict on the chosen measure, else 1."""
    options = _options(
        parser(
            prog="razorbench compare",
            description="Compare two methods on the tasks and seeds that both have. Exit code 0: there is a verdict on --by; 1: undecided, or too few runs.",
        )
    ).parse_args(arguments)
    with registry(options.config_dir) as registered:
        styles = styles_of(registered)
        every = read_runs(options.results, styles)
        options.base, options.budget = chosen(every, options.base, options.budget)
        runs = _told(pool(every, options.base, options.budget, options.mixed)).runs
        design = _design(registered, registered.item("study", RULES), styles)
    arms = sorted({run.arm for run in runs})
    for arm in (options.a, options.b):
        if arm not in arms:
            raise UsageError(f"{arm}: no such method among the runs{among(arm, arms)} (/2 stands for a task's second style of demonstrations)")
    shown = dict.fromkeys((*SHOWN, options.by))
    found = {name: contrast(runs, options.a, options.b, MEASURES[name]) for name in shown}
    verdicts = {name: each.verdict(MEASURES[name].quantity.margin) for name, each in found.items()}
    console.print(comparison(options.a, options.b, found, verdicts))
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
    for command in sweeps(design.missing(runs, (options.a, options.b), options.base), sweep(options.results, options.budget, options.config_dir)):
        console.print(f"add: {command}")
    return 1


def _options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("a", metavar="A", help="a method; sft/2 is sft with each task's second style of demonstrations")
    parser.add_argument("b", metavar="B", help="the method that it is compared with")
    parser.add_argument(
        "--by",
        choices=tuple(MEASURES),
        metavar="MEASURE",
        default="retention@best",
        help="measure whose verdict decides the exit code, such as retention@0.9, success@end or retention_kl1 (retention@best)",
    )
    return _selecting(parser)


def _selecting(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--base", help="base policy of the runs, where they are of several (mlp)")
    parser.add_argument("--budget", help="budget of the runs, where they are of several (standard)")
    return _pooling(parser)


def claims(arguments: Sequence[str], parser: Parser) -> int:
    """Decide the paper's claims on finished runs; 1 if one has no verdict at all, else 0."""
    options = _claim_options(
        parser(
            prog="razorbench claims",
            description="Decide the paper's claims on the runs below a folder, by the rules of conf/study/claims2.yaml. Exit code 1: one has no verdict.",
        )
    ).parse_args(arguments)
    with registry(options.config_dir) as registered:
        styles = styles_of(registered)
        every = read_runs(options.results, styles)
        options.budget = options.budget or only("budget", {run.record["budget"]["name"] for run in every}, "standard")
        runs = by_base(every, options.budget)
        pooled = {base: _told(pool(several, base, options.budget, options.mixed)).runs for base, several in runs.items()}
        decided = decide(registered, styles, pooled, options.results, options.budget, options.config_dir)
        rules = registered.item("study", RULES)
        primary = rules.confirm(_evidence(registered, rules, styles, pooled, options.results))
    if options.json:
        each = [asdict(claim) | {"decided": claim.decided, "commands": commands} for claim, commands in decided]
        told_all = {"status": rules.status, "sha256": digest(options.config_dir), "claims": each, "primary": [asdict(one) for one in primary]}
        print(json.dumps(told_all, indent=1))
    else:
        print_claims(decided)
        print_primary(primary, rules.status, digest(options.config_dir))
    return 0 if all(claim.decided for claim, _ in decided) else 1


def by_base(runs: Sequence[Run], budget: str) -> dict[str, list[Run]]:
    """Return the runs of a budget by base. Raises UsageError if there are none."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        if run.record["budget"]["name"] == budget:
            found.setdefault(run.base, []).append(run)
    if not found:
        raise UsageError(f"no run with budget={budget} among {len(runs)}{among(budget, sorted({run.record['budget']['name'] for run in runs}))}")
    return found


def decide(
    registered: Registry, styles: Styles, runs: Mapping[str, Sequence[Run]], results: Path, budget: str, config_dir: str | None = None
) -> list[tuple[Claim, list[str]]]:
    """Decide every claim, and name the commands that would add what it lacks. runs: by base; results: where they lie, and controlled studies."""
    rules = registered.item("study", RULES)
    decided = rules.decide(_evidence(registered, rules, styles, runs, results))
    study = f"python -m razorbench{finding(config_dir)} {shlex.quote(f'results={results}')} study="
    return [(claim, claim.commands(sweep(results, budget, config_dir), study)) for claim in decided]


def digest(config_dir: str | None = None) -> str:
    """Return the SHA-256 of the rules' file: a user's own if there is one, else the shipped one."""
    own = None if config_dir is None else Path(config_dir) / "study" / f"{RULES}.yaml"
    shipped = files("razorbench.conf").joinpath("study", f"{RULES}.yaml")
    return hashlib.sha256(own.read_bytes() if own is not None and own.exists() else shipped.read_bytes()).hexdigest()


def _evidence(registered: Registry, rules: Claims, styles: Styles, runs: Mapping[str, Sequence[Run]], results: Path) -> Evidence:
    return Evidence(runs, _design(registered, rules, styles), registered.names("method"), results / "studies")


def _design(registered: Registry, rules: Claims, styles: Styles) -> Design:
    second = {name: names[1] for name, names in styles.items() if len(names) > 1}
    return Design(registered.item("suite", rules.suite)["tasks"], rules.seeds, second)


def _claim_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("--budget", help="budget of the runs, where they are of several (standard)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return _pooling(parser)


def _pooling(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--mixed", action="store_true", help="pool runs of several protocols, versions or bases' weights too, and say so")
    parser.add_argument("--config-dir", help="your own conf folder")
    return parser
