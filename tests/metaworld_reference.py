"""Plays Meta-World's own classes, in a Python and under a MuJoCo of their own: `PYTHON tests/metaworld_reference.py ASKED.npz PLAYED.npz`.

Asked: for every task `NAME.vectors` (S, V), `NAME.actions` (S, D, 4), and the states `NAME.qpos`, `NAME.qvel`, `NAME.hand` (S, D, ...) before each decision.
Played: `NAME.first` (S, 18), an observation at the start; `NAME.one` (S, D, 39) and `NAME.one_solved` (S, D), each decision from its state;
`NAME.all` and `NAME.all_solved`, all decisions in a row from the start. It imports nothing of RazorBench.
"""

import sys
import warnings

import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

warnings.simplefilter("ignore")


def fresh(name, vector):
    """A new environment at the start that a random vector stands for: environments that were used before remember their last start."""
    env = ALL_V3_ENVIRONMENTS[name]()
    env._partially_observable, env._freeze_rand_vec, env._set_task_called = False, True, True
    del env.sawyer_observation_space
    env._last_rand_vec = vector[: env._random_reset_space.low.size].copy()
    env.reset()
    mujoco.mj_forward(env.model, env.data)
    return env


def play(env, actions, states=None):
    observations, solved = [], []
    for k, action in enumerate(actions):
        if states is not None:
            env.data.qpos[:], env.data.qvel[:], env.data.mocap_pos[0] = (each[k] for each in states)
        observation, _, _, _, info = env.step(action)
        observations.append(observation)
        solved.append(info["success"] > 0)
    return np.array(observations), np.array(solved)


def main(asked, played):
    given, found = np.load(asked), {}
    for name in [key.removesuffix(".vectors") for key in given if key.endswith(".vectors")]:
        vectors, actions = given[f"{name}.vectors"], given[f"{name}.actions"]
        states = [given[f"{name}.{what}"] for what in ("qpos", "qvel", "hand")]
        environments = [fresh(name, vector) for vector in vectors]
        found[f"{name}.first"] = np.array([env._get_curr_obs_combined_no_goal() for env in environments])
        all_ = [play(env, mine) for env, mine in zip(environments, actions, strict=True)]
        one = [play(fresh(name, vectors[k]), actions[k], [each[k] for each in states]) for k in range(len(vectors))]
        for what, episodes in (("all", all_), ("one", one)):
            found[f"{name}.{what}"], found[f"{name}.{what}_solved"] = map(np.stack, zip(*episodes, strict=True))
    np.savez(played, **found)


main(*sys.argv[1:])
