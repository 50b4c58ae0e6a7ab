"""`razorbench score`: any policy against the base that it came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.parser import Parser
from razorbench.errors import UsageError
from razorbench.task import SPLIT_SIZES, Split

_POLICY = "policy="


def command(arguments: Sequence[str]) -> int:
    """Score a policy and print the table; with --out also write it as JSON."""
    made = Parser(
        prog="razorbench score",
        description="Score a policy on a new task and on the base's original skills: success, retention, moved actions, and KL if it has a distribution.",
    )
    made.add_argument(
        "words",
        nargs="*",
        metavar="KEY=VALUE",
        help="task=NAME [base=mlp or PATH.zip] [policy=POLICY] [seed=0]; POLICY is a .safetensors file of the base's shape, a .zip of Stable-Baselines3, or "
        "module.name of a class or function that makes a policy; by default it is the base",
    )
    made.add_argument("--episodes", type=int, default=SPLIT_SIZES[Split.TEST], help="per task and mode")
    made.add_argument("--out", type=Path, metavar="FILE", help="also write the numbers to this JSON file")
    made.add_argument("--config-dir", help="your own conf folder")
    options = made.parse_intermixed_args(arguments)
    if not 1 <= options.episodes <= SPLIT_SIZES[Split.TEST]:
        raise UsageError(f"--episodes {options.episodes}: it must lie between 1 and {SPLIT_SIZES[Split.TEST]}")
    policies = [word.removeprefix(_POLICY) for word in options.words if word.startswith(_POLICY)]
    if len(policies) > 1:
        raise UsageError(f"policy= is given {len(policies)} times: give it once")

    from razorbench.bases.scoring import score
    from razorbench.commands import terminal
    from razorbench.registry import building, config
    from razorbench.runs.spec import RunSpec
    from razorbench.store.writable import make_writable

    if options.out is not None:
        make_writable(options.out.absolute().parent, f"--out {options.out}", "--out FILE")
    words = [word for word in options.words if not word.startswith(_POLICY)]
    with config.registry(options.config_dir) as registry:
        # The method that does nothing: a score has none.
        composed = registry.compose(["method=frozen", *words])
        spec = config.spec(composed, composed.hydra.runtime.choices)
        if not isinstance(spec, RunSpec):
            raise UsageError("sequence: a policy is scored on one task; give task=NAME")
        policy, name = (building.policy(policies[0], spec.base, spec.task), policies[0]) if policies else (spec.base.policy, spec.base.id)
    found = score(policy, Path(name).name, spec.base, spec.task, options.episodes)
    terminal.scored(found)
    if options.out is not None:
        options.out.write_text(json.dumps(found.plain(), indent=2) + "\n", encoding="utf-8")
        terminal.console.print(f"written to {options.out}")
    return 0
