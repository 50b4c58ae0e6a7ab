"""`razorbench bench`: measure speed on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.parser import Parser
from razorbench.errors import UsageError


def command(arguments: Sequence[str]) -> int:
    """Measure speed on this machine."""
    parser = Parser(prog="razorbench bench", description="Measure speed on this machine against the raw rate of mujoco.rollout; takes some minutes.")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="the run to measure, by default task=pick_place method=ppo")
    parser.add_argument("--num-envs", type=int, default=128, help="environments in the batch")
    parser.add_argument("--rounds", type=int, default=5, help="rounds for each median")
    parser.add_argument(
        "--peers", nargs="?", const=sys.executable, metavar="PYTHON", help="also measure other benchmarks, with the Python that they are installed in"
    )
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="folder for bench.json and bench.png")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_intermixed_args(arguments)
    if options.num_envs < 1 or options.rounds < 1:
        raise UsageError(f"--num-envs is {options.num_envs} and --rounds is {options.rounds}: both must be 1 or more")

    from razorbench.bench.picture import picture
    from razorbench.bench.speed import bench as measure
    from razorbench.commands.bench_tables import tables
    from razorbench.commands.terminal import console
    from razorbench.registry import config
    from razorbench.runs.spec import RunSpec
    from razorbench.store.writable import filling

    with config.registry(options.config_dir) as registry:
        composed = registry.compose(["task=pick_place", "method=ppo", *options.overrides])
        spec = config.spec(composed, composed.hydra.runtime.choices)
    if not isinstance(spec, RunSpec):
        raise UsageError(f"bench measures one run, and {spec.name} is a sequence of runs: give task=NAME")
    with filling(options.out, f"--out {options.out}", "--out DIR"):
        measured = measure(spec, options.num_envs, options.rounds, options.peers, lambda text: print(f"{text} ...", file=sys.stderr))
        (options.out / "bench.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
        picture(measured, options.out / "bench.png")
    if options.json:
        print(json.dumps(measured, indent=2))
    else:
        tables(measured, console)
        console.print(f"written to {options.out}: bench.json, bench.png")
    return 0
