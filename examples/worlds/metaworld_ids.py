"""Gives Meta-World's classes, whose goals are observed and whose starts follow `seed`, an id: `MetaWorld/Any-v3` with name=reach-v3."""

import gymnasium
from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE


def make(name, **_):
    """Return an environment, with an object and a goal that vary with the seed."""
    env = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[f"{name}-goal-observable"](seed=0)
    env._freeze_rand_vec, env.seeded_rand_vec = False, True  # as made, every reset has one start
    return env


gymnasium.register("MetaWorld/Any-v3", make)
