"""`razorbench list`: list tasks, methods and other names, a line each."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from razorbench.commands.parser import Parser
from razorbench.errors import UsageError
from razorbench.identity.catalog import Catalog


def command(arguments: Sequence[str]) -> int:
    """Print the list, everything about names, or the settings of a run."""
    parser = Parser(
        prog="razorbench list", description="List tasks, methods, bases and more, a line each; print everything about one; or print a run's settings."
    )
    parser.add_argument("what", nargs="*", metavar="NAME", help="a name from the list, to print everything about it; with --keys, KEY=VALUE as for a run")
    parser.add_argument("--keys", action="store_true", help="print every setting of a run, by default of task=pick_place method=ppo")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_intermixed_args(arguments)
    if (wrong := next((word for word in options.what if ("=" in word) != options.keys), None)) is not None:
        example = "`razorbench list --keys method=sft`" if "=" in wrong else "`razorbench list --keys` with KEY=VALUE, or `razorbench list NAME`"
        raise UsageError(f"{wrong}: not understood; ask for settings as in {example}")

    if not options.keys:
        catalog = Catalog(options.config_dir)
        for line in (line for name in options.what for line in catalog.described(name)) if options.what else catalog.lines():
            print(line)
        return 0
    from razorbench.registry import config

    given = {override.partition("=")[0] for override in options.what}
    usual = {"task": "pick_place", "method": "ppo"} if "sequence" not in given else {"method": "ppo"}
    with config.registry(options.config_dir) as registry:
        composed = registry.compose([*(f"{key}={name}" for key, name in usual.items() if key not in given), *options.what])
    print(yaml.safe_dump(config.plain_config(composed), sort_keys=False, allow_unicode=True), end="")
    return 0
