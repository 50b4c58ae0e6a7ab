"""Meta-World on the batch engine: every task is the package's own, and an episode is the same in any company."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from razorbench.envs.metaworld.scene import _Mended, _package, scene
from razorbench.envs.metaworld.specs import SPECS
from razorbench.envs.metaworld.world import make, metaworld
from razorbench.task import Split, stack_starts
from razorbench.world.engine import engine_for
from razorbench.world.rollout import Cell, play_expert
from razorbench.world.stepper import Stepper

NAMES = sorted(SPECS)
MIXED = ("reach", "push", "drawer_open", "hammer", "stick_pull", "handle_press")
"""Tasks of different models, sizes and resets."""


@pytest.fixture(autouse=True, scope="module")
def package():
    pytest.importorskip("metaworld", reason="pip install razorbench[metaworld]")


def task(name):
    return make(f"mw_{name}-v1")


def play(names, size, slots, threads=1, decisions=30):
    """Observations and flags of a start of each task under noisy experts. slots: where each of them stands."""
    tasks, ids = [task(name) for name in names], np.array(slots)
    engine = engine_for(tasks, size, threads)
    which = np.arange(len(names))
    engine.begin(ids, which, stack_starts([each.starts(Split.TEST, np.array([3])) for each in tasks]))
    seen = []
    for decision in range(decisions):
        noise = np.stack([np.random.default_rng([NAMES.index(name), decision]).standard_normal(4) for name in names])
        engine.step(ids, np.clip(engine.expert(ids) + 0.15 * noise, -1.0, 1.0))
        seen.append(np.concatenate([engine.observe(ids), engine.success(ids)[:, None]], axis=1))
    return np.stack(seen, axis=1)


def test_there_is_a_spec_for_each_of_the_packages_tasks():
    theirs = _package("metaworld.env_dict").ALL_V3_ENVIRONMENTS
    assert {name.removesuffix("-v3").replace("-", "_") for name in theirs} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_class_plays_the_same(name):
    """Its own reset and step under this MuJoCo, on the same model; the slow test compares with the MuJoCo that it pins."""
    theirs = _package("metaworld.env_dict").ALL_V3_ENVIRONMENTS[f"{name.replace('_', '-')}-v3"]
    env = type("Whole", (_Mended, theirs), {"reads": replace(SPECS[name], settles=True)})()
    env._partially_observable, env._freeze_rand_vec, env._set_task_called = False, True, True
    del env.sawyer_observation_space
    ids, start = np.arange(1), task(name).starts(Split.TEST, np.array([5]))
    env._last_rand_vec = start.state[0, : len(scene(name).low)].copy()
    env.reset()
    if SPECS[name].stopped:
        env.data.qvel[9:] = 0.0
    engine = engine_for([task(name)], 1, 1)
    engine.begin(ids, 0, start)
    rng = np.random.default_rng(0)
    for decision in range(20):
        action = np.clip(engine.expert(ids) + 0.15 * rng.standard_normal((1, 4)), -1.0, 1.0)
        engine.step(ids, action)
        observation, _, _, _, info = env.step(action[0])
        ours = engine.readings(ids).numbers[0]
        # What its `reset` returns, the decision before the first, was read before the scene was in place.
        kept = np.r_[:18, 36:39] if decision == 0 else slice(None)
        np.testing.assert_allclose(ours[kept], observation[kept], atol=1e-12)
        assert engine.success(ids)[0] == (info["success"] > 0)


def test_an_episode_is_the_same_alone_and_in_any_batch():
    together = play(MIXED, len(MIXED), range(len(MIXED)))
    apart = play(MIXED, 40, [3, 4, 11, 20, 33, 39], threads=2)
    np.testing.assert_array_equal(together, apart)
    for k, name in enumerate(MIXED):
        np.testing.assert_array_equal(play([name], 1, [0])[0], together[k])


def test_a_slot_forgets_the_episode_before():
    tasks, ids = [task(name) for name in MIXED], np.arange(2)
    engine = engine_for(tasks, 2, 1)
    for k, each in enumerate(tasks):
        engine.begin(ids, k, each.starts(Split.TRAIN, ids))
        for _ in range(5):
            engine.step(ids, engine.expert(ids))
    fresh = engine_for(tasks, 2, 1)
    for each in (engine, fresh):
        each.begin(ids, 0, tasks[0].starts(Split.TEST, ids))
        each.step(ids, np.ones((2, 4)))
    np.testing.assert_array_equal(engine.observe(ids), fresh.observe(ids))


def test_a_stopped_stepper_goes_on():
    whole, rng = Stepper(task("push"), 3, threads=1, remember=True), np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (12, 3, 4))
    whole.reset(np.arange(3))
    for action in actions[:8]:
        whole.step(action)
    broken = Stepper(task("push"), 3, threads=1, remember=True)
    broken.load_state_dict(whole.state_dict())
    for action in actions[8:]:
        np.testing.assert_array_equal(whole.step(action).observation, broken.step(action).observation)


@pytest.mark.parametrize("name", NAMES)
def test_starts_differ_and_are_far_enough_apart(name):
    vectors = scene(name).vectors(np.random.default_rng(1).uniform(size=(1000, 48)))
    assert len(np.unique(vectors, axis=0)) > 900
    assert (vectors[:, : len(scene(name).low)] >= scene(name).low - 1e-12).all()
    assert (vectors[:, : len(scene(name).high)] <= scene(name).high + 1e-12).all()
    if apart := SPECS[name].apart:
        assert (np.linalg.norm(vectors[:, :2] - vectors[:, 3:5], axis=1) > apart).all()


@pytest.mark.parametrize("name", [name for name in NAMES if SPECS[name].apart])
def test_a_start_that_no_try_makes_wide_enough_takes_opposite_corners(name, monkeypatch):
    """The class draws until a start is wide enough, and would draw our one vector for ever."""
    monkeypatch.setattr(scene(name), "spec", replace(SPECS[name], apart=10.0))
    vectors = scene(name).vectors(np.random.default_rng(0).uniform(size=(100, 48)))
    assert (np.linalg.norm(vectors[:, :2] - vectors[:, 3:5], axis=1) > SPECS[name].apart + 1e-9).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_start_does_not_depend_on_the_starts_before(name):
    vectors = task(name).starts(Split.TEST, np.arange(8)).state
    first = scene(name)._place(vectors[0].tobytes())
    for vector in vectors[1:]:
        scene(name)._place(vector.tobytes())
    again = scene(name)._place(vectors[0].tobytes())
    np.testing.assert_array_equal(first.state, again.state)
    np.testing.assert_array_equal(first.body_pos, again.body_pos)
    np.testing.assert_array_equal(first.goal, again.goal)


def test_observations_are_in_their_space_and_name_the_task():
    seen = play(MIXED, len(MIXED), range(len(MIXED)))[:, :, :-1]
    assert np.abs(seen).max() <= 5.0
    for k, name in enumerate(MIXED):
        assert (seen[k, :, metaworld().instruction].argmax(axis=1) == task(name).slot).all()


@pytest.mark.parametrize("style", ["scripted", "slow"])
def test_experts_solve_their_tasks(style):
    cells = [Cell(task(name), Split.SELECT, np.arange(10)) for name in ("reach", "push", "drawer_open", "window_close")]
    played = play_expert(cells, style, noise=0.15, threads=1)
    for k in range(len(cells)):
        assert played.of(k).success.mean() >= 0.9


def test_a_skill_is_a_gymnasium_environment():
    env = gymnasium.make("razorbench:RazorBench/MwPush-v1")
    check_env(env.unwrapped, skip_render_check=True)
    first, _ = env.reset(seed=3)
    again, _ = env.reset(seed=3)
    np.testing.assert_array_equal(first, again)
    env.close()
