"""Settings, actions, masks and seeds that the Gymnasium and Stable-Baselines3 faces refuse."""

import re

import gymnasium
import numpy as np
import pytest
from conftest import IDS, task
from gymnasium.error import ResetNeeded

from razorbench.errors import NotFinite, UsageError
from razorbench.world.gym_envs import TaskVecEnv


def made(**settings):
    return gymnasium.make_vec(IDS["reach"], num_envs=2, **settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"reward": "spars"}, "reward is 'spars': it must be sparse or shaped"),
        ({"autoreset_mode": "NEXT_STEP"}, "autoreset_mode='NEXT_STEP': there is no such autoreset_mode; choose from 'NextStep', 'SameStep', 'Disabled'"),
        ({"render_mode": "human"}, "render_mode='human': there is no such render_mode; choose from None, 'rgb_array'"),
        ({"max_episode_steps": 0}, "max_episode_steps=0: give a whole number of 1 or more"),
        ({"threads": -1}, "threads=-1: give a whole number of 1 or more"),
    ],
)
def test_settings_that_there_are_not_are_refused(settings, sentence):
    with pytest.raises(UsageError, match=f"^{re.escape(sentence)}$"):
        made(**settings)
    if "reward" in settings:
        with pytest.raises(UsageError, match=f"^{re.escape(sentence)}$"):
            gymnasium.make(IDS["reach"], **settings)


def test_minus_one_is_no_limit_as_for_gymnasium():
    envs = made(max_episode_steps=-1)
    envs.reset(seed=0)
    assert not envs.step(np.zeros((2, 4)))[3].any()


ACTIONS = {
    "too narrow": (np.zeros(3), "the action is of type float64 and shape (3,)"),
    "too wide": (np.zeros(5, np.float32), "the action is of type float32 and shape (5,)"),
    "one number": (0.0, "the action is of type float64 and shape ()"),
    "words": (["a", "b", "c", "d"], "the action is of type <U1 and shape (4,)"),
    "objects": (np.array([0, 0, 0, None]), "the action is of type object and shape (4,)"),
    "complex": (np.zeros(4, complex), "the action is of type complex128 and shape (4,)"),
    "truth": (np.zeros(4, bool), "the action is of type bool and shape (4,)"),
    "ragged": ([0, 0, 0, [0, 0]], "the action is a list of rows of unequal lengths"),
}


@pytest.mark.parametrize("wrong", ACTIONS)
def test_what_is_no_action_is_refused(wrong):
    action, sentence = ACTIONS[wrong]
    env = gymnasium.make(IDS["reach"], disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(UsageError, match=rf"^{re.escape(sentence)}.*: give numbers in \[-1, 1\] of shape \(4,\)$"):
        env.step(action)
    rows = [action, action]
    for envs in (made(), TaskVecEnv(task("reach"), 2)):
        envs.reset()
        with pytest.raises(UsageError, match=r": give numbers in \[-1, 1\] of shape \(2, 4\)$"):
            envs.step(rows)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_actions_that_are_not_finite_are_refused(bad):
    env = gymnasium.make(IDS["reach"])
    env.reset(seed=0)
    with pytest.raises(NotFinite, match="action of environment 0 is"):
        env.step(np.full(4, bad, dtype=np.float32))
    for envs in (made(), TaskVecEnv(task("reach"), 2)):
        envs.reset()
        with pytest.raises(NotFinite, match="action of environment 1 is"):
            envs.step(np.array([[0, 0, 0, 0], [0, bad, 0, 0]]))


def test_stepping_where_there_is_no_episode_is_refused():
    for env, action in (
        (gymnasium.make(IDS["reach"]).unwrapped, np.zeros(4)),
        (made(), np.zeros((2, 4))),
        (TaskVecEnv(task("reach"), 2), np.zeros((2, 4))),
    ):
        with pytest.raises(ResetNeeded, match=r"environment 0 of reach-v1 has no episode yet: call reset\(\) before step\(\)"):
            env.step(action)
    with pytest.raises(ResetNeeded, match=r"environment 1 of reach-v1 has no episode yet: .* the first time for all"):
        made().reset(options={"reset_mask": np.array([True, False])})
    env = gymnasium.make(IDS["reach"]).unwrapped
    env.reset(seed=0)
    while not env.step(np.zeros(4))[3]:
        pass
    with pytest.raises(ResetNeeded, match=r"the episode of reach-v1 has ended: call reset\(\) before the next step\(\)"):
        env.step(np.zeros(4))
    envs = made(max_episode_steps=1, autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.step(np.zeros((2, 4)))
    envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ResetNeeded, match=r"the episodes of environments \[1\] have ended"):
        envs.step(np.zeros((2, 4)))


@pytest.mark.parametrize("mask", [[True, False], np.array([1, 0]), np.array([True]), np.array([[True, False]]), np.array([False, False]), None, "all"])
def test_a_mask_that_does_not_fit_is_refused(mask):
    envs = made()
    envs.reset(seed=0)
    with pytest.raises(UsageError, match=r"^reset_mask=.*: give a NumPy array of 2 booleans"):
        envs.reset(options={"reset_mask": mask})


@pytest.mark.parametrize("seed", [-1, 2**40, 2**70, [1], [1, 2, 3], [1, -2], [1, 2.0], "ab", 1.5])
def test_a_seed_that_does_not_fit_is_refused(seed):
    with pytest.raises(UsageError, match=r"seed.* whole number"):
        made().reset(seed=seed)


def test_the_largest_seed_has_episodes_of_its_own():
    envs = made()
    first, last = (envs.reset(seed=[seed, 0])[0][0] for seed in (0, 2**40 - 1))
    assert not np.array_equal(first, last)
    with pytest.raises(UsageError, match="seed 1099511627776: seeds are whole numbers from 0 to 1099511627775"):
        gymnasium.make(IDS["reach"]).reset(seed=2**40)
