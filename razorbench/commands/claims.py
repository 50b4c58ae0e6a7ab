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
from razorbench.commands.terminal import console
from razorbench.errors import UsageError, among
from razorbench.registry.config import Registry, registry
from razorbench.runs.suggest import finding, sweep
from razorbench.statistics.claim_rules import Evidence
from razorbench.statistics.claims import Claim, Claims, Primary
from razorbench.statistics.finished_runs import Run, by_world, only, read_runs
from razorbench.statistics.missing_runs import Design
from razorbench.statistics.pooling import pool

Styles = Mapping[str, Sequence[str]]
Decided = Sequence[tuple[Claim, Sequence[str]]]
"""Claims, each with the commands that would add missing runs."""
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
        rules, sha256 = registered.item("study", RULES), digest(options.config_dir)
        styles = styles_of(registered)
        worlds = {world: _of_world(registered, rules, styles, runs, options) for world, runs in by_world(read_runs(options.results, styles), None).items()}
    if options.json:
        told = {world: _plain(decided, primary) for world, (_, decided, primary) in worlds.items()}
        print(json.dumps({"status": rules.status, "sha256": sha256, **(next(iter(told.values())) if len(told) == 1 else {"worlds": told})}, indent=1))
    else:
        for world, (main, decided, primary) in worlds.items():
            if len(worlds) > 1 or main is not None:
                console.print(f"world {world}{'' if main is None else f', base {main}'}\n", soft_wrap=True)
            print_claims(decided)
            print_primary(primary, rules.status, sha256)
    return 0 if all(claim.decided for _, decided, _ in worlds.values() for claim, _ in decided) else 1


def _of_world(
    registered: Registry, rules: Claims, styles: Styles, every: Sequence[Run], options: argparse.Namespace
) -> tuple[str | None, Decided, list[Primary]]:
    """Return the base that stands for the rules' own in another world, the claims and the primary contrasts. every: the runs of one world."""
    budget = options.budget or only("budget", {run.budget for run in every}, "standard")
    runs = {base: announced(pool(several, base, budget, options.mixed)).runs for base, several in by_base(every, budget).items()}
    decided = decide(registered, styles, runs, options.results, budget, options.config_dir)
    evidence = _evidence(registered, rules, styles, runs, options.results)
    return evidence.main, decided, rules.confirm(evidence)


def _plain(decided: Decided, primary: Sequence[Primary]) -> dict[str, object]:
    """Return the claims and primary contrasts of one world as JSON has them."""
    claims = [asdict(claim) | {"decided": claim.decided, "commands": commands} for claim, commands in decided]
    return {"claims": claims, "primary": [asdict(one) for one in primary]}


def by_base(runs: Sequence[Run], budget: str) -> dict[str, list[Run]]:
    """Return the runs of a budget by base. Raises UsageError if there are none."""
    bases: dict[str, list[Run]] = {}
    for run in runs:
        if run.budget == budget:
            bases.setdefault(run.base, []).append(run)
    if not bases:
        raise UsageError(f"no run with budget={budget} among {len(runs)}{among(budget, sorted({run.budget for run in runs}))}")
    return bases


def decide(registered: Registry, styles: Styles, runs: Mapping[str, Sequence[Run]], results: Path, budget: str, config_dir: str | None = None) -> Decided:
    """Decide every claim and name the commands that would add missing runs.

    runs: of one world, by base; results: folder of the runs and the controlled studies.
    """
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
    every = [run for several in runs.values() for run in several]
    design, studies = design_of(registered, rules, styles, every), results / "studies"
    if _at_home(registered, rules, every):
        return Evidence(runs, design, registered.names("method"), studies)
    # A world may lack what other methods need.
    return Evidence(runs, design, sorted({run.method for run in every}), studies, max(sorted(runs), key=lambda base: len(runs[base])))


def design_of(registered: Registry, rules: Claims, styles: Styles, runs: Sequence[Run]) -> Design:
    """Return the runs that each arm should have for the rules. runs: of one world; if it is not that of the rules' suite, the tasks are those of the runs."""
    second = {name: names[1] for name, names in styles.items() if len(names) > 1}
    tasks = registered.item("suite", rules.suite)["tasks"] if _at_home(registered, rules, runs) else sorted({run.task for run in runs})
    return Design(tasks, rules.seeds, second)


def _at_home(registered: Registry, rules: Claims, runs: Sequence[Run]) -> bool:
    """Return whether runs of one world are of the world of the rules' suite."""
    return bool(registered.item("task", registered.item("suite", rules.suite)["tasks"][0]).world.version == runs[0].world)


def _claim_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("results", type=Path, help="folder of runs, as `results=` named it")
    parser.add_argument("--budget", help="budget of the runs, if the folder has several (standard)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return pooling_options(parser)
