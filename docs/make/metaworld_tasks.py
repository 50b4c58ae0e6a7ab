"""Which of Meta-World's tasks are new tasks for the base `mw`: the page docs/results/metaworld_tasks.md.

`python docs/make/metaworld_tasks.py FOLDER` writes it with the base of seed 0 in a folder of policies, in ten minutes. The rules were fixed before anything was
measured with them, but for two: after `assembly` had been seen, which nothing solved, the base plays 40 starts instead of 50, and none where the scripted
policy fails.

A task that is no original skill is a candidate if its scripted policy solves at least 95% of the SELECT starts that are played within the horizon under the
noise of demonstrations, and if the base, sampled, solves at most 40% under the instruction of each original skill and under the task's own, which it never
heard. Candidates that it solves in at least 2% under their own instruction are new tasks as they are; the others are to be introduced in the recipe's rounds.
At most twelve are taken: first those of at least 2%, then the others, each in order of name.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from paths import DOCS

from razorbench.bases import base
from razorbench.bases.base import Base
from razorbench.envs.metaworld.specs import SPECS
from razorbench.envs.metaworld.world import make
from razorbench.method.data import ACTION_NOISE
from razorbench.registry.config import registry
from razorbench.reports.tables import markdown
from razorbench.task import Split
from razorbench.world.rollout import Cell, play_expert, play_policy

LEAST, MOST, BAR, TAKEN = 0.02, 0.40, 0.95, 12
EXPERT_STARTS, STARTS = np.arange(100), np.arange(40)
"""SELECT starts that scripted policies and the base play."""


@dataclass(frozen=True)
class Measured:
    """Success on a task: of its scripted policy, and of the base, sampled, under the task's own instruction and under each original skill's.

    The base is not asked where the scripted policy fails: asked is empty then.
    """

    name: str
    expert: float
    own: float
    asked: dict[str, float]

    @property
    def candidate(self) -> bool:
        """Whether the task can be learned, and no instruction solves it already."""
        return self.expert >= BAR and max(self.own, *self.asked.values()) <= MOST


def measured(name: str, known: Base) -> Measured:
    """Measure a task."""
    task = make(f"mw_{name}-v1")
    expert = float(play_expert([Cell(task, Split.SELECT, EXPERT_STARTS)], noise=ACTION_NOISE).success.mean())
    if expert < BAR:
        return Measured(name, expert, 0.0, {})
    asked = [task, *(replace(task, slot=skill.slot) for skill in known.skills)]
    played = play_policy(known.policy, [Cell(each, Split.SELECT, STARTS, "sampled") for each in asked])
    own, *others = (float(played.of(k).success.mean()) for k in range(len(asked)))
    return Measured(name, expert, own, dict(zip((skill.name for skill in known.skills), others, strict=True)))


def chosen(tasks: list[Measured]) -> list[str]:
    """Return the names of the new tasks, by the rule."""
    candidates = sorted((each for each in tasks if each.candidate), key=lambda each: (each.own < LEAST, each.name))
    return [each.name for each in candidates[:TAKEN]]


def page(tasks: list[Measured], id: str) -> str:
    """Return the page. id: of the base."""
    taken, rows = chosen(tasks), []
    for each in tasks:
        best = max(each.asked, key=lambda name: each.asked[name], default="")
        how = "" if each.name not in taken else "as it is" if each.own >= LEAST else "by rounds"
        asked = [f"{each.own:.2f}", f"{each.asked[best]:.2f} as `{best}`"] if best else ["", ""]
        rows.append([f"`{each.name}`", f"{each.expert:.2f}", *asked, how])
    head = ["task", "scripted policy", f"`{id}`, own instruction", "most under an old instruction", "new task"]
    lines = [
        "# Meta-World: new tasks",
        "",
        "Written by `docs/make/metaworld_tasks.py`; its docstring states the rules.",
        f"{len(EXPERT_STARTS)} SELECT starts a scripted policy, {len(STARTS)} sampled episodes a policy and an instruction.",
        f"The base was one without rounds. The rules leave {len(taken)} tasks; twelve were wanted.",
        "",
        markdown(head, rows),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Rewrite the page. Argument: the folder of policies."""
    with registry() as registered:
        recipe = replace(registered.item("base", "mw"), directory=str(Path(sys.argv[1])))
    known = base.load(recipe, 0)
    skills = {skill.name.removeprefix("mw_") for skill in known.skills}
    tasks = []
    for name in sorted(SPECS.keys() - skills):
        tasks.append(measured(name, known))
        print(tasks[-1], flush=True)
    (DOCS / "results" / "metaworld_tasks.md").write_text(page(tasks, known.id), encoding="utf-8")


if __name__ == "__main__":
    main()
