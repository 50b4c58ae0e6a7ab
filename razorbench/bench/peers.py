"""Steps per second of other benchmarks' environments under Stable-Baselines3's vectorization, for `razorbench bench --peers`.

The peers need another MuJoCo version, so a separate Python environment runs this file as a script, and it does not import RazorBench:
`python -P peers.py PEER dummy|subproc NUM_ENVS SECONDS` prints one number.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

NEEDED = {
    "metaworld": "metaworld==3.1.1",
    "gymnasium_robotics": "gymnasium-robotics==1.4.2",
    "robosuite": "robosuite==1.5.2",
    "h5py": "h5py==3.16.0",
    "stable_baselines3": "stable-baselines3==2.9.2",
}
"""Requirements of the peers' Python environment, by module."""


def _metaworld() -> Any:
    import gymnasium
    import metaworld

    assert metaworld  # it registers the environments
    return gymnasium.make("Meta-World/MT1", env_name="pick-place-v3", seed=0, disable_env_checker=True)


def _fetch() -> Any:
    import gymnasium
    import gymnasium_robotics

    gymnasium.register_envs(gymnasium_robotics)
    return gymnasium.make("FetchPickAndPlace-v4", disable_env_checker=True)


def _robosuite() -> Any:
    import robosuite
    from robosuite.wrappers import GymWrapper

    return GymWrapper(robosuite.make("Lift", robots="Panda", has_renderer=False, has_offscreen_renderer=False, use_camera_obs=False, control_freq=20))


PEERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "metaworld": ("Meta-World pick-place-v3", _metaworld),
    "fetch": ("FetchPickAndPlace", _fetch),
    "robosuite": ("robosuite Lift", _robosuite),
}
"""Title and factory of each peer's environment."""


def rate(peer: str, vectorisation: str, num_envs: int, seconds: float) -> float:
    """Return environment steps per second under random actions, resets included."""
    import numpy as np
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    envs: Any = (DummyVecEnv if vectorisation == "dummy" else SubprocVecEnv)([PEERS[peer][1]] * num_envs)
    envs.reset()
    space, rng = envs.action_space, np.random.default_rng(0)
    actions = rng.uniform(space.low, space.high, (64, num_envs, *space.shape)).astype(space.dtype)
    envs.step(actions[0])
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        envs.step(actions[steps % len(actions)])
        steps += 1
    per_s = steps * num_envs / (time.perf_counter() - began)
    envs.close()
    return per_s


if __name__ == "__main__":
    # One thread per process, as a careful user sets it, since the processes run in parallel.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    print(rate(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
