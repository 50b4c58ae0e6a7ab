"""Chooses the original skills of the base `mw` among MT10's tasks and measures their speed: the page docs/results/metaworld.md.

`python docs/make/metaworld_page.py` rewrites it in five minutes. The rules were fixed before any measurement with them. A task of MT10 is an original skill
if its scripted policy solves at least 95% of the SELECT starts within the horizon under the noise of demonstrations. The horizon is the smallest multiple of
50 decisions within which each style of each of these skills solves at least 95% of the starts that it solves within 500, Meta-World's own limit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from paths import DOCS

from razorbench.envs.metaworld.world import HORIZON, make
from razorbench.measures.episodes import rate
from razorbench.method.data import ACTION_NOISE
from razorbench.reports.tables import markdown
from razorbench.task import SPLIT_SIZES, Split, Task
from razorbench.world.engine import engine_for
from razorbench.world.rollout import Cell, Played, play_expert

MT10 = (
    *("reach", "push", "pick_place", "door_open", "drawer_open", "drawer_close"),
    *("button_press_topdown", "peg_insert_side", "window_open", "window_close"),
)
STYLES = ("scripted", "slow")
LIMIT, STEP, BAR = 500, 50, 0.95
"""Meta-World's own limit of an episode; horizons that are looked at; share of successes that a rule wants."""
_SIMULATIONS, _DECISIONS, _TRIES = 128, 50, 3


@dataclass(frozen=True)
class Measured:
    """What was measured of a task. played: by style, with the limit of 500; speed: decisions per processor second, observations included."""

    name: str
    played: dict[str, Played]
    speed: float

    def success(self, style: str, horizon: int = HORIZON) -> float:
        """Return the share of starts that a style solves within a horizon."""
        played = self.played[style]
        return float((played.success & (played.length <= horizon)).mean())

    @property
    def kept(self) -> bool:
        """Whether the task is an original skill."""
        return self.success("scripted") >= BAR


def speed(task: Task) -> float:
    """Return decisions per second of one processor, random actions, observations and success included; the best of three tries."""
    ids, rng = np.arange(_SIMULATIONS), np.random.default_rng(0)
    engine, best = engine_for([task], _SIMULATIONS, 1), 0.0
    actions = rng.uniform(-1.0, 1.0, (_DECISIONS, _SIMULATIONS, 4))
    for _ in range(_TRIES):
        engine.begin(ids, 0, task.starts(Split.SELECT, ids))
        began = time.process_time()
        for action in actions:
            engine.step(ids, action)
            engine.observe(ids)
            engine.success(ids)
        best = max(best, actions.size / 4 / (time.process_time() - began))
    return best


def measured(name: str) -> Measured:
    """Measure a task."""
    task, index = replace(make(f"mw_{name}-v1"), horizon=LIMIT), np.arange(SPLIT_SIZES[Split.SELECT])
    played = {style: play_expert([Cell(task, Split.SELECT, index)], style, noise=ACTION_NOISE) for style in STYLES}
    return Measured(name, played, speed(task))


def horizon(skills: list[Measured]) -> int:
    """Return the horizon that the rule gives."""
    for candidate in range(STEP, LIMIT, STEP):
        if all(each.success(style, candidate) >= BAR * each.success(style, LIMIT) for each in skills for style in STYLES):
            return candidate
    return LIMIT


def page(tasks: list[Measured]) -> str:
    """Return the page."""
    skills = [each for each in tasks if each.kept]
    rows = []
    for each in tasks:
        within = rate(each.played["scripted"].success & (each.played["scripted"].length <= HORIZON)).plain()
        interval = f"{within['rate']:.3f} [{within['ci95'][0]:.3f}, {within['ci95'][1]:.3f}]"
        half = f"{np.median(each.played['scripted'].length[each.played['scripted'].success]):.0f}"
        slow = f"{each.success('slow'):.3f}"
        rows.append([f"`{each.name}`", interval, half, slow, "yes" if each.kept else "no", f"{each.speed:,.0f}"])
    head = ["MT10", f"scripted policy, within {HORIZON}", "median decisions", f"slow, within {HORIZON}", "original skill", "decisions per CPU second"]
    lines = [
        "# Meta-World: original skills, horizon, speed",
        "",
        "Written by `docs/make/metaworld_page.py`; its docstring states the rules.",
        f"Each task has 500 SELECT starts, with Gaussian action noise of {ACTION_NOISE}; intervals are 95% Wilson intervals.",
        "",
        markdown(head, rows),
        "",
        f"The rule gives a horizon of {horizon(skills)} decisions. The mean rate over MT10, including observations and success, is "
        f"{np.mean([each.speed for each in tasks]):,.0f} decisions per CPU second.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    (DOCS / "results" / "metaworld.md").write_text(page([measured(name) for name in MT10]), encoding="utf-8")
