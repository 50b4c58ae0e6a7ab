"""`razorbench check`: say what is wrong with a task, a sentence per fault."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

from razorbench.commands.parser import Parser


def command(arguments: Sequence[str]) -> int:
    """Say what is wrong with a task, or with all; 1 if anything is."""
    made = Parser(prog="razorbench check", description="Say what is wrong with a task, a sentence per fault: shapes, starts, success, experts, physics.")
    made.add_argument("task", help="name of a new task or an original skill, or `all`")
    made.add_argument("--config-dir", help="your own conf folder")
    made.add_argument("--golden", type=Path, metavar="FILE", help="also compare with the golden trajectories in this .npz file, written if there is none yet")
    options = made.parse_args(arguments)

    from razorbench.identity.parts import shipped
    from razorbench.registry import config
    from razorbench.store.folder import make_writable
    from razorbench.world import golden
    from razorbench.world.conformance import check_shipped, check_task

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
                found = check_shipped(task, ours, skills, file, Path(__file__).parents[2] / "docs" / "tasks.md")
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
