"""`razorbench tune`: search for methods' defaults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.parser import Parser
from razorbench.errors import UsageError


def command(arguments: Sequence[str]) -> int:
    """Do a search and rank its configurations. Returns 1 if a run failed."""
    parser = Parser(prog="razorbench tune", description="Run every configuration that a study declares for a method, and rank them by mean score on SELECT.")
    parser.add_argument("method", nargs="*", help="methods, by default all of the study; KEY=VALUE goes to the runs, such as hydra/launcher=joblib")
    parser.add_argument("--study", default="tuning", help="name of the study's yaml in conf/study")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder for the runs; finished runs are not repeated")
    parser.add_argument("--config-dir", help="your own conf folder, with study/NAME.yaml for --study NAME")
    options = parser.parse_intermixed_args(arguments)
    overrides = [word for word in options.method if "=" in word]

    from razorbench.commands import run, terminal
    from razorbench.registry import config
    from razorbench.statistics import search
    from razorbench.store.walk import read_records

    with config.registry(options.config_dir) as registry:
        study = registry.item("study", options.study)
    if not isinstance(study, search.Study):
        raise UsageError(f"--study {options.study} is not a search over runs: its command is `{terminal.use(study, options.study)}`")
    methods = [word for word in options.method if "=" not in word] or list(study.grids)
    finding = ["--config-dir", options.config_dir] if options.config_dir else []
    sweeps = [sweep for method in methods for sweep in study.sweeps(method)]
    code = max(run.command(["-m", *sweep, f"results={options.results}", *overrides, *finding]) for sweep in sweeps)
    if code:
        return code
    records = read_records(options.results)
    for method in methods:
        terminal.ranked(method, search.ranking(study, method, records))
    return 0
