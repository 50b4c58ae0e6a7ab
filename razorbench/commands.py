"""Commands other than runs and their reports: `razorbench check`, `pretrain`, `demos` and `bench`.

What takes seconds to import is imported once the words of the command are known to be right.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path

from razorbench.errors import UsageError
from razorbench.guess import among

Parser = Callable[..., argparse.ArgumentParser]


def check(arguments: Sequence[str], parser: Parser) -> int:
    """Say what is wrong with a task, or with all; 1 if anything is."""
    made = parser(prog="razorbench check", description="Say what is wrong with a task, a sentence per fault: shapes, starts, success, experts, physics.")
    made.add_argument("task", help="name of a new task or an original skill, or `all`")
    made.add_argument("--config-dir", help="your own conf folder")
    made.add_argument("--golden", type=Path, metavar="FILE", help="also compare with the golden trajectories in this .npz file, written if there is none yet")
    options = made.parse_args(arguments)

    from razorbench import config, golden
    from razorbench.checks import check_shipped, check_task
    from razorbench.identity import shipped
    from razorbench.store import make_writable

    with config.registry(options.config_dir) as registry:
        chosen = None if options.task == "all" else registry.task_or_skill(options.task)
        everything, skills = registry.all_tasks(), registry.names("skill")
    wanted = everything if chosen is None else [chosen]
    compare = options.golden is not None and options.golden.exists()
    if options.golden is not None and not compare:
        make_writable(options.golden.parent, str(options.golden), "--golden")
    good = []
    for task in wanted:
        found = check_task(task, everything)
        if not found and task.id in shipped("task"):
            ours = [other for other in everything if other.id in shipped("task")]
            with as_file(files("razorbench.envs").joinpath("golden.npz")) as file:
                found = check_shipped(task, ours, skills, file, Path(__file__).parents[1] / "docs" / "tasks.md")
        if compare and not found and (difference := golden.difference(task, options.golden)):
            found = [difference]
        for sentence in found:
            print(f"{task.id}: {sentence}")
        if not found:
            good.append(task)
            print(f"{task.id}: conforms")
    if options.golden is not None and not compare and good:
        golden.write(good, options.golden)
    return 0 if len(good) == len(wanted) else 1


def pretrain(arguments: Sequence[str], parser: Parser) -> int:
    """Make a base policy anew; 1 if it misses the bar."""
    made = parser(prog="razorbench pretrain", description="Make a base policy anew, measure it, and say how it compares with the shipped one.")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="base=mlp seed=0 results=results, and settings such as base.epochs=30")
    made.add_argument("--config-dir", help="your own conf folder")
    options = made.parse_args(arguments)

    from razorbench import config, show
    from razorbench.building import build
    from razorbench.pretrain import pretrain as train

    with config.registry(options.config_dir) as registry:
        composed = registry.compose(options.overrides)
        recipe = build(config.plain_config(composed)["base"], "base")
        tasks = [registry.item("task", name) for name in registry.names("task")]
    folder = config.results_of(composed) / "policies"
    card = train(recipe, tasks, int(composed.seed), folder, print)
    return show.pretrained(card, folder, recipe)


def demos(arguments: Sequence[str], parser: Parser) -> int:
    """Record demonstrations of a task as a file."""
    made = parser(prog="razorbench demos", description="Record a scripted expert's noisy demonstrations of a task, successes only, as safetensors.")
    made.add_argument("task", help="name of a new task")
    made.add_argument("--style", help="demonstration style, by default the task's first")
    made.add_argument("--episodes", type=int, default=500, help="episodes to play")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--out", type=Path, help="the file, by default TASK-STYLE.safetensors here")
    made.add_argument("--config-dir", help="your own conf folder")
    options = made.parse_args(arguments)
    if options.episodes < 1 or options.seed < 0:
        raise UsageError(f"--episodes {options.episodes} --seed {options.seed}: episodes must be 1 or more, the seed 0 or more")

    from razorbench import config
    from razorbench import demos as demonstrations
    from razorbench.store import filling

    with config.registry(options.config_dir) as registry:
        task = registry.task_or_skill(options.task)
    style = next(iter(task.experts)) if options.style is None else options.style
    if style not in task.experts:
        raise UsageError(f"--style {style}: {task.id} has no such demonstration style{among(style, task.experts)}")
    out = options.out if options.out is not None else Path(f"{task.name}-{style}{demonstrations.SUFFIX}")
    if out.suffix != demonstrations.SUFFIX:
        raise UsageError(f"--out {out}: the file's name must end in {demonstrations.SUFFIX}")
    with filling(out.parent, f"--out {out}", "--out FILE"):
        recorded = demonstrations.record(task, style, options.episodes, options.seed)
        demonstrations.save(recorded, task, style, out)
    print(f"{len(recorded.start)} episodes of {task.id}, {len(recorded.actions)} decisions: {out}")
    return 0


def bench(arguments: Sequence[str], parser: Parser) -> int:
    """Measure speed on this machine."""
    made = parser(prog="razorbench bench", description="Measure speed on this machine against the raw rate of mujoco.rollout; takes some minutes.")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="the run to take apart, by default task=pick_place method=ppo")
    made.add_argument("--num-envs", type=int, default=128, help="environments in the batch")
    made.add_argument("--rounds", type=int, default=5, help="rounds to take medians over")
    made.add_argument("--peers", nargs="?", const=sys.executable, metavar="PYTHON", help="also measure other benchmarks, with the Python that has them")
    made.add_argument("--out", type=Path, default=Path("results/bench"), help="folder for bench.json and bench.png")
    made.add_argument("--json", action="store_true", help="print JSON instead of tables")
    made.add_argument("--config-dir", help="your own conf folder")
    options = made.parse_intermixed_args(arguments)
    if options.num_envs < 1 or options.rounds < 1:
        raise UsageError(f"--num-envs is {options.num_envs} and --rounds is {options.rounds}: both must be 1 or more")

    from razorbench import bench_report, config, show
    from razorbench.bench import bench as measure
    from razorbench.spec import RunSpec
    from razorbench.store import filling

    with config.registry(options.config_dir) as registry:
        composed = registry.compose(["task=pick_place", "method=ppo", *options.overrides])
        spec = config.spec(composed, composed.hydra.runtime.choices)
    if not isinstance(spec, RunSpec):
        raise UsageError(f"bench takes one run apart, and {spec.name} is a sequence of them: give task=NAME")
    with filling(options.out, f"--out {options.out}", "--out DIR"):
        measured = measure(spec, options.num_envs, options.rounds, options.peers, lambda text: print(f"{text} ...", file=sys.stderr))
        (options.out / "bench.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
        bench_report.picture(measured, options.out / "bench.png")
    if options.json:
        print(json.dumps(measured, indent=2))
    else:
        bench_report.tables(measured, show.console)
        show.console.print(f"written to {options.out}: bench.json, bench.png")
    return 0
