"""Measures the distance between demonstration styles and writes it to docs/tasks.md: `python docs/make/task_page.py`.

Both styles play the same starts without noise. The distance is that of the tool's two places at 50 points of equal progress along each path, averaged over
points and starts.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import combinations

import numpy as np
from paths import DOCS
from readme import base_table, section

from razorbench.bases.base import load as load_base
from razorbench.measures.episodes import rate
from razorbench.registry.config import registry
from razorbench.reports.tables import markdown
from razorbench.seeding import generator
from razorbench.store.estimate import between
from razorbench.task import SPLIT_SIZES, Split, Task
from razorbench.types import BoolArray, FloatArray, IntArray
from razorbench.world.engine import MujocoEngine, is_mujoco

_POINTS = 50


@dataclass(frozen=True)
class Shown:
    """Episodes of a style on E starts. success: (E,); length: (E,), in decisions; path: (E, 50, 3), tool places by progress, m."""

    success: BoolArray
    length: IntArray
    path: FloatArray


def show(task: Task, style: str, noise: float = 0.0, n: int = SPLIT_SIZES[Split.SELECT]) -> Shown:
    """Play a style on the first n SELECT starts."""
    engine, ids = MujocoEngine([task], n), np.arange(n)
    engine.begin(ids, 0, task.starts(Split.SELECT, ids))
    rng = generator("styles", task.id, style)
    places, solved, length = [engine.readings(ids).tool.copy()], np.zeros(n, dtype=bool), np.full(n, task.horizon)
    for decision in range(1, task.horizon + 1):
        engine.step(ids, np.clip(engine.expert(ids, style) + noise * rng.normal(size=(n, 4)), -1, 1))
        places.append(engine.readings(ids).tool.copy())
        length[~solved & engine.success(ids)] = decision
        solved |= engine.success(ids)
    return Shown(solved, length, np.stack([_by_progress(np.stack(places)[: k + 1, i]) for i, k in enumerate(length)]))


def _by_progress(path: FloatArray) -> FloatArray:
    """Return places (50, 3) at equal distances along a path (T, 3)."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    wanted = np.linspace(0, way[-1], _POINTS)
    return np.stack([np.interp(wanted, way, path[:, axis]) for axis in range(3)], axis=1)


def distance(a: Shown, b: Shown) -> float:
    """Return the mean distance of the tool's places at equal progress, over the starts that both styles solve, m."""
    both = a.success & b.success
    return float(np.linalg.norm(a.path[both] - b.path[both], axis=2).mean())


def tables(tasks: Sequence[Task]) -> tuple[str, str]:
    """Return the tables of styles and of distances between them, as Markdown."""
    styles, apart = [], []
    for task in tasks:
        shown = {style: show(task, style) for style in task.experts}
        for style, clean in shown.items():
            noisy, found = show(task, style, 0.1), rate(clean.success)
            seconds = 0.05 * clean.length[clean.success].mean()
            figures = f"{found.rate:.3f}", between(*found.ci95), f"{noisy.success.mean():.3f}", f"{seconds:.2f}"
            styles.append([f"`{task.name}`", f"`{style}`", *figures])
        for one, other in combinations(shown, 2):
            a, b = shown[one], shown[other]
            later = 0.05 * abs(a.length[a.success].mean() - b.length[b.success].mean())
            apart.append([f"`{task.name}`", f"`{one}`, `{other}`", f"{100 * distance(a, b):.1f}", f"{later:.2f}"])
    return (
        markdown(["task", "style", "success", "95% interval", "success, noise 0.1", "seconds to success"], styles),
        markdown(["task", "styles", "path distance, cm", "time difference, s"], apart),
    )


def sheets(tasks: Sequence[Task]) -> str:
    """Return the tasks' spec sheets: the docstrings of their files."""
    texts = []
    for task in tasks:
        module = import_module(f"razorbench.envs.{task.name}")
        heading, _, rest = (inspect.getdoc(module) or "").partition("\n\n")
        texts.append(f"### `{task.id}`\n\n{heading}\n\n```text\n{rest.strip()}\n```")
    return "\n\n".join(texts)


def main() -> None:
    """Rewrite the page."""
    page = DOCS / "tasks.md"
    with registry() as registered:
        tasks = [task for task in (registered.item("task", name) for name in registered.names("task")) if is_mujoco(task)]
        recipe = registered.item("base", "mlp")
    styles, apart = tables(tasks)
    base = base_table([load_base(recipe, seed).card for seed in recipe.seeds()], recipe.skills)
    text = page.read_text(encoding="utf-8")
    for name, content in (("base", base), ("styles", styles), ("apart", apart), ("sheets", sheets(tasks))):
        text = section(text, name, content)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
