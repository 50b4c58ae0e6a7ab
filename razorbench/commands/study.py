"""`razorbench study=NAME`: do a controlled study."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from razorbench.commands.parser import Parser
from razorbench.errors import UsageError


def command(arguments: Sequence[str]) -> int:
    """Do a controlled study and write its findings to RESULTS/studies/NAME."""
    parser = Parser(prog="razorbench study=NAME", description="Do a controlled study; its settings are study.KEY=VALUE.", allow_abbrev=False)
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE", help="study=NAME, its settings such as study.seed=1, and results=DIR")
    parser.add_argument("--config-dir", help="your own conf folder, with study/NAME.yaml")
    options = parser.parse_args(arguments)
    name = next(override.removeprefix("study=") for override in options.overrides if override.startswith("study="))
    for override in options.overrides:
        if not override.lstrip("+").startswith(("study=", "study.", "results=")):
            raise UsageError(f"{override}: a study takes only study.KEY=VALUE and results=DIR; leave it out")

    from razorbench.commands import terminal
    from razorbench.registry import config
    from razorbench.store.writable import filling
    from razorbench.studies.findings import ControlledStudy

    with config.registry(options.config_dir) as registry:
        study, results = registry.study(options.overrides)
    if not isinstance(study, ControlledStudy):
        raise UsageError(f"study={name} is not a controlled study: its command is `{terminal.use(study, name)}`")
    folder = results / "studies" / name
    with filling(folder, f"results={results}", "results=DIR"):
        findings = study.run(lambda text: print(text, file=sys.stderr))
        findings.save(folder, study)
    terminal.markdown(findings.text)
    print(f"report.md, tables and figures are in {folder}")
    return 0
