"""Terminal output: the table at the end of a run, and other tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown
from rich.measure import Measurement
from rich.table import Table

from razorbench.bases.base import Recipe, read_card
from razorbench.method.counting import uncounted
from razorbench.runs.run import Outcome
from razorbench.runs.sequence import SequenceOutcome
from razorbench.runs.suggest import completed
from razorbench.statistics.search import Choice, describe
from razorbench.store.disk import near
from razorbench.store.estimate import Estimate, Undefined, between
from razorbench.store.output import harmless
from razorbench.store.record import BeforeAfter, FinalSuccess, Record, Score
from razorbench.store.sequence_record import SequenceRecord
from razorbench.types import Settings

console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Prints names and paths unchanged, including brackets and colons."""


@dataclass(frozen=True)
class Whole:
    """A table as wide as its cells, or a text of at least `least` columns. A narrower terminal wraps lines instead of cutting numbers."""

    content: Table | Markdown
    least: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = self.least or Measurement.get(console, options.update(max_width=10_000), self.content).maximum
        yield from console.render(self.content, options.update(max_width=max(options.max_width, needed)))


def finished(outcome: Outcome) -> None:
    """Print a run's table, draw its picture, and print the paths of both."""
    if not outcome.worked:
        console.print("This run is already done; nothing was run again.")
    report(outcome.record, console)

    def draw(picture: Path) -> None:
        from razorbench.reports.run_pictures import summary

        summary(outcome.record, outcome.curve, picture)

    _files(outcome, "record.json", "summary.png", draw)


def sequence_finished(outcome: SequenceOutcome, forward: Estimate | Undefined, config_dir: str | None) -> None:
    """Print a sequence's matrix and measures, draw its picture, and print the paths.

    forward: forward-transfer AUC, or the runs that it needs; config_dir: the user's own conf folder for the commands of these runs, if any.
    """
    if not outcome.worked:
        console.print("This sequence is already done; nothing was run again.")
    sequence_report(outcome.record, Undefined(completed(forward.why, config_dir)) if isinstance(forward, Undefined) else forward, console)

    def draw(picture: Path) -> None:
        from razorbench.reports.run_pictures import matrix

        matrix(outcome.record, picture)

    _files(outcome, "sequence.json", "matrix.png", draw)


def _files(outcome: Outcome | SequenceOutcome, record: str, name: str, draw: Callable[[Path], None]) -> None:
    """Print the paths of the record and the picture; draw the picture if needed."""
    console.print(f"record   {near(outcome.path / record)}")
    picture = outcome.path / "plots" / name
    with harmless("drawing the picture"):
        if outcome.worked or not picture.exists():
            picture.parent.mkdir(exist_ok=True)
            draw(picture)
        console.print(f"picture  {near(picture)}")


def sequence_report(record: SequenceRecord, forward: Estimate | Undefined, console: Console) -> None:
    """Print a sequence's record."""
    title = f"{record.sequence}, {record.method.name}, {record.base}, seed {record.seed}: greedy success on TEST, 95% Wilson at the end"
    table = Table(title=title, title_justify="left", caption="column k: after task k", caption_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", justify="left", no_wrap=True)
    for stage in range(len(record.tasks) + 1):
        table.add_column("base" if stage == 0 else f"{stage}", justify="right", no_wrap=True)
    table.add_column("95%", justify="right", no_wrap=True)
    names = [*record.task_names, *record.original_skills]
    for position, name in enumerate(names, 1):
        rates = record.success[name]
        number = f"{position:2d} " if position <= len(record.tasks) else ""
        cells = [f"{rate.rate:.2f}" for rate in rates]
        table.add_row(number + name, *cells, between(*rates[-1].ci95), end_section=position == len(record.tasks))
    console.print(Whole(table))
    for name, value in {**record.transfer, "forward_transfer_auc": forward}.items():
        console.print(f"{name.replace('_', ' '):<30}{estimate(value)}")
    console.print(f"{'retention of original skills':<30}{estimate(record.retention[-1])}")
    console.print(f"{'time':<30}{record.wall_s:.0f} s, {record.measuring_s:.0f} s of it measuring")


def scored(found: Score) -> None:
    """Print what a policy scores."""
    console.print(Whole(_success(f"{found.task}, {found.policy}, from {found.base}", found, "policy")))
    lines = {"retention of original skills": estimate(found.retention), "forgetting": estimate(found.forgetting)}
    names = {"kl_forward": "forward KL, nats per decision", "moved": "moved actions, share", "action_mse": "action MSE"}
    for name, label in names.items():
        values = found.divergence.get(name)
        lines[label] = "undefined: policy and base have no distributions of one kind" if values is None else _new_and_original(values)
    if found.estimator is not None:
        lines["KL computed by"] = found.estimator
    _print_lines(lines)


def _success(title: str, found: FinalSuccess, label: str) -> Table:
    """Return the table of greedy success before and after. label: of the policy after."""
    table = Table(title=title, title_justify="left")
    for column in ("success, greedy", "base", label, f"{label} 95%"):
        table.add_column(column, justify="left" if column.startswith("success") else "right", no_wrap=True)
    rows: list[tuple[str, BeforeAfter]] = [("new task", found.new_task), *found.original.items()]
    for position, (name, rates) in enumerate(rows):
        after = rates.final.greedy
        table.add_row(name, f"{rates.base.greedy.rate:.2f}", f"{after.rate:.2f}", between(*after.ci95), end_section=position == 0)
    return table


def _new_and_original(values: Mapping[str, float]) -> str:
    return f"{values['new']:.3f} on the new task, {values['original']:.3f} on original skills"


def _print_lines(lines: Mapping[str, str]) -> None:
    for name, text in lines.items():
        console.print(f"{name:<30}{text}")


def report(record: Record, console: Console) -> None:
    """Print a run's record."""
    console.print(Whole(_success(f"{record.task}, {record.method.name}, {record.base}, seed {record.seed}", record, "tuned")))
    forward, used = record.divergence["kl_forward"], record.budget
    lines = {
        "retention of original skills": estimate(record.retention),
        "forgetting": estimate(record.forgetting),
        "forward KL, nats per decision": _new_and_original(forward),
        "score": "undefined" if record.score is None else f"{record.score:.2f}",
        "cost": f"{used.env_steps:,} env steps, {used.demo_episodes:,} demos, {used.gradient_steps:,} gradient steps",
        "time": f"{record.wall_s:.0f} s, {record.measuring_s:.0f} s of it measuring",
    }
    for name, text in lines.items():
        console.print(f"{name:<30}{text}")
    for sentence in uncounted(used.uncounted):
        console.print(f"{'uncounted':<30}{sentence}")


def outcome(failures: Sequence[tuple[str, str]], total: int, earlier: int) -> None:
    """Print how many runs of a command are done, how many of them were done earlier, and why the others failed."""
    note = "; nothing was run again" if earlier == total else f", {earlier} of them before" if earlier else ""
    console.print(f"{total - len(failures)} of {total} {'run is' if total == 1 else 'runs are'} done{note}.")
    for overrides, reason in failures:
        console.print(f"failed: {overrides}\n  {reason}")


def ranked(method: str, choices: Sequence[Choice]) -> None:
    """Print a method's configurations, best first."""
    table = Table(title=f"{method}: means over the tuning tasks, SELECT starts", title_justify="left")
    for column in ("configuration", "score", "success", "retention", "forward KL"):
        table.add_column(column, justify="left" if column == "configuration" else "right", no_wrap=True)
    for choice in choices:
        table.add_row(describe(choice.settings), *(f"{value:.3f}" for value in (choice.score, choice.success, choice.retention, choice.forward_kl)))
    console.print(Whole(table))


def use(study: Any, name: str) -> str:
    """Return the command for a study. A controlled study has `study=NAME`."""
    return getattr(study, "use", "python -m razorbench study={}").format(name)


def pretrained(card: Settings, folder: Path, recipe: Recipe) -> int:
    """Print the success of a pretrained base and of the shipped one with its name. Returns 1 if a skill falls below 0.95."""
    path = recipe.folder / f"{card['id']}.json"
    shipped = read_card(path) if recipe.directory is None and path.exists() else None
    table = Table(title=f"{card['id']}: success on SELECT starts", title_justify="left")
    for column in ("task", "greedy", "95%", "sampled", *(["shipped, greedy"] if shipped else [])):
        table.add_column(column, justify="left" if column == "task" else "right", no_wrap=True)
    for name, rates in card["success"]["select"].items():
        row = [name, f"{rates['greedy']['rate']:.3f}", between(*rates["greedy"]["ci95"]), f"{rates['sampled']['rate']:.3f}"]
        if shipped:
            shipped_rates = shipped["success"]["select"].get(name)
            row.append(f"{shipped_rates['greedy']['rate']:.3f}" if shipped_rates else "none")
        table.add_row(*row)
    console.print(Whole(table))
    verdict = ""
    if shipped:
        same = shipped["sha256"]["policy"] == card["sha256"]["policy"]
        verdict = "; the same weights as the shipped policy, bit for bit" if same else "; other weights than the shipped policy"
    console.print(f"written to {folder}{verdict}")
    low = [skill.name for skill in recipe.skills.values() if card["success"]["select"][skill.name]["greedy"]["rate"] < 0.95]
    if low:
        console.print(f"below 0.95: {', '.join(low)}")
    return 1 if low else 0


def estimate(value: Estimate | Undefined) -> str:
    """Format a value with its interval, or why it is undefined."""
    return f"undefined: {value.why}" if isinstance(value, Undefined) else value.line()


def markdown(text: str) -> None:
    """Print Markdown, tables as tables."""
    console.print(Whole(Markdown(text), 120))
