"""Writes README.md's example output from a record, and the page of base policies from their cards, so that no number is typed.

Run `python docs/make/readme.py`; a test fails when the pages are out of date.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from paths import DOCS, ROOT
from rich.console import Console

from razorbench.bases import base
from razorbench.commands.terminal import report
from razorbench.registry.config import Registry, registry
from razorbench.reports.tables import markdown
from razorbench.store.estimate import Estimate
from razorbench.store.output import in_a_sentence
from razorbench.store.reading import read_run
from razorbench.store.record import Record


def section(text: str, name: str, content: str) -> str:
    """Return the text with new content between the marks of a section."""
    pattern = re.compile(rf"(<!-- {name}:[^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def base_table(cards: Sequence[Mapping[str, Any]], skills: Collection[str]) -> str:
    """Return the success of a base policy's pretraining seeds on SELECT starts, from their cards: sampled on new tasks, greedy on original skills."""
    first, policies = cards[0], [f"`{card['id']}`" for card in cards]
    about = (
        f"Base policy `{first['id'].rpartition('-s')[0]}`: {len(cards)} pretraining seeds, the first trained in {first['trained_s']:.0f} s. "
        "Success on 500 SELECT starts with 95% intervals:"
    )
    new = []
    for name in first["success"]["select"]:
        if name not in skills:
            shares = dict.fromkeys(f"{card['recipe']['easy_shares'][name]:.2%}" for card in cards if name in card["recipe"]["easy_shares"])
            new.append([f"`{name}`", " / ".join(shares) or "none", *(_cell(card["success"]["select"][name]["sampled"]) for card in cards)])
    old = [[f"`{name}`", "", *(_cell(card["success"]["select"][name]["greedy"]) for card in cards)] for name in skills]
    new_table = markdown(["new task, sampled", "share of easy variant", *policies], new)
    return f"{about}\n\n{new_table}\n\n{markdown(['original skill, greedy', '', *policies], old)}"


def off_bars(cards: Sequence[Mapping[str, Any]], skills: Collection[str]) -> list[str]:
    """Return the rates off their bar on SELECT starts: sampled success on a new task outside .02 to .40, greedy on an original skill below .95."""
    off = []
    for card in cards:
        for name, rates in card["success"]["select"].items():
            rate = rates["greedy" if name in skills else "sampled"]["rate"]
            if rate < 0.95 if name in skills else not 0.02 <= rate <= 0.40:
                off.append(f"`{card['id']}` on `{name}` ({rate:.3f})")
    return off


def bases_page(text: str, cards: Mapping[str, Sequence[Mapping[str, Any]]], skills: Collection[str]) -> str:
    """Return the page of base policies with a table for each. cards: of the shipped seeds, by name of the base."""
    parts = []
    for name, mine in cards.items():
        off = off_bars(mine, skills)
        parts += [f"### `{name}`", "", base_table(mine, skills), "", f"Outside the bars: {', '.join(off)}." if off else "All rates are within the bars.", ""]
    return section(text, "bases", "\n".join(parts).rstrip())


def _cell(rate: Mapping[str, Any]) -> str:
    return Estimate(rate["rate"], *rate["ci95"]).text(decimals=3)


def example(record: Record) -> str:
    """Return the output at a run's end."""
    console = Console(width=110, record=True, force_terminal=False, file=io.StringIO())
    report(record, console)
    text = "\n".join(line.rstrip() for line in console.export_text().splitlines())
    return f"`make run` ends with\n\n```\n{text}\n```"


def render(text: str, shown: Record) -> str:
    """Return README's text with new example output. shown: the record of `make run`."""
    return section(text, "output", example(shown))


def shipped(registered: Registry) -> dict[str, list[Mapping[str, Any]]]:
    """Return the cards of the shipped policies, by name of the base, without bases that ship none."""
    recipes = {name: registered.item("base", name) for name in registered.names("base")}
    return {name: [base.load(recipe, seed).card for seed in recipe.seeds()] for name, recipe in recipes.items() if recipe.seeds()}


def main() -> None:
    """Rewrite README.md and the page of base policies. Arguments: these two, and the record of `make run`; by default those of this repository."""
    readme, bases, record = map(Path, sys.argv[1:4] or (ROOT / "README.md", DOCS / "bases.md", DOCS / "first_run.json"))
    with registry() as registered:
        cards, skills = shipped(registered), registered.item("base", "mlp").skills
    readme.write_text(render(readme.read_text(encoding="utf-8"), read_run(record)), encoding="utf-8")
    bases.write_text(bases_page(bases.read_text(encoding="utf-8"), cards, skills), encoding="utf-8")


if __name__ == "__main__":
    in_a_sentence(main)
