"""The Gymnasium and Stable-Baselines3 faces of the engine."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from conftest import IDS, task
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.vec_env import DummyVecEnv

from razorbench.world.gym_envs import TaskVecEnv


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


def same(ours, theirs):
    """Equal in kind, type, shape and every value."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        if theirs.dtype == object:
            same(tuple(ours), tuple(theirs))
        else:
            assert np.array_equal(ours, theirs)
    else:
        assert ours == theirs


def both(name, mode, **settings):
    """Our batch, and Gymnasium's own vectorization of the same task, in an autoreset mode."""
    own = gymnasium.make_vec(IDS[name], autoreset_mode=mode, **settings)
    return own, gymnasium.make_vec(IDS[name], vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **settings)


def reaching(observation, rng):
    """Actions that go to the goal in the first half of the environments, and anywhere in the others."""
    actions = rng.uniform(-1, 1, (len(observation), 4)).astype(np.float32)
    half = len(observation) // 2
    actions[:half, :3] = np.clip(observation[:half, 19:22] * 2, -1, 1)
    return actions


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize(
    ("name", "settings"), [("reach", {"max_episode_steps": 7}), ("reach", {}), ("pick_place", {"max_episode_steps": 5, "reward": "shaped"})]
)
def test_vector_env_is_gymnasiums_own_property_by_property(name, settings, mode):
    ours, theirs = both(name, mode, num_envs=6, **settings)
    assert ours.metadata == theirs.metadata
    for attribute in ("num_envs", "render_mode", "closed", "observation_space", "action_space", "single_observation_space", "single_action_space"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    same(ours.reset(seed=3), theirs.reset(seed=3))
    assert ours.np_random_seed == theirs.np_random_seed == (3, 4, 5, 6, 7, 8)
    rng = np.random.default_rng(0)
    observation, ends = theirs.reset()
    same(ours.reset(), (observation, {}))
    seen = {"terminated": 0, "truncated": 0, "both": 0}
    for step in range(90):
        actions = reaching(observation, rng)
        result = theirs.step(actions)
        same(ours.step(actions), result)
        observation, ends = result[0], result[2] | result[3]
        seen["terminated"] += result[2].sum()
        seen["truncated"] += result[3].sum()
        seen["both"] += (result[2] & result[3]).sum()
        if (mode is AutoresetMode.DISABLED and ends.any()) or step % 11 == 0:
            mask = ends if ends.any() else np.array([True, False, False, True, False, False])
            seed = [None, 8, None, 5, 8, None] if step % 2 else None
            observation, _ = again = theirs.reset(seed=seed, options={"reset_mask": mask})
            same(ours.reset(seed=seed, options={"reset_mask": mask}), again)
    assert seen["truncated"] > 3
    if name == "reach":
        assert seen["terminated"] > 10
        assert bool(seen["both"]) is bool(settings)
    for envs in (ours, theirs):
        envs.close()
        assert envs.closed


def halved(envs):
    return vector.RescaleObservation(envs, np.float32(-2.5), np.float32(2.5))


WAITING = (AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)


@pytest.mark.parametrize(
    ("wrapper", "modes"),
    [
        (vector.NormalizeObservation, (AutoresetMode.NEXT_STEP,)),
        (vector.NormalizeReward, AutoresetMode),
        (vector.RecordEpisodeStatistics, AutoresetMode),
        (vector.DictInfoToList, AutoresetMode),
        (vector.FlattenObservation, WAITING),
        (halved, WAITING),
    ],
)
def test_gymnasiums_wrappers_do_to_our_batch_what_they_do_to_their_own(wrapper, modes):
    for mode in modes:
        ours, theirs = (wrapper(envs) for envs in both("reach", mode, num_envs=4, max_episode_steps=9))
        check_wrapped(ours, theirs)


def check_wrapped(ours, theirs):
    plain, _ = theirs.reset(seed=1)
    same(ours.reset(seed=1)[0], plain)
    rng = np.random.default_rng(0)
    for _ in range(25):
        actions = rng.uniform(-1, 1, (4, 4)).astype(np.float32)
        a, b = ours.step(actions), theirs.step(actions)
        for info in (a[4], b[4]):
            if isinstance(info, dict):
                info.get("episode", {}).pop("t", None)  # of the clock
        if isinstance(b[4], list):
            assert repr(a[4]) == repr(b[4])
            a, b = a[:4], b[:4]
        same(a, b)
        if ours.metadata["autoreset_mode"] is AutoresetMode.DISABLED and (b[2] | b[3]).any():
            ours.reset(seed=2)
            theirs.reset(seed=2)


def test_statistics_of_episodes_keep_their_count_through_a_reset_of_others():
    envs = vector.RecordEpisodeStatistics(gymnasium.make_vec(IDS["lift"], num_envs=2, max_episode_steps=5, autoreset_mode="Disabled"))
    envs.reset(seed=0)
    for _ in range(3):
        envs.step(np.zeros((2, 4)))
    envs.reset(options={"reset_mask": np.array([True, False])})
    for _ in range(2):
        *_, info = envs.step(np.zeros((2, 4)))
    assert info["episode"]["l"].tolist() == [0, 5]


@pytest.mark.gl
def test_a_batch_is_drawn_as_gymnasiums_own():
    ours, theirs = both("lift", "Disabled", num_envs=2, render_mode="rgb_array")
    for envs in (ours, theirs):
        envs.reset(seed=0)
        envs.step(np.ones((2, 4), dtype=np.float32))
    same(ours.render(), theirs.render())
    same(ours.call("render"), theirs.call("render"))
    for envs in (ours, theirs):
        envs.close()


def test_a_partial_reset_restarts_only_where_asked():
    env = gymnasium.make_vec(IDS["lift"], num_envs=3)
    env.reset(seed=0)
    before = env.step(np.zeros((3, 4), dtype=np.float32))[0]
    options = {"reset_mask": np.array([False, True, False])}
    after = env.reset(options=options)[0]
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    assert not np.array_equal(after[1], before[1])
    assert list(options) == ["reset_mask"]
    assert np.array_equal(env.reset(seed=[9, 1, 9], options=options)[0][1], env.reset(seed=0)[0][1])


def test_a_first_reset_without_a_seed_can_be_repeated():
    one, batch = gymnasium.make(IDS["lift"]), gymnasium.make_vec(IDS["lift"], num_envs=3)
    assert batch.np_random_seed == (-1, -1, -1)
    for env in (one, batch):
        first = env.reset()[0]
        seed = env.unwrapped.np_random_seed
        assert not np.array_equal(env.reset()[0], first)
        assert np.array_equal(env.reset(seed=seed)[0], first)
    assert len({tuple(row) for row in batch.reset(seed=[None, seed[0], None])[0]}) == 3


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


def test_attributes_are_those_that_an_environment_has():
    env, two = TaskVecEnv(task("reach"), 3), gymnasium.make_vec(IDS["reach"], num_envs=2)
    for name in ("no_such_thing", "action_masks", "step_async", "num_envs", "_seeds"):
        assert not env.has_attr(name)
        with pytest.raises(AttributeError, match=f"the environments have no {name}"):
            env.get_attr(name)
        with pytest.raises(AttributeError, match=f"the environments have no {name}"):
            two.call(name)
    one = gymnasium.make(IDS["reach"])
    for name in ("observation_space", "action_space", "render_mode"):
        assert env.has_attr(name)
        assert env.get_attr(name) == [one.get_wrapper_attr(name)] * 3
        assert two.get_attr(name) == two.call(name) == (one.get_wrapper_attr(name),) * 2
    assert env.get_attr("task", indices=[0, 2]) == [task("reach")] * 2
    assert env.env_is_wrapped(gymnasium.Wrapper, indices=1) == [False]


def test_sb3_face_is_sb3s_own_batch_of_the_same_task():
    ours, theirs = TaskVecEnv(task("reach"), 6), DummyVecEnv([lambda: gymnasium.make(IDS["reach"])] * 6)
    assert (ours.observation_space, ours.action_space, ours.num_envs) == (theirs.observation_space, theirs.action_space, theirs.num_envs)
    rng, ended = np.random.default_rng(0), 0
    for seed in (4, None):
        for envs in (ours, theirs):
            if seed is not None:
                assert envs.seed(seed) == [4, 5, 6, 7, 8, 9]
        observation = theirs.reset()
        same(ours.reset(), observation)
        for _ in range(45):
            actions = reaching(observation, rng)
            observation, reward, done, infos = theirs.step(actions)
            a = ours.step(actions)
            same(a[:3], (observation, reward, done))
            for i in np.flatnonzero(done):
                same(a[3][i], infos[i])
                ended += 1
    assert ended > 20


def test_sb3_resets_go_on_and_given_seeds_repeat():
    env, other = TaskVecEnv(task("reach"), 2, seed=5), TaskVecEnv(task("reach"), 2)
    first, second = env.reset(), env.reset()
    assert not np.array_equal(first, second)
    assert other.seed(5) == [5, 6]
    assert np.array_equal(other.reset(), first)
    assert np.array_equal(other.reset(), second)
    env.seed(6)
    assert np.array_equal(env.reset()[0], first[1])
