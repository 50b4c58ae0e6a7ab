"""The Gymnasium and Stable-Baselines3 faces of the engine."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from conftest import SKILLS, TASKS, task
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import razorbench  # noqa: F401
from razorbench.faces import TaskVecEnv

IDS = {name: f"razorbench:RazorBench/{name.title().replace('_', '')}-v1" for name in (*SKILLS, *TASKS)}


@pytest.mark.parametrize("name", IDS)
def test_gymnasium_and_sb3_checkers_find_nothing(name):
    env = gymnasium.make(IDS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)
        sb3_check_env(env.unwrapped)


def test_importing_and_registering_loads_neither_torch_nor_mujoco():
    code = "import razorbench, gymnasium, sys; gymnasium.spec('RazorBench/PickPlace-v1'); sys.exit('torch' in sys.modules or 'mujoco' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["reach", "pick_place"])
def test_vector_env_reaches_the_same_episodes_as_gymnasiums_own(name):
    ours = gymnasium.make_vec(IDS[name], num_envs=4, max_episode_steps=7)
    theirs = gymnasium.make_vec(
        IDS[name], num_envs=4, vectorization_mode="sync", vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}, max_episode_steps=7
    )
    assert ours.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert np.array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(40):
        actions = rng.uniform(-1, 1, (4, 4)).astype(np.float32)
        a, b = ours.step(actions), theirs.step(actions)
        for mine, other in zip(a[:4], b[:4], strict=True):
            assert np.array_equal(mine, other)
        for i in np.flatnonzero(b[4].get("_final_obs", np.zeros(4, dtype=bool))):
            ended += 1
            assert np.array_equal(a[4]["final_obs"][i], b[4]["final_obs"][i])
    assert ended >= 20


def test_reset_mask_restarts_only_where_asked():
    env = gymnasium.make_vec(IDS["lift"], num_envs=3)
    env.reset(seed=0)
    before = env.step(np.zeros((3, 4), dtype=np.float32))[0]
    after = env.reset(options={"reset_mask": np.array([False, True, False])})[0]
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    assert not np.array_equal(after[1], before[1])


def test_seeds_decide_the_episodes():
    env = gymnasium.make(IDS["carry"])
    first = env.reset(seed=5)[0]
    second = env.reset()[0]
    assert not np.array_equal(first, second)
    assert np.array_equal(env.reset(seed=5)[0], first)
    assert np.array_equal(env.reset()[0], second)
    assert not np.array_equal(env.reset(seed=6)[0], first)


def test_sb3_vec_env_tells_success_from_running_out_of_time():
    env = TaskVecEnv(task("reach"), 32)
    observation = env.reset()
    ends = {"success": 0, "time": 0}
    for decision in range(45):
        # Half of the environments are driven to the goal, the others idle.
        towards = np.clip(observation[:, 19:22] * 2, -1, 1)
        towards[16:] = 0.0
        observation, reward, done, infos = env.step(np.concatenate([towards, -np.ones((32, 1))], axis=1))
        for i in np.flatnonzero(done):
            success = infos[i]["is_success"]
            ends["success" if success else "time"] += 1
            assert infos[i]["TimeLimit.truncated"] is (not success)
            assert reward[i] == float(success)
            assert not np.array_equal(infos[i]["terminal_observation"], observation[i])
        assert all(infos[i] == {} for i in np.flatnonzero(~done))
        assert (decision == 39) or not done[16:].any() or reward[16:].any()
    assert ends["success"] > 100
    assert ends["time"] >= 10


def test_rows_cannot_be_changed_one_by_one():
    env = TaskVecEnv(task("reach"), 2)
    with pytest.raises(AttributeError, match="rows of one batch"):
        env.set_attr("x", 1)
    with pytest.raises(AttributeError, match="rows of one batch"):
        env.env_method("reset")
