"""What a world promises of its episodes (`razorbench.task.PROMISES`), measured by experiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from razorbench import seeding
from razorbench.task import Split, Task, promises
from razorbench.types import FloatArray, IntArray
from razorbench.world.engine import engine_for
from razorbench.world.stepper import Stepper

_STARTS, _SLOTS = 4, 2


def broken(task: Task) -> Iterator[str]:
    """Yield a sentence for each promise of a task's world that does not hold. Actions are drawn by start and decision.

    Engines with other numbers of threads share no process, so their first episodes follow nothing.
    """
    last, said = [_STARTS - 1], promises(task.world)
    (alone,), (elsewhere,) = _episodes(task, last, 1, 2), _episodes(task, last, 1, 3)
    if not np.array_equal(alone, elsewhere):
        yield "seeded does not hold: one start and the same actions give other observations in another process; nothing in an episode may be random"
        return  # nothing else can be measured
    together = [_episodes(task, range(_STARTS), _SLOTS, threads)[-1] for threads in (1, 2)]
    if "alone_equal" in said and not all(np.array_equal(alone, each) for each in together):
        yield "alone_equal does not hold: an episode differs after or beside others; let `promises` in the world's yaml name the other promises only"
    if "resumable" in said and not _resumes(task):
        yield "resumable does not hold: its start and actions do not restore an episode; let `promises` in the world's yaml name the other promises only"


def _episodes(task: Task, starts: Sequence[int], slots: int, threads: int) -> list[FloatArray]:
    """Play SELECT starts, `slots` at once, and return the observations of each, (horizon, O)."""
    engine, ids, found = engine_for([task], slots, threads), np.arange(slots), list[FloatArray]()
    for first in range(0, len(starts), slots):
        index = np.array(starts[first : first + slots])
        engine.begin(ids, 0, task.starts(Split.SELECT, index))
        seen = []
        for decision in range(task.horizon):
            engine.step(ids, _actions(index, decision, task))
            seen.append(engine.observe(ids))
        found += list(np.stack(seen, axis=1))
    return found


def _resumes(task: Task) -> bool:
    """Return whether environments that are restored halfway go on as those that were not stopped."""
    ids = np.arange(_SLOTS)
    stepper = Stepper(task, _SLOTS, threads=1, remember=True)
    stepper.reset(ids)
    half = max(task.horizon // 2, 1)
    for decision in range(half):
        stepper.step(_actions(ids, decision, task))
    restored = Stepper(task, _SLOTS, threads=1, remember=True)
    restored.load_state_dict(stepper.state_dict())
    for decision in range(half, task.horizon):
        if not np.array_equal(stepper.observation, restored.observation):
            return False
        for each in (stepper, restored):
            each.step(_actions(ids, decision, task))
    return bool(np.array_equal(stepper.observation, restored.observation))


def _actions(index: IntArray, decision: int, task: Task) -> FloatArray:
    return 2 * seeding.uniforms(seeding.key("promises"), index * 4096 + decision, task.world.action_size) - 1
