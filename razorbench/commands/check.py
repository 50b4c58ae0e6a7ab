"""`razorbench check`: report the faults of a task or a method, a sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from razorbench.commands.parser import Parser
from razorbench.errors import UsageError, among
from razorbench.runs.suggest import completed

if TYPE_CHECKING:
    from razorbench.registry.config import Registry
    from razorbench.task import Task

_TINY = ("env_steps=16384", "demo_episodes=40", "expert_queries=2000", "gradient_steps=200")
"""Budget of a method's runs: three iterations of `ppo` with its own settings."""


def command(arguments: Sequence[str]) -> int:
    """Report the faults of a task, a method, or all tasks. Returns 1 if there are any. Raises UsageError for an unknown or ambiguous name."""
    parser = Parser(
        prog="razorbench check",
        description="Report the faults of a task or a method, a sentence each. For a task: shapes, starts, success, experts, physics. "
        "For a method: whether tiny runs repeat, keep the budget, resume after a kill, leave the base unchanged and report updates.",
    )
    parser.add_argument("name", help="name of a new task, an original skill or a method, or `all` for all tasks of MuJoCo models")
    parser.add_argument("settings", nargs="*", help="for a method: settings of its tiny runs, such as method.epochs=2 budget.env_steps=40960")
    parser.add_argument("--config-dir", help="your own conf folder")
    parser.add_argument(
        "--golden", type=Path, metavar="FILE", help="for a task: also compare with the golden trajectories in this .npz file, or write it if it does not exist"
    )
    options = parser.parse_intermixed_args(arguments)

    from razorbench.registry import config

    with config.registry(options.config_dir) as registry:
        if _is_method(registry, options.name):
            if options.golden is not None:
                raise UsageError(f"--golden={options.golden}: it is for tasks, and {options.name} is a method; leave it out")
            return _check_method(registry, options.name, options.settings)
        if options.settings:
            raise UsageError(f"{options.settings[0]}: settings are for methods, and {options.name} is {_described(options.name)}; leave them out")
        return _check_tasks(registry, options.name, options.golden, options.config_dir)


def _described(name: str) -> str:
    return "no method" if name == "all" else "a task"


def _is_method(registry: Registry, name: str) -> bool:
    """Whether a name is that of a method; False for a task and for `all`. Raises UsageError if it is both or neither."""
    methods, tasks = registry.names("method"), [*registry.names("task"), *registry.names("skill")]
    if name in methods and name in tasks:
        raise UsageError(f"{name} is the name of a task and of a method: rename one of the two yaml files")
    if name not in (*methods, *tasks, "all"):
        raise UsageError(f"{name}: no such task, skill or method{among(name, [*tasks, *methods])}")
    return name in methods


def _check_method(registry: Registry, name: str, settings: Sequence[str]) -> int:
    from razorbench.registry import config
    from razorbench.runs.conformance import check_method
    from razorbench.runs.spec import RunSpec

    for setting in settings:
        if not setting.startswith(("method.", "method@", "budget.")):
            raise UsageError(f"{setting}: a method's check takes settings of the method and its budget only, as in method.epochs=2 or budget.env_steps=40960")
    tiny = ["budget.name=check", *(f"budget.{cap}" for cap in _TINY)]
    composed = registry.compose(["task=pick_place", f"method={name}", *tiny, *settings])
    spec = config.spec(composed, composed.hydra.runtime.choices)
    assert isinstance(spec, RunSpec)
    faults = check_method(spec)
    for sentence in faults or ["conforms"]:
        print(f"{name}: {sentence}")
    return 1 if faults else 0


def _say_left_out(tasks: Sequence[Task], config_dir: str | None) -> None:
    """Print a line for each world with an engine of its own: its tasks, and the command that checks one."""
    for world in dict.fromkeys(task.world.version for task in tasks):
        names = [task.name for task in tasks if task.world.version == world]
        print(completed(f"left out: {', '.join(names)} ({world} has an engine of its own); check each, as in `razorbench check {names[0]}`", config_dir))


def _check_tasks(registry: Registry, name: str, golden_file: Path | None, config_dir: str | None) -> int:
    from razorbench.identity.parts import shipped
    from razorbench.store.writable import make_writable
    from razorbench.world import golden
    from razorbench.world.conformance import check_shipped, check_task
    from razorbench.world.engine import is_mujoco

    chosen = None if name == "all" else registry.task_or_skill(name)
    every, skills = registry.all_tasks(), registry.names("skill")
    everything = [task for task in every if is_mujoco(task)]
    if chosen is not None and not is_mujoco(chosen):
        everything = [task for task in every if task.world.version == chosen.world.version]
    wanted = everything if chosen is None else [chosen]
    compare = golden_file is not None and golden_file.exists()
    if golden_file is not None and not compare:
        make_writable(golden_file.parent, str(golden_file), "--golden")
    good = []
    for task in wanted:
        faults = check_task(task, everything)
        if not faults and is_mujoco(task) and task.id in shipped("task"):
            ours = [other for other in everything if other.id in shipped("task")]
            with as_file(files("razorbench.envs").joinpath("golden.npz")) as file:
                faults = check_shipped(task, ours, skills, file, Path(__file__).parents[2] / "docs" / "tasks.md")
        if golden_file is not None and compare and not faults and (difference := golden.difference(task, golden_file)):
            faults = [difference]
        for sentence in faults or ["conforms"]:
            print(f"{task.id}: {sentence}")
        if not faults:
            good.append(task)
    if golden_file is not None and not compare and good:
        golden.write(good, golden_file)
    if chosen is None:
        _say_left_out([task for task in every if not is_mujoco(task)], config_dir)
    return 0 if len(good) == len(wanted) else 1
