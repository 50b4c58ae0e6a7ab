"""`razorbench video`: film base and tuned policy, or draw a gallery of all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from razorbench.commands.parser import Parser
from razorbench.errors import UsageError


def command(arguments: Sequence[str]) -> int:
    """Write films and print their paths."""
    parser = Parser(prog="razorbench video", description="Film base and tuned policy side by side, on the new task and on the most forgotten skill.")
    parser.add_argument("run", type=Path, nargs="?", help="a run's folder, as printed at its end")
    parser.add_argument("--gallery", action="store_true", help="film the experts of every task and style instead, and draw a contact sheet")
    parser.add_argument("--out", type=Path, default=Path("results/gallery"), help="folder for the gallery")
    parser.add_argument("--format", choices=("mp4", "gif"), default="mp4")
    parser.add_argument("--episodes", type=int, default=3, help="episodes of each task, one after the other")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_args(arguments)
    if options.episodes < 1:
        raise UsageError(f"--episodes is {options.episodes}: it must be 1 or more")

    if options.gallery == (options.run is not None):
        raise UsageError("video needs a run's folder, or --gallery, and not both: as in `razorbench video results/pick_place/ppo/seed0-...`")

    from razorbench.registry import config
    from razorbench.runs.film import film
    from razorbench.store.writable import filling
    from razorbench.world.gallery import gallery

    with config.registry(options.config_dir) as registry:
        if options.gallery:
            with filling(options.out, f"--out {options.out}", "--out DIR"):
                paths = gallery(registry.modeled_tasks(), options.out, options.format)
        else:
            paths = film(options.run, registry.recorded, options.format, options.episodes)
    for path in paths:
        print(path)
    return 0
