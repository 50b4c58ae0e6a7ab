"""What the handle hands out: starts, sampled episodes and the expert's answers in their states."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TINY, compose, task

from razorbench.task import Split
from razorbench.world.engine import MujocoEngine
from razorbench.world.stepper import Stepper


@pytest.fixture(scope="module")
def spec():
    return compose("task=pick_place", "method=frozen", *TINY, "budget.env_steps=100000", "budget.expert_queries=100000")[0]


def test_starts_are_fresh_and_repeat_with_the_generator(spec):
    handle, rng = spec.handle(), np.random.default_rng(0)
    first, second = handle.fresh_starts(50, rng), handle.fresh_starts(50, rng)
    assert len({*first, *second}) == 100
    assert np.array_equal(handle.fresh_starts(50, np.random.default_rng(0)), first)


def test_twins_of_a_start_play_on_their_own_and_so_does_every_call(spec):
    handle, rng, base = spec.handle(), np.random.default_rng(0), spec.base.policy
    starts = np.repeat(handle.fresh_starts(1, rng), 3)
    first, second = handle.rollouts(base, starts, rng), handle.rollouts(base, starts, rng)
    openings = [played.actions[played.episode == k][0] for played in (first, second) for k in range(3)]
    states = [played.observations[played.episode == k][0] for played in (first, second) for k in range(3)]
    assert all(torch.equal(state, states[0]) for state in states)
    assert len({tuple(action.tolist()) for action in openings}) == 6
    one = first.actions[first.episode == 0]
    assert not torch.equal(one[0] - one[1], one[1] - one[2])
    again = handle.rollouts(base, starts, np.random.default_rng(5)).actions
    assert torch.equal(again, handle.rollouts(base, starts, np.random.default_rng(5)).actions)


def test_labels_are_the_experts_answers_in_the_states_visited_with_the_noise_of_demonstrations(spec):
    handle, rng = spec.handle(), np.random.default_rng(0)
    played = handle.rollouts(spec.base.policy, handle.fresh_starts(8, rng), rng, relabel=True)
    engine, ids = MujocoEngine([spec.task], 8, 1), np.arange(8)
    engine.begin(ids, 0, spec.task.starts(Split.TRAIN, played.start))
    length = np.bincount(played.episode)
    first, gaps = np.cumsum(length) - length, []
    for step in range(length.max()):
        ids = np.flatnonzero(length > step)
        rows = first[ids] + step
        wanted, labels = engine.expert(ids, spec.style), played.labels[rows].numpy()
        gaps.append((labels - wanted)[(np.abs(labels) < 1) & (np.abs(wanted) < 0.5)])
        engine.step(ids, np.clip(played.actions[rows].numpy(), -1, 1))
    gaps = np.concatenate(gaps)
    assert len(gaps) > 100
    assert gaps.std() == pytest.approx(0.15, rel=0.15)
    assert abs(gaps.mean()) < 0.03


def test_an_episode_that_succeeds_at_its_last_decision_was_not_cut_short():
    for solved in (True, False):
        ending = replace(task("pick_place"), horizon=1, success=lambda readings, solved=solved: np.full(3, solved))
        stepper = Stepper(ending, 3, threads=1)
        stepper.reset(np.arange(3))
        step = stepper.step(np.zeros((3, 4)))
        assert step.done.all()
        assert (step.terminated == solved).all()
        assert (step.truncated != solved).all()
