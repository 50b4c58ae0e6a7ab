"""What `razorbench bench` measured, as tables and as a picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from razorbench.canvas import style
from razorbench.plots import BLUE, GREEN, GREY, ORANGE
from razorbench.readme import section
from razorbench.show import Whole

_COLOURS = (BLUE, ORANGE, GREEN, "#805ad5", "#b7791f", "#319795", "#d53f8c", GREY, "#4a5568", "#ecc94b")


def tables(measured: Mapping[str, Any], console: Console) -> None:
    """Print rates against raw, one run by phase, and the single figures."""
    counts = {"environment": measured["num_envs"], "thread": measured["threads"], "usable core": measured["usable_cores"], "round": measured["rounds"]}
    rates = Table(title="medians: " + ", ".join(f"{count:g} {what}{'' if count == 1 else 's'}" for what, count in counts.items()), title_justify="left")
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


def render(text: str, measured: Mapping[str, Any]) -> str:
    """Return a page's text with its sections `rates`, `seconds` and `phases` written anew."""
    run, seconds = measured["run"], measured["seconds"]
    machine = (
        f"{measured['threads']} threads of {measured['machine']['processor']}, {measured['num_envs']} environments, medians of {measured['rounds']} rounds"
    )
    rates = [f"{machine}:", "", "| | env steps/s | over raw | engine over this |", "|---|---|---|---|"]
    for name, row in measured["rates"].items():
        rates.append(f"| {name} | {row['per_s']:,.0f} | {row['over_raw']:.3g} | {row['engine_over_this']:.3g} |")
    figures = [
        f"- evaluation of eight skills and the new task, 100 episodes each: {seconds['evaluation']:.1f} s (asked for: 5 s)",
        f"- `ppo` on `pick_place` at {run['budget']} budget, from start to record: {run['wall_s']:.0f} s (asked for: 150 s, hoped for: 60 s)",
        f"- peak memory: {run['peak_memory_gb']:.2f} GB (asked for: 1.5 GB); `razorbench --help`: {seconds['help']:.1f} s (asked for: 2 s)",
    ]
    phases = ["| | s | us per env step |", "|---|---|---|"]
    for scope, parts in run["seconds"].items():
        per_step = run["training_us_per_env_step"] if scope == "training" else {}
        phases.append(f"| **{scope}** | {sum(parts.values()):.1f} | {f'{sum(per_step.values()):.0f}' if per_step else ''} |")
        phases += [f"| {phase} | {s:.1f} | {f'{per_step[phase]:.1f}' if per_step else ''} |" for phase, s in parts.items() if s >= 0.05 and scope != "rest"]
    for name, lines in (("rates", rates), ("seconds", figures), ("phases", phases)):
        text = section(text, name, "\n".join(lines))
    return text


def picture(measured: Mapping[str, Any], path: Path) -> None:
    """Draw rates, one run by phase, and how cost grows."""
    with style({"font.size": 10}):
        _drawn(measured).savefig(path, dpi=110)


def _drawn(measured: Mapping[str, Any]) -> Figure:
    figure = Figure((17, 8), layout="constrained")
    axes = figure.subplot_mosaic([["rates", "rates", "run", "batch"], ["threads", "skills", "tasks", "width"]])
    growth = measured["growth"]
    _rates(axes["rates"], measured["rates"])
    _phases(axes["run"], measured["run"])
    physics = {"raw_per_s": ("raw mujoco.rollout", GREY), "engine_per_s": ("engine", BLUE)}
    _curve(axes["batch"], growth["batch"], "num_envs", physics, "env steps/s", "Environments in the batch")
    axes["batch"].set_xscale("log", base=4)
    axes["batch"].minorticks_off()
    axes["batch"].set_xticks(sizes := [point["num_envs"] for point in growth["batch"]], [f"{size:g}" for size in sizes])
    _curve(axes["threads"], growth["threads"], "threads", physics, "env steps/s", "Physics threads")
    _curve(axes["skills"], growth["skills"], "skills", {"evaluation_s": ("evaluation, 50 episodes each", ORANGE)}, "seconds", "Original skills measured")
    _curve(axes["tasks"], growth["tasks"], "tasks", {"per_s": ("experts", ORANGE)}, "env steps/s", "Tasks in one batch")
    _curve(axes["width"], growth["width"], "width", {"training_per_s": ("training, update included", GREEN)}, "env steps/s", "Width of the actor's layers")
    machine = measured["machine"]
    figure.suptitle(f"RazorBench on {machine['processor'] or machine['architecture']}: {measured['threads']} threads, {measured['num_envs']} environments")
    return figure


def _rates(axis: Any, rates: Mapping[str, Any]) -> None:
    names = list(rates)[::-1]
    axis.barh(names, [rates[name]["per_s"] for name in names], color=[BLUE if name.startswith("engine") else GREY for name in names])
    for place, name in enumerate(names):
        axis.annotate(f" {rates[name]['per_s']:,.0f}", (rates[name]["per_s"], place), va="center", fontsize=8.5)
    axis.margins(x=0.18)
    axis.set(xlabel="env steps/s", title="Rates")


def _phases(axis: Any, run: Mapping[str, Any]) -> None:
    parts = {scope: seconds for scope, seconds in run["seconds"].items() if scope != "rest"}
    total = {name: sum(part.get(name, 0.0) for part in parts.values()) for name in dict.fromkeys(name for part in parts.values() for name in part)}
    bottom = np.zeros(len(parts))
    for colour, name in zip(_COLOURS, sorted(total, key=lambda name: -total[name]), strict=False):
        height = np.array([part.get(name, 0.0) for part in parts.values()])
        axis.bar(list(parts), height, 0.6, bottom=bottom, color=colour, label=name)
        bottom += height
    axis.set_xlim(-0.5, len(parts) + 0.5)  # the legend stands beside the bars
    axis.legend(frameon=False, fontsize=8.5, loc="upper right")
    axis.set(ylabel="seconds", title=f"One whole run, {run['wall_s']:.0f} s")


def _curve(axis: Any, points: Sequence[Mapping[str, float]], key: str, lines: Mapping[str, tuple[str, str]], unit: str, title: str) -> None:
    for name, (label, colour) in lines.items():
        axis.plot([point[key] for point in points], [point[name] for point in points], marker="o", markersize=4, color=colour, label=label)
    axis.set_xticks([point[key] for point in points])
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=8.5)
    axis.set(ylabel=unit, title=title)


def main() -> None:
    """Rewrite a page's figures: `python -m razorbench.bench_report PAGE BENCH_JSON`."""
    page, measured = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    page.write_text(render(page.read_text(encoding="utf-8"), measured), encoding="utf-8")


if __name__ == "__main__":
    main()
