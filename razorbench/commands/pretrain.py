"""`razorbench pretrain`: train a base policy again and compare it with the shipped one."""

from __future__ import annotations

from collections.abc import Sequence

from razorbench.commands.parser import Parser


def command(arguments: Sequence[str]) -> int:
    """Train a base policy again. Returns 1 if a skill falls below 0.95."""
    parser = Parser(prog="razorbench pretrain", description="Train a base policy again, measure it, and compare it with the shipped one.")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="base=mlp seed=0 results=results, and settings such as base.epochs=30")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_args(arguments)

    from razorbench.bases.pretrain import pretrain as train
    from razorbench.commands import terminal
    from razorbench.registry import config
    from razorbench.registry.building import build

    with config.registry(options.config_dir) as registry:
        composed = registry.compose(options.overrides)
        recipe = build(config.plain_config(composed)["base"], "base")
        world = next(iter(recipe.skills.values())).world.version
        tasks = [task for task in registry.sound("task").values() if task.world.version == world]
    folder = config.results_of(composed) / "policies"
    card = train(recipe, tasks, int(composed.seed), folder, print)
    return terminal.pretrained(card, folder, recipe)
