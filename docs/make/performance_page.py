"""Writes the numbers of the performance page: `python docs/make/performance_page.py`, after `razorbench bench --out build/bench`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import Any

from paths import DOCS, ROOT
from readme import section

from razorbench.reports.tables import markdown


def render(text: str, measured: Mapping[str, Any]) -> str:
    """Return a page's text with new sections `rates`, `seconds` and `phases`."""
    run, seconds = measured["run"], measured["seconds"]
    machine = (
        f"{measured['threads']} threads of {measured['machine']['processor']}, {measured['num_envs']} environments, medians of {measured['rounds']} rounds"
    )
    rates = [[name, f"{row['per_s']:,.0f}", f"{row['over_raw']:.3g}", f"{row['engine_over_this']:.3g}"] for name, row in measured["rates"].items()]
    figures = [
        f"- evaluation of eight skills and the new task, 100 episodes each: {seconds['evaluation']:.1f} s (goal: 5 s)",
        f"- `ppo` on `pick_place` at {run['budget']} budget, from start to record: {run['wall_s']:.0f} s (goal: 150 s, stretch goal: 60 s)",
        f"- peak memory: {run['peak_memory_gb']:.2f} GB (goal: 1.5 GB); `razorbench --help`: {seconds['help']:.1f} s (goal: 2 s)",
    ]
    phases = []
    for scope, parts in run["seconds"].items():
        per_step = run["training_us_per_env_step"] if scope == "training" else {}
        phases.append([f"**{scope}**", f"{sum(parts.values()):.1f}", f"{sum(per_step.values()):.0f}" if per_step else ""])
        phases += [[phase, f"{s:.1f}", f"{per_step[phase]:.1f}" if per_step else ""] for phase, s in parts.items() if s >= 0.05 and scope != "rest"]
    rate_table = markdown(["", "env steps/s", "ratio to raw", "engine / this row"], rates)
    text = section(text, "rates", f"{machine}:\n\n{rate_table}")
    text = section(text, "seconds", "\n".join(figures))
    return section(text, "phases", markdown(["", "s", "us per env step"], phases))


def main() -> None:
    """Store the measurements and rewrite the page's numbers."""
    for kind in ("json", "png"):
        shutil.copy(ROOT / "build" / "bench" / f"bench.{kind}", DOCS / f"performance.{kind}")
    page, measured = DOCS / "performance.md", json.loads((DOCS / "performance.json").read_text(encoding="utf-8"))
    page.write_text(render(page.read_text(encoding="utf-8"), measured), encoding="utf-8")


if __name__ == "__main__":
    main()
