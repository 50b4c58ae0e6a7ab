"""`razorbench demos`: record demonstrations of a task as a file, or make such a file of arrays from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.parser import Parser
from razorbench.errors import UsageError, among


def command(arguments: Sequence[str]) -> int:
    """Record demonstrations of a task as a file, or make such a file of arrays."""
    parser = Parser(prog="razorbench demos", description="Record a scripted expert's noisy demonstrations of a task, successes only, as safetensors.")
    parser.add_argument("task", help="name of a new task")
    parser.add_argument("--style", help="demonstration style, by default the task's first")
    parser.add_argument("--episodes", type=int, default=500, help="episodes to play")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the file, by default TASK-STYLE.safetensors here")
    parser.add_argument(
        "--from",
        dest="arrays",
        type=Path,
        metavar="FILE.npz",
        help="take episodes from a NumPy file instead: observations (M, O), actions (M, A) in [-1, 1], episode (M,), numbered from 0; successes only",
    )
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_args(arguments)
    if options.episodes < 1 or options.seed < 0:
        raise UsageError(f"--episodes {options.episodes} --seed {options.seed}: episodes must be 1 or more, the seed 0 or more")

    from razorbench.method import demonstrations
    from razorbench.registry import config
    from razorbench.store.writable import filling

    with config.registry(options.config_dir) as registry:
        task = registry.task_or_skill(options.task)
    style = task.style if options.style is None else options.style
    if not task.experts and options.arrays is None:
        raise UsageError(f"{task.id} has no scripted expert to demonstrate it: give episodes with --from FILE.npz")
    if style not in task.experts and options.arrays is None:
        raise UsageError(f"--style {style}: {task.id} has no such demonstration style{among(style, task.experts)}")
    out = options.out if options.out is not None else Path(f"{task.name}-{style}{demonstrations.SUFFIX}")
    if out.suffix != demonstrations.SUFFIX:
        raise UsageError(f"--out {out}: the file's name must end in {demonstrations.SUFFIX}")
    with filling(out.parent, f"--out {out}", "--out FILE"):
        if options.arrays is None:
            recorded = demonstrations.record(task, style, options.episodes, options.seed)
        else:
            recorded = demonstrations.from_arrays(options.arrays, task)
        demonstrations.save(recorded, task, style, out)
    print(f"{len(recorded.start)} episodes of {task.id}, {len(recorded.actions)} decisions: {out}")
    return 0
