"""The conformance suite: requirements on a task of the benchmark. It runs on your own tasks too.

`razorbench check NAME --config-dir DIR` runs it; `check_task` returns one sentence per fault, none if the task conforms.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import mujoco
import numpy as np

from razorbench.errors import UsageError
from razorbench.task import SPLIT_SIZES, Engine, Split, Task
from razorbench.types import FloatArray, IntArray
from razorbench.world import golden
from razorbench.world.engine import MujocoEngine, engine_for, is_mujoco, mujoco_world
from razorbench.world.promises import broken
from razorbench.world.rollout import Cell, Played, play, play_expert

EXPERT_SUCCESS = 0.98
CHANCE = 0.01
"""Success above which a task is too easy: the limit for no action and for random actions."""
ACCIDENT = 0.10
"""Largest success of another task's expert, which heads for its own goals and may pass this task's by accident."""
PENETRATION = 0.02
"""Largest penetration under random actions, m."""
_STARTS = SPLIT_SIZES[Split.SELECT]
_RANDOM_STEPS = 10_000


def check_task(task: Task, others: Sequence[Task] = ()) -> list[str]:
    """Return a sentence for each fault of a task.

    others: tasks of the same world; none of their experts may solve this task, except those in its `entailed_by`.
    """
    faults = list(_shapes(task))
    if faults:
        return faults  # the task cannot be played
    # A world's promises are measured first, as long as its engine is fresh.
    for check in (_starts, _repeats, _success) if is_mujoco(task) else (broken, _starts, _success):
        faults += check(task)
    if is_mujoco(task):
        faults += [*_places(task), *_physics(task)]
    return faults + (list(_others(task, others)) if task.world.goal_size else [])


def check_shipped(task: Task, tasks: Sequence[Task], skills: Collection[str], trajectories: Path, page: Path) -> list[str]:
    """Return a sentence for each fault of a shipped task that `check_task` does not cover.

    tasks: all shipped tasks; skills: names of the original skills; trajectories: the golden file; page: docs/tasks.md, skipped if absent.
    """
    faults, new = [], task.name not in skills
    if new and len(task.experts) < 2:
        faults.append(f"experts has {len(task.experts)} style: a new task that ships needs two, so that demonstrations can be near or far from the base")
    if not task.terms:
        faults.append("terms is empty: a task that ships needs at least one part of a shaped reward, for reward=shaped")
    elif not _terms_rise(task):
        faults.append("terms do not rise while the expert works: their mean must grow towards success")
    twins = sorted(other.name for other in tasks if other.slot == task.slot and other.name != task.name)
    if new and twins and not set(twins) & set(skills):
        faults.append(f"slot {task.slot} is also that of {', '.join(twins)}: take a free one, or share one with an original skill")
    if (fault := golden.difference(task, trajectories)) is not None:
        faults.append(fault.replace("delete the file and check again to rewrite it", "`python docs/make/golden_file.py` adds it"))
    if new and page.is_file() and f"| `{task.name}` |" not in page.read_text(encoding="utf-8"):
        faults.append("docs/tasks.md has no row for it: add one to the first table, then `python docs/make/task_page.py` writes the rest")
    return faults


def _terms_rise(task: Task) -> bool:
    """Return whether the mean of the shaped terms is higher after eight expert decisions than at the start."""
    engine, ids = MujocoEngine([task], 50), np.arange(50)
    engine.begin(ids, 0, task.starts(Split.SELECT, ids))
    first = engine.shaped(ids)
    for _ in range(8):
        engine.step(ids, engine.expert(ids))
    return bool(engine.shaped(ids).mean() > first.mean())


def _shapes(task: Task) -> Iterator[str]:
    world, n = task.world, 8
    slots = 1 if world.instruction is None else world.instruction.stop - world.instruction.start
    if not 0 <= task.slot < slots:
        yield f"slot is {task.slot}: the observation has instruction slots 0 to {slots - 1}"
    if task.horizon < 1:
        yield f"horizon is {task.horizon}: an episode has at least one decision"
    if not task.experts and is_mujoco(task):
        yield "experts is empty: a task needs at least one scripted expert, or nobody knows that it can be solved"
    try:
        start = task.starts(Split.TRAIN, np.arange(n))
        state_size = np.shape(start.state)[1]
        if is_mujoco(task):
            state_size = mujoco.mj_stateSize(mujoco_world(task).model(task.variant), mujoco.mjtState.mjSTATE_FULLPHYSICS)
    except UsageError:
        raise  # a package that the world needs is missing, say: its own sentence says so
    except Exception as error:
        yield f"start raised {_said(error)}: it must map uniforms (N, {world.start_uniforms}) to initial conditions"
        return
    for name, value, width in (("state", start.state, state_size), ("goal", start.goal, world.goal_size)):
        if np.shape(value) != (n, width):
            yield f"start gives a {name} of shape {np.shape(value)} for {n} starts: it must be ({n}, {width})"
        elif not np.isfinite(value).all():
            yield f"start gives a {name} that is not finite"
    if np.shape(start.state) != (n, state_size) or np.shape(start.goal) != (n, world.goal_size):
        return
    engine, ids = engine_for([task], n, threads=1), np.arange(n)
    engine.begin(ids, 0, start)
    readings = engine.readings(ids)
    parts: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {"success": (task.success, (n,))}
    parts |= {f"expert {style}": (expert, (n, world.action_size)) for style, expert in task.experts.items()}
    parts |= {f"term {name}": (term, (n,)) for name, term in task.terms.items()}
    for name, (function, shape) in parts.items():
        try:
            value = np.asarray(function(readings))
        except Exception as error:
            yield f"{name} raised {_said(error)}: it must map readings of {n} environments to an array of shape {shape}"
            continue
        if value.shape != shape:
            yield f"{name} gives shape {value.shape} for {n} environments: it must be {shape}"
        elif name == "success" and value.dtype != bool:
            yield f"success gives {value.dtype}: it must give booleans"
        elif not np.isfinite(value).all():
            yield f"{name} gives a number that is not finite"
        elif name.startswith("term") and not ((value >= 0) & (value <= 1)).all():
            yield f"{name} lies between {value.min():.3g} and {value.max():.3g}: a shaped term must lie in [0, 1]"


def _starts(task: Task) -> Iterator[str]:
    index = np.arange(SPLIT_SIZES[Split.TEST])
    starts = {split: task.starts(split, index) for split in Split}
    for split, start in starts.items():
        distinct = len(np.unique(np.concatenate([start.state, start.goal], axis=1), axis=0))
        if distinct < len(index):
            yield f"only {distinct} of {len(index)} {split.value} starts differ: starts must vary with the uniforms"
        back = task.starts(split, index[::-1])
        if not np.array_equal(back.state[::-1], start.state) or not np.array_equal(back.goal[::-1], start.goal):
            yield f"{split.value} starts depend on the order of the indices: each row must depend only on its own uniforms"
    together = np.concatenate([np.concatenate([start.state, start.goal], axis=1) for start in starts.values()])
    if len(np.unique(together, axis=0)) < len(together) and all(len(np.unique(start.state, axis=0)) == len(index) for start in starts.values()):
        yield "two splits share a start: starts must vary with the uniforms"
    ids = np.arange(min(_STARTS, task.world.width))
    engine = engine_for([task], len(ids))
    engine.begin(ids, 0, task.starts(Split.SELECT, ids))
    solved = engine.success(ids)
    if solved.any():
        yield f"{np.mean(solved):.1%} of the starts are solved before any action, as SELECT start {np.flatnonzero(solved)[0]}: move goals or starts apart"


def _places(task: Task) -> Iterator[str]:
    """At the start everything is in its place, and nothing inside anything else."""
    engine, ids = MujocoEngine([task], _STARTS), np.arange(_STARTS)
    engine.begin(ids, 0, task.starts(Split.SELECT, ids))
    for condition, holds in engine.world.sound(engine.readings(ids)).items():
        if not holds.all():
            yield f"start {np.flatnonzero(~holds)[0]} (SELECT) is out of bounds, as are {np.mean(~holds):.0%} of all: {condition}"
    deepest = _deepest(task, engine.state[:50])
    if deepest > PENETRATION:
        yield f"at the start bodies stand {1000 * deepest:.0f} mm inside one another: {1000 * PENETRATION:.0f} mm are allowed; start them further apart"


def _repeats(task: Task) -> Iterator[str]:
    def played(index: IntArray, threads: int | None) -> Played:
        cells = [Cell(task, Split.SELECT, index)]
        return play_expert(cells, noise=0.2, keep=True, threads=threads)

    first, again, alone = played(np.arange(16), 1), played(np.arange(16), None), played(np.array([5]), None)
    if not all(np.array_equal(a, b) for a, b in zip(first.pairs(), again.pairs(), strict=True)):
        yield "the same episodes played twice differ: nothing in a task may be random or remember"
    elif not np.array_equal(alone.pairs()[0], first.pairs(np.arange(16) == 5)[0]):
        yield "an episode played alone differs from the same episode in a batch: a row must not depend on its neighbours"


def _success(task: Task) -> Iterator[str]:
    cells = [Cell(task, Split.SELECT, np.arange(_STARTS))]
    for style in task.experts:
        rate = play_expert(cells, style).success.mean()
        if rate < EXPERT_SUCCESS:
            yield f"expert {style} solves {rate:.1%} of {_STARTS} SELECT starts: it must solve {EXPERT_SUCCESS:.0%}"
    rng = np.random.default_rng(0)
    for who, act in (("doing nothing", _idle), ("random actions", lambda *arguments: rng.uniform(-1, 1, _idle(*arguments).shape))):
        rate = play(cells, act).success.mean()
        if rate >= CHANCE:
            yield f"{who} solves {rate:.1%} of {_STARTS} SELECT starts: it must stay below {CHANCE:.0%}"


def _others(task: Task, others: Sequence[Task]) -> Iterator[str]:
    strangers = [(other, next(iter(other.experts))) for other in others if other.name not in (task.name, *task.entailed_by)]
    for (other, style), rate in zip(strangers, play_as(task, strangers), strict=True):
        if rate >= ACCIDENT:
            yield (
                f"the expert {style} of {other.name} solves {rate:.1%} of the SELECT starts on its way to its own goals: ask more of success, "
                "or name that task in entailed_by if doing it means doing this one"
            )


def play_as(task: Task, strangers: Sequence[tuple[Task, str]], episodes: int = 40) -> list[float]:
    """Return the success of other tasks' experts on this task's SELECT starts. strangers: (task, style); each expert heads for its own task's goals."""
    if not strangers:
        return []
    index = np.arange(episodes)
    goal = np.concatenate([other.starts(Split.SELECT, index).goal for other, _ in strangers])

    def act(engine: Engine, ids: IntArray, observation: FloatArray, live: IntArray, decision: IntArray) -> FloatArray:
        actions, scenes = _idle(engine, ids), cast(MujocoEngine, engine)
        for k in np.unique(live // episodes):
            mine = live // episodes == k
            other, style = strangers[k]
            actions[mine] = other.experts[style](scenes.readings_towards(ids[mine], goal[live[mine]]))
        return actions

    played = play([Cell(task, Split.SELECT, index)] * len(strangers), act)
    return [float(played.of(k).success.mean()) for k in range(len(strangers))]


def _physics(task: Task) -> Iterator[str]:
    """Yield a sentence for each way in which 10 000 random steps break the physics."""
    n = 50
    engine, ids = MujocoEngine([task], n), np.arange(n)
    rng = np.random.default_rng(1)
    broken: dict[str, int] = {}
    deepest = 0.0
    for step in range(_RANDOM_STEPS // n):
        if step % task.horizon == 0:
            engine.begin(ids, 0, task.starts(Split.TRAIN, step + ids))
        engine.step(ids, rng.uniform(-1, 1, (n, task.world.action_size)))
        for condition, holds in engine.world.sound(engine.readings(ids)).items():
            broken[condition] = broken.get(condition, 0) + int((~holds).sum())
        deepest = max(deepest, _deepest(task, engine.state[step % n][None]))
    for condition, count in broken.items():
        if count:
            yield f"in {count} of {_RANDOM_STEPS} random steps this does not hold: {condition}"
    if deepest > PENETRATION:
        yield f"under random actions bodies sink {1000 * deepest:.0f} mm into one another: {1000 * PENETRATION:.0f} mm are allowed; check masses and shapes"


def _deepest(task: Task, states: FloatArray) -> float:
    """Return the deepest penetration in physics states (N, nstate), m."""
    model = mujoco_world(task).model(task.variant)
    data, deepest = mujoco.MjData(model), 0.0
    for state in states:
        mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        mujoco.mj_forward(model, data)
        deepest = max(deepest, -float(data.contact.dist.min(initial=0.0)))
    return deepest


def _idle(engine: Engine, ids: IntArray, *_: Any) -> FloatArray:
    return np.zeros((len(ids), engine.world.action_size))


def _said(error: Exception) -> str:
    return f"{type(error).__name__} ({error})"
