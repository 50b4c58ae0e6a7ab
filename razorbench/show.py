"""What a person sees in the terminal: progress, the table at the end of a run, lists."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich import box
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from razorbench.base import Recipe, read_card
from razorbench.run import Outcome, Watcher
from razorbench.run import Progress as RunProgress
from razorbench.spec import RunSpec
from razorbench.tuning import Choice, describe

console = Console(highlight=False, soft_wrap=True)
_EVERY_S = 10.0
"""Seconds between lines of progress where there is no terminal to draw a bar in."""


class Registry(Protocol):
    """What `listing` needs of the configuration."""

    def names(self, group: str) -> list[str]:
        """Return the names of a group."""

    def item(self, group: str, name: str) -> Any:
        """Return one thing."""


@contextmanager
def watching(title: str, spec: RunSpec) -> Iterator[Watcher]:
    """Show progress while a run, or the sequence of that title which begins with it, goes on."""
    console.print(
        f"[bold]{title}[/bold] with [bold]{spec.method_name}[/bold], from {spec.base.id}, seed {spec.seed}, budget {spec.budget.name}: "
        f"measuring the base policy first"
    )
    began = time.perf_counter()
    last = began

    def text(progress: RunProgress) -> str:
        rate = progress.used.env_steps / (time.perf_counter() - began)
        steps = f"{rate:,.0f} env steps/s, " if progress.used.env_steps else ""
        success = "not measured yet" if progress.success is None else f"{progress.success:.2f}"
        return f"{steps}success {success}"

    if not console.is_terminal:

        def plain(progress: RunProgress) -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last >= _EVERY_S:
                last = now
                left = "" if progress.left_s is None else f", about {progress.left_s:.0f} s left"
                console.print(f"{title}, {spec.method_name}, seed {spec.seed}: update {progress.update} of {progress.total}, {text(progress)}{left}")

        yield plain
        return
    columns = (
        TextColumn("update {task.completed:.0f} of {task.total:.0f}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        job = bar.add_task("starting", total=None)
        yield lambda progress: bar.update(job, completed=progress.update, total=progress.total, description=text(progress))


def finished(outcome: Outcome) -> None:
    """Print a run's table, draw its picture, and say where the record is."""
    picture = outcome.path / "plots" / "summary.png"
    if outcome.worked or not picture.exists():
        picture.parent.mkdir(exist_ok=True)
        from razorbench.plots import summary

        summary(outcome.record, outcome.curve, picture)
    if not outcome.worked:
        console.print("This run is already done; nothing was run again.")
    report(outcome.record, console)
    console.print(f"picture                       {picture}")
    console.print(f"record                        {outcome.path / 'record.json'}")


def sequence_finished(outcome: Outcome, forward: Mapping[str, Any]) -> None:
    """Print a sequence's matrix and measures, draw its picture, and say where the record is. forward: its forward-transfer AUC."""
    picture = outcome.path / "plots" / "matrix.png"
    if outcome.worked or not picture.exists():
        picture.parent.mkdir(exist_ok=True)
        from razorbench.plots import matrix

        matrix(outcome.record, picture)
    if not outcome.worked:
        console.print("This sequence is already done; nothing was run again.")
    sequence_report(outcome.record, forward, console)
    console.print(f"picture                       {picture}")
    console.print(f"record                        {outcome.path / 'sequence.json'}")


def sequence_report(record: Mapping[str, Any], forward: Mapping[str, Any], console: Console) -> None:
    """Print what a sequence's record says."""
    title = f"{record['sequence']}, {record['method']['name']}, {record['base']}, seed {record['seed']}: greedy success on TEST, 95% Wilson at the end"
    table = Table(title=title, title_justify="left", caption="column k: after task k", caption_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", justify="left", no_wrap=True)
    for stage in range(len(record["tasks"]) + 1):
        table.add_column("base" if stage == 0 else f"{stage}", justify="right", no_wrap=True)
    table.add_column("95%", justify="right", no_wrap=True)
    for position, (name, rates) in enumerate(record["success"].items(), 1):
        number = f"{position:2d} " if position <= len(record["tasks"]) else ""
        cells = [f"{rate['rate']:.2f}" for rate in rates]
        table.add_row(number + name, *cells, interval(rates[-1]["ci95"]), end_section=position == len(record["tasks"]))
    # A narrow terminal wraps the lines of a long sequence; figures cut off would be worse.
    console.width = max(console.width, 41 + 6 * len(record["tasks"]))
    console.print(table)
    for name, value in {**record["transfer"], "forward_transfer_auc": forward}.items():
        console.print(f"{name.replace('_', ' '):<30}{estimate(value)}")
    console.print(f"{'retention of original skills':<30}{estimate(record['retention'][-1])}")
    console.print(f"{'time':<30}{record['wall_s']:.0f} s, {record['measuring_s']:.0f} s of it measuring")


def report(record: Mapping[str, Any], console: Console) -> None:
    """Print what a record says."""
    table = Table(title=f"{record['task']}, {record['method']['name']}, {record['base']}, seed {record['seed']}", title_justify="left")
    for column in ("success, greedy", "base", "tuned", "tuned 95%"):
        table.add_column(column, justify="left" if column.startswith("success") else "right")
    rows = [("new task", record["new_task"]), *record["original"].items()]
    for position, (name, rates) in enumerate(rows):
        tuned = rates["final"]["greedy"]
        table.add_row(name, f"{rates['base']['greedy']['rate']:.2f}", f"{tuned['rate']:.2f}", interval(tuned["ci95"]), end_section=position == 0)
    console.print(table)
    forward = record["divergence"]["kl_forward"]
    used = record["budget"]
    lines = {
        "retention of original skills": estimate(record["retention"]),
        "forgetting": estimate(record["forgetting"]),
        "forward KL to the base": f"{forward['new']:.3f} nats per decision on the new task, {forward['original']:.3f} on the original skills",
        "score": "undefined" if record["score"] is None else f"{record['score']:.2f}",
        "cost": f"{used['env_steps']:,} env steps, {used['demo_episodes']:,} demonstrations, {used['gradient_steps']:,} gradient steps",
        "time": f"{record['wall_s']:.0f} s, {record['measuring_s']:.0f} s of it measuring",
    }
    for name, text in lines.items():
        console.print(f"{name:<30}{text}")


def outcome(failures: Sequence[tuple[str, str]], total: int, found: int) -> None:
    """Print how many runs of a command are good, how many of these were found so, and why the others failed."""
    before = "; nothing was run again" if found == total else f", {found} of them before" if found else ""
    console.print(f"{total - len(failures)} of {total} runs are done{before}.")
    for overrides, reason in failures:
        console.print(f"failed: {overrides}\n  {reason}", markup=False)


def ranked(method: str, choices: Sequence[Choice]) -> None:
    """Print a method's configurations, best first."""
    table = Table(title=f"{method}: means over the tuning tasks, SELECT starts", title_justify="left")
    for column in ("configuration", "score", "success", "retention", "forward KL"):
        table.add_column(column, justify="left" if column == "configuration" else "right", no_wrap=True)
    console.width = max(console.width, 100)
    for choice in choices:
        table.add_row(describe(choice.settings), *(f"{value:.3f}" for value in (choice.score, choice.success, choice.retention, choice.forward_kl)))
    console.print(table)


def listing(registry: Registry) -> None:
    """Print what is registered."""
    described: Mapping[str, Callable[[Any], str]] = {
        "task": lambda task: f"{task.id}, styles {', '.join(task.experts)}, horizon {task.horizon}",
        "skill": lambda task: f"{task.id}, horizon {task.horizon}",
        "method": lambda method: f"{method.family}, version {method.version}",
        "base": lambda recipe: f"{recipe.size}, pretraining seeds {', '.join(map(str, recipe.seeds())) or 'none'}",
        "budget": lambda budget: f"{budget['env_steps']:,} env steps, {budget['demo_episodes']:,} demonstrations, {budget['gradient_steps']:,} gradient steps",
        "suite": lambda suite: ", ".join(suite["tasks"]),
        "sequence": lambda sequence: ", ".join(sequence["tasks"]),
        "experiment": lambda experiment: experiment.get("about", f"{len(experiment['sweeps'])} sweeps"),
    }
    titles = {
        "task": "new tasks",
        "suite": "suites of new tasks",
        "sequence": "sequences of new tasks",
        "skill": "original skills",
        "method": "methods",
        "base": "base policies",
        "budget": "budgets",
        "experiment": "reference studies, for -m +experiment=NAME",
        "study": "studies",
    }
    for group, title in titles.items():
        console.print(f"[bold]{title}[/bold]")
        for name in registry.names(group):
            item = registry.item(group, name)
            console.print(f"  {name:<17}{use(item, name) if group == 'study' else described[group](item)}", markup=False)


def use(study: Any, name: str) -> str:
    """Return the command that uses a study; a controlled one has `study=NAME` for its own."""
    return getattr(study, "use", "python -m razorbench study={}").format(name)


def pretrained(card: Mapping[str, Any], folder: Path, recipe: Recipe) -> int:
    """Print how a rebuilt base does beside the shipped one; 1 if a skill falls below the bar of 0.95."""
    shipped_path = recipe.folder / f"{card['id']}.json"
    shipped = read_card(shipped_path)["success"]["select"] if shipped_path.exists() else {}
    table = Table(title=f"{card['id']}: success on SELECT starts", title_justify="left")
    for column in ("task", "greedy", "95%", "sampled", "shipped, greedy"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for name, rates in card["success"]["select"].items():
        before = f"{shipped[name]['greedy']['rate']:.3f}" if name in shipped else "none"
        table.add_row(name, f"{rates['greedy']['rate']:.3f}", interval(rates["greedy"]["ci95"]), f"{rates['sampled']['rate']:.3f}", before)
    console.print(table)
    if not shipped_path.exists():
        beside = "none of this name is shipped"
    elif read_card(shipped_path)["sha256"]["policy"] == card["sha256"]["policy"]:
        beside = "the same weights as the shipped policy, bit for bit"
    else:
        beside = "other weights than the shipped policy"
    console.print(f"written to {folder}; {beside}")
    low = [name for name in recipe.skills if card["success"]["select"][name]["greedy"]["rate"] < 0.95]
    if low:
        console.print(f"below 0.95: {', '.join(low)}")
    return 1 if low else 0


def estimate(value: Mapping[str, Any]) -> str:
    """Format a value with its interval."""
    if value["value"] is None:
        return f"undefined: {value['undefined']}"
    return f"{value['value']:.3f}  95% {interval(value['ci95'])}"


def interval(bounds: Sequence[float]) -> str:
    """Format an interval."""
    return f"{bounds[0]:.2f} to {bounds[1]:.2f}"


def markdown(text: str) -> None:
    """Print Markdown, tables as tables."""
    console.width = max(console.width, 120)
    console.print(Markdown(text))
