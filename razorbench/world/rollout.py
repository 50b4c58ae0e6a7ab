"""Rollouts of policies and scripted experts from given starts; all tasks and starts share one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from razorbench import seeding
from razorbench.policy.answers import Scorable, answering
from razorbench.task import Engine, Split, Start, Task, stack_starts
from razorbench.types import BoolArray, FloatArray, IntArray
from razorbench.world.engine import engine_for

Mode = Literal["greedy", "sampled"]


@dataclass(frozen=True)
class Cell:
    """Episodes to play: the starts `index` (n,) of a split of a task, in one mode."""

    task: Task
    split: Split
    index: IntArray
    mode: Mode = "greedy"


@dataclass(frozen=True)
class Played:
    """Played episodes, in the order of their cells. cell, start: index of the cell and start, (E,); success: (E,); length: in decisions, (E,).

    observations (T, E, O) and actions (T, E, A): only if `keep` was set; only the first length[e] rows of an episode count.
    """

    cell: IntArray
    start: IntArray
    success: BoolArray
    length: IntArray
    observations: FloatArray | None = None
    actions: FloatArray | None = None

    def of(self, cell: int) -> Played:
        """Return the episodes of one cell, without their states."""
        index = np.flatnonzero(self.cell == cell)
        return Played(self.cell[index], self.start[index], self.success[index], self.length[index])

    def pairs(self, keep: BoolArray | None = None) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return (observations (M, O), actions (M, A), episode (M,)) of all decisions, episode by episode.

        keep: mask of episodes (E,). Raises ValueError if the states were not kept.
        """
        if self.observations is None or self.actions is None:
            raise ValueError("the states of these episodes were not kept")
        steps = np.arange(len(self.observations))[None, :] < self.length[:, None]
        if keep is not None:
            steps &= keep[:, None]
        episode, step = np.nonzero(steps)
        return self.observations[step, episode], self.actions[step, episode], episode


Act = Callable[[Engine, IntArray, FloatArray, IntArray, IntArray], FloatArray]
"""Maps (engine, slots (N,), observations (N, O), episode numbers (N,), decisions so far (N,)) to actions (N, A), which the engine clips to [-1, 1]."""


def play(cells: Sequence[Cell], act: Act, *, keep: bool = False, threads: int | None = None) -> Played:
    """Play every episode of the cells until success or the task's horizon. keep: store observations and actions."""
    which = np.concatenate([np.full(len(cell.index), k) for k, cell in enumerate(cells)])
    start = np.concatenate([np.asarray(cell.index) for cell in cells])
    horizon = np.array([cell.task.horizon for cell in cells])[which]
    total, size = len(which), min(len(which), cells[0].task.world.width)
    engine = engine_for([cell.task for cell in cells], size, threads)
    success, length = np.zeros(total, dtype=bool), np.zeros(total, dtype=np.int64)
    observations = np.empty((horizon.max(), total, engine.world.observation_size), np.float32) if keep else None
    actions = np.empty((horizon.max(), total, engine.world.action_size), np.float32) if keep else None
    playing, begun = np.full(size, -1), 0  # the episode in each slot, -1 for none
    while True:
        # Refill only when half of the slots are free: the batch stays full and refills stay rare.
        free = np.flatnonzero(playing < 0)
        if begun < total and 2 * len(free) >= size:
            free = free[: total - begun]
            playing[free] = fresh = np.arange(begun, begun + len(free))
            engine.begin(free, which[fresh], _starts(cells, which[fresh], start[fresh]))
            begun += len(free)
        ids = np.flatnonzero(playing >= 0)
        if not len(ids):
            break
        live = playing[ids]
        observation = engine.observe(ids)
        action = act(engine, ids, observation, live, length[live])
        if observations is not None and actions is not None:
            observations[length[live], live], actions[length[live], live] = observation, action
        engine.step(ids, np.clip(action, -1.0, 1.0))
        length[live] += 1
        success[live] = engine.success(ids)
        playing[ids[success[live] | (length[live] >= horizon[live])]] = -1
    return Played(which, start, success, length, observations, actions)


def play_policy(policy: Scorable, cells: Sequence[Cell], *, keep: bool = False, threads: int | None = None) -> Played:
    """Play a policy; in `sampled` mode the noise depends only on task, split, start and decision."""
    draw, answers = _Draws(cells, "sample"), answering(policy)

    def act(engine: Engine, ids: IntArray, observation: FloatArray, live: IntArray, decision: IntArray) -> FloatArray:
        actions = answers(observation)
        chosen = actions.mode()
        sampled = draw.sampled[live]
        if sampled.any():
            chosen = np.where(sampled[:, None], actions.sample(draw.uniforms(engine, live, decision)), chosen)
        return chosen

    return play(cells, act, keep=keep, threads=threads)


def play_expert(cells: Sequence[Cell], style: str | None = None, *, noise: float = 0.0, keep: bool = False, threads: int | None = None) -> Played:
    """Play scripted experts. style: None for each task's first; noise: standard deviation of Gaussian action noise."""
    draw = _Draws(cells, "noise")

    def act(engine: Engine, ids: IntArray, observation: FloatArray, live: IntArray, decision: IntArray) -> FloatArray:
        return np.clip(engine.expert(ids, style) + noise * ndtri(draw.uniforms(engine, live, decision)), -1.0, 1.0)

    return play(cells, act, keep=keep, threads=threads)


class _Draws:
    """Uniforms that depend only on (task, split, start, decision), not on the batch."""

    def __init__(self, cells: Sequence[Cell], purpose: str) -> None:
        which = np.concatenate([np.full(len(cell.index), k) for k, cell in enumerate(cells)])
        self.sampled = np.array([cell.mode == "sampled" for cell in cells])[which]
        self._start = np.concatenate([np.asarray(cell.index) for cell in cells]).astype(np.uint64)
        self._stream = np.array([seeding.key(purpose, cell.task.id, cell.split.value) for cell in cells])[which]

    def uniforms(self, engine: Engine, live: IntArray, decision: IntArray) -> FloatArray:
        """Return (N, A) uniforms for the live episodes' next decisions."""
        return seeding.uniforms(self._stream[live], self._start[live] * np.uint64(4096) + decision.astype(np.uint64), engine.world.action_size)


def _starts(cells: Sequence[Cell], which: IntArray, start: IntArray) -> Start:
    """Return the starts of the given episodes, cell by cell."""
    return stack_starts([cells[k].task.starts(cells[k].split, start[which == k]) for k in np.unique(which)])
