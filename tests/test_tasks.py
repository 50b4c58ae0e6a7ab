"""What every registered task and skill must keep."""

from importlib.resources import as_file, files

import numpy as np
import pytest
from conftest import SKILLS, TASKS, task

from razorbench.engine import Engine
from razorbench.evaluate import Cell, play, play_expert
from razorbench.faces import spaces
from razorbench.golden import difference
from razorbench.task import Split, stack_starts

ALL = [*SKILLS, *TASKS]
STYLES = [(name, style) for name in ALL for style in task(name).experts]


@pytest.mark.parametrize(("name", "style"), STYLES)
def test_expert_solves_it_under_noise(name, style):
    played = play_expert([Cell(task(name), Split.SELECT, np.arange(500))], style, noise=0.1)
    assert played.success.mean() >= 0.98


@pytest.mark.parametrize("name", ALL)
def test_neither_idleness_nor_chance_solves_it(name):
    cells = [Cell(task(name), Split.SELECT, np.arange(200))]
    rng = np.random.default_rng(0)
    idle = play(cells, lambda engine, rows, *_: np.zeros((len(rows), 4)))
    chance = play(cells, lambda engine, rows, *_: rng.uniform(-1, 1, (len(rows), 4)))
    # A goal in the air may begin, or be crossed, within its 2 cm.
    allowed = 0.10 if name == "reach" else 0.02
    assert idle.success.mean() <= allowed
    assert chance.success.mean() <= allowed


@pytest.mark.parametrize("name", ALL)
def test_starts_vary_differ_between_splits_and_repeat(name):
    index = np.arange(100)
    starts = {split: task(name).starts(split, index).state for split in Split}
    for state in starts.values():
        assert len(np.unique(state, axis=0)) == 100
    together = np.concatenate(list(starts.values()))
    assert len(np.unique(together, axis=0)) == len(together)
    assert np.array_equal(task(name).starts(Split.TEST, index[::-1]).state[::-1], starts[Split.TEST])


@pytest.mark.parametrize("name", ALL)
def test_no_start_is_solved_beyond_chance(name):
    engine, ids = Engine([task(name)], 500), np.arange(500)
    engine.begin(ids, 0, task(name).starts(Split.SELECT, ids))
    assert engine.success(ids).mean() <= 0.01


@pytest.mark.parametrize("name", ALL)
def test_observations_lie_in_the_space_and_ask_for_one_instruction(name):
    played = play_expert([Cell(task(name), Split.SELECT, np.arange(20))], noise=0.3, keep=True)
    observations, _, _ = played.pairs()
    space = spaces(task(name))[0]
    assert all(space.contains(row) for row in observations)
    instruction = observations[:, task(name).world.instruction]
    assert np.array_equal(instruction.sum(axis=1), np.ones(len(instruction)))
    assert (instruction[:, task(name).slot] == 1).all()


def test_no_observation_is_constant_over_the_suite_but_unused_ones():
    cells = [Cell(task(name), Split.SELECT, np.arange(40)) for name in ALL]
    observations, _, _ = play_expert(cells, noise=0.3, keep=True).pairs()
    constant = set(np.flatnonzero(np.ptp(observations, axis=0) == 0))
    slots = {task(name).slot for name in ALL}
    unused = {40 + slot for slot in range(20) if slot not in slots} | {22}
    assert constant == unused


@pytest.mark.parametrize("name", ALL)
def test_shaped_terms_lie_in_the_unit_interval_and_rise_towards_success(name):
    engine, ids = Engine([task(name)], 50), np.arange(50)
    engine.begin(ids, 0, task(name).starts(Split.SELECT, ids))
    first = engine.shaped(ids)
    for _ in range(8):
        engine.step(ids, engine.expert(ids))
    last = engine.shaped(ids)
    assert ((first >= 0) & (first <= 1) & (last >= 0) & (last <= 1)).all()
    assert last.mean() > first.mean()


@pytest.mark.parametrize("name", ALL)
def test_golden_trajectory(name):
    with as_file(files("razorbench.envs").joinpath("golden.npz")) as file:
        assert difference(task(name), file) is None


def test_demonstration_styles_differ_visibly():
    direct, detour = (play_expert([Cell(task("pick_place"), Split.SELECT, np.arange(100))], style, keep=True) for style in ("direct", "detour"))
    assert detour.length.mean() > 1.4 * direct.length.mean()
    # On the way the detour keeps to the left of the goal; columns 19 to 21 are the goal seen from the tool.
    sides = [np.percentile(-played.pairs()[0][:, 20] * 0.15, 90) for played in (direct, detour)]
    assert sides[1] > sides[0] + 0.04


def test_random_actions_do_not_break_the_physics():
    which = np.repeat(np.arange(len(ALL)), 8)
    engine, ids = Engine([task(name) for name in ALL], len(which)), np.arange(len(which))
    engine.begin(ids, which, stack_starts([task(name).starts(Split.TRAIN, np.arange(8)) for name in ALL]))
    rng = np.random.default_rng(1)
    for _ in range(150):
        engine.step(ids, rng.uniform(-1, 1, (len(ids), 4)))
        readings = engine.readings(ids)
        for thing in (readings.object, readings.block):
            assert (np.abs(thing[:, :2]) < 1.1).all()
            assert (thing[:, 2] > 0.005).all()
        assert (np.abs(readings.object_velocity) < 8).all()
