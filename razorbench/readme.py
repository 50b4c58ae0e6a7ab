"""Writes the figures of README.md and of the page of methods from the shipped card and from records, so that none is typed.

`python -m razorbench.readme README.md docs/methods.md baselines/results` does it; a test says when it has to be done again.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from scipy import stats

from razorbench import base
from razorbench.show import report
from razorbench.store import read_records


def section(text: str, name: str, content: str) -> str:
    """Return the text with what stands between the marks of a section replaced."""
    pattern = re.compile(rf"(<!-- {name}:[^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def base_table(cards: Sequence[Mapping[str, Any]], skills: Collection[str]) -> str:
    """Success of a base policy's pretraining seeds on SELECT starts, from their cards: sampled on new tasks, greedy on the original skills."""
    first = cards[0]
    lines = [
        f"Base policy `{first['id'].rpartition('-s')[0]}`, trained in {first['trained_s']:.0f} s, in {len(cards)} pretraining seeds; "
        "success on 500 SELECT starts with its 95% interval:",
        "",
        "| new task, sampled | easy variant's share | " + " | ".join(f"`{card['id']}`" for card in cards) + " |",
        "|---|---|" + "---|" * len(cards),
    ]
    for name in first["success"]["select"]:
        if name not in skills:
            share = first["recipe"]["easy_shares"].get(name)
            cells = [_cell(card["success"]["select"][name]["sampled"]) for card in cards]
            lines.append(f"| `{name}` | {'none' if share is None else f'{share:.2%}'} | " + " | ".join(cells) + " |")
    lines += ["", "| original skill, greedy | | " + " | ".join(f"`{card['id']}`" for card in cards) + " |", "|---|---|" + "---|" * len(cards)]
    for name in skills:
        lines.append(f"| `{name}` | | " + " | ".join(_cell(card["success"]["select"][name]["greedy"]) for card in cards) + " |")
    return "\n".join(lines)


def _cell(rate: Mapping[str, Any]) -> str:
    return f"{rate['rate']:.3f} [{rate['ci95'][0]:.2f}, {rate['ci95'][1]:.2f}]"


def runs_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds with 95% Student intervals, per task, method and style."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["task"], record["method"]["name"], record["method"]["demos"]), []).append(record)
    lines = ["| task | method | style | runs | success | retention | forward KL, new task | score | seconds |", "|---|---|---|---|---|---|---|---|---|"]
    for (task, method, style), members in sorted(groups.items()):
        cells = [
            mean([r["new_task"]["final"]["greedy"]["rate"] for r in members]),
            mean([r["retention"]["value"] for r in members]),
            mean([r["divergence"]["kl_forward"]["new"] for r in members]),
            mean([r["score"] for r in members]),
            f"{max(r['wall_s'] for r in members):.0f}",
        ]
        shown = f"`{style}`" if members[0]["budget"]["demo_episodes"] else "none"
        lines.append(f"| `{task}` | `{method}` | {shown} | {len(members)} | " + " | ".join(cells) + " |")
    machine = records[0]["machine"]
    lines += ["", f"Mean over seeds, 95% Student interval over seeds in brackets; seconds from start to record, the longest run ({machine['processor']})."]
    return "\n".join(lines)


def mean(values: Sequence[float]) -> str:
    """Format a mean with its Student interval, if there are two values or more."""
    average = sum(values) / len(values)
    if len(values) < 2:
        return f"{average:.2f}"
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return f"{average:.2f} [{average - half:.2f}, {average + half:.2f}]"


def example(record: Mapping[str, Any]) -> str:
    """What a run prints at its end."""
    console = Console(width=110, record=True, force_terminal=False, file=io.StringIO())
    report(record, console)
    text = "\n".join(line.rstrip() for line in console.export_text().splitlines())
    return f"`make run` ends with\n\n```\n{text}\n```"


def render(text: str, cards: Sequence[Mapping[str, Any]], skills: Collection[str], records: Sequence[Mapping[str, Any]]) -> str:
    """Return README's text with its sections written anew. records: those of every method on `pick_place` are shown, the first of `ppo` as an example."""
    mine = [record for record in records if record["task"].startswith("pick_place-")]
    shown = next(record for record in mine if record["method"]["name"] == "ppo" and record["seed"] == 0)
    for name, content in (("output", example(shown)), ("runs", runs_table(mine)), ("base", base_table(cards, skills))):
        text = section(text, name, content)
    return text


def methods_page(text: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the page of methods with the runs on every task on which all methods ran, which are those on which `frozen` did."""
    tasks = {record["task"] for record in records if record["method"]["name"] == "frozen"}
    return section(text, "runs", runs_table([record for record in records if record["task"] in tasks]))


def main() -> None:
    """Rewrite README.md and the page of methods."""
    from razorbench.config import registry

    readme, methods = Path(sys.argv[1]), Path(sys.argv[2])
    records = read_records(Path(sys.argv[3]))
    with registry() as registered:
        recipe = registered.item("base", "mlp")
    cards = [base.load(recipe, seed).card for seed in recipe.seeds()]
    readme.write_text(render(readme.read_text(encoding="utf-8"), cards, recipe.skills, records), encoding="utf-8")
    methods.write_text(methods_page(methods.read_text(encoding="utf-8"), records), encoding="utf-8")


if __name__ == "__main__":
    main()
