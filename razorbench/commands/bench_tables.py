"""Tables of `razorbench bench` for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from razorbench.commands.terminal import Whole
from razorbench.types import Measurements


def tables(measured: Measurements, console: Console) -> None:
    """Print rates compared to raw MuJoCo, the times of one run by phase, and the single numbers."""
    counts = {"environment": measured["num_envs"], "thread": measured["threads"], "usable core": measured["usable_cores"], "round": measured["rounds"]}
    rates = Table(title="medians: " + ", ".join(f"{count:g} {unit}{'' if count == 1 else 's'}" for unit, count in counts.items()), title_justify="left")
    for column in ("", "env steps/s", "over raw", "engine is"):
        rates.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for name, row in measured["rates"].items():
        times = "" if name == "engine" else f"{row['engine_over_this']:.3g} x"
        rates.add_row(name, f"{row['per_s']:,.0f}", f"{row['over_raw']:.2g}" if row["over_raw"] < 0.1 else f"{row['over_raw']:.2f}", times)
    console.print(Whole(rates))
    run = measured["run"]
    phases = Table(title=f"one whole run, budget {run['budget']}: {run['wall_s']:.0f} s", title_justify="left")
    for column in ("", "seconds", "us per env step"):
        phases.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for scope, parts in run["seconds"].items():
        per_step = run["training_us_per_env_step"] if scope == "training" else {}
        phases.add_row(scope, f"{sum(parts.values()):.1f}", f"{sum(per_step.values()):.0f}" if per_step else "", style="bold")
        for phase, seconds in parts.items():
            if phase != scope:
                phases.add_row(f"  {phase}", f"{seconds:.1f}", f"{per_step[phase]:.1f}" if per_step else "", end_section=phase == list(parts)[-1])
    console.print(Whole(phases))
    seconds = measured["seconds"]
    console.print(f"evaluation of the new task and every original skill, 100 episodes each: {seconds['evaluation']:.1f} s")
    console.print(f"peak memory: {run['peak_memory_gb']:.2f} GB; razorbench --help: {seconds['help']:.1f} s")
