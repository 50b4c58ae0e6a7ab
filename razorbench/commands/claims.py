"""`razorbench claims`: decide the paper's claims on finished runs."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from razorbench.commands.comparison_tables import print_claims, print_primary
from razorbench.commands.parser import Parser
from razorbench.commands.pooled import announced, pooling_options
from razorbench.errors import UsageError, among
from razorbench.registry.config import Registry, registry
from razorbench.runs.suggest import finding, sweep
from razorbench.statistics.claim_rules import Evidence
from razorbench.statistics.claims import Claim, Claims
from razorbench.statistics.finished_runs import Run, only, read_runs
from razorbench.statistics.missing_runs import Design
from razorbench.statistics.pooling import pool

Styles = Mapping[str, Sequence[str]]
RULES = "claims2"
"""Name of the study with the rules of the claims."""


def styles_of(registered: Registry) -> Styles:
    """Return every task's demonstration styles."""
    return {name: tuple(task.experts) for name, task in registered.sound("task").items()}


def command(arguments: Sequence[str]) -> int:
    """Decide the paper's claims on finished runs. Returns 1 if a claim has no verdict, else 0."""
    options = _claim_options(
        Parser(
            prog="razorbench claims",
            description="Decide the paper's claims on the runs below a folder, by the rules of conf/study/claims2.yaml. Exit code 1: a claim has no verdict.",
        )
    ).parse_args(arguments)
    with registry(options.config_dir) as registered:
        styles = styles_of(registered)
        every = read_runs(options.results, styles)
        options.budget = options.budget or only("budget", {run.budget for run in every}, "standard")
        runs = by_base(every, options.budget)
        pooled = {base: announced(pool(several, base, options.budget, options.mixed)).runs for base, several in runs.items()}
        decided = decide(registered, styles, pooled, options.results, options.budget, options.config_dir)
        rules = registered.item("study", RULES)
        primary = rules.confirm(_evidence(registered, rules, styles, pooled, options.results))
    if options.json:
        claims = [asdict(claim) | {"decided": claim.decided, "commands": commands} for claim, commands in decided]
        content = {"status": rules.status, "sha256": digest(options.config_dir), "claims": claims, "primary": [asdict(one) for one in primary]}
        print(json.dumps(content, indent=1))
    else:
        print_claims(decided)
        print_primary(primary, rules.status, digest(options.config_dir))
    return 0 if all(claim.decided for claim, _ in decided) else 1


def by_base(runs: Sequence[Run], budget: str) -> dict[str, list[Run]]:
    """Return the runs of a budget by base. Raises UsageError if there are none."""
    bases: dict[str, list[Run]] = {}
    for run in runs:
        if run.budget == budget:
            bases.setdefault(run.base, []).append(run)
    if not bases:
        raise UsageError(f"no run with budget={budget} among {len(runs)}{among(budget, sorted({run.budget for run in runs}))}")
    return bases


def decide(
    registered: Registry, styles: Styles, runs: Mapping[str, Sequence[Run]], results: Path, budget: str, config_dir: str | None = None
) -> list[tuple[Claim, list[str]]]:
    """Decide every claim and name the commands that would add missing runs. runs: by base; results: folder of the runs and the controlled studies."""
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
    return Evidence(runs, design_of(registered, rules, styles), registered.names("method"), results / "studies")


def design_of(registered: Registry, rules: Claims, styles: Styles) -> Design:
    """Return the runs that each arm should have for the rules."""
    second = {name: names[1] for name, names in styles.items() if len(names) > 1}
    return Design(registered.item("suite", rules.suite)["tasks"], rules.seeds, second)


def _claim_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("--budget", help="budget of the runs, if the folder has several (standard)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return pooling_options(parser)
