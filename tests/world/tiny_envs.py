"""Tiny Gymnasium environments, good and bad, that workers import in tests; it imports nothing of RazorBench or pytest."""

import os
import random
import sys
import time

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete


class Point(gymnasium.Env):
    """A point on a plane that goes to a place on one side of it; actions in centimeters. A dictionary observation if `split`."""

    action_space = Box(-5.0, 5.0, (2,), np.float32)
    observation_space = Box(-np.inf, np.inf, (4,), np.float64)

    def __init__(self, side=1.0, fault=""):
        self.side, self.fault = side, fault
        if fault == "split":
            self.observation_space = Dict({"place": Box(-2.0, 2.0, (2,)), "goal": Box(-2.0, 2.0, (2,)), "extra": Box(0.0, 1.0, (1,))})
        if fault == "discrete":
            self.action_space = Discrete(3)
        if fault == "unbounded":
            self.action_space = Box(-np.inf, np.inf, (2,))
        if fault == "picture":
            self.observation_space = Box(0, 255, (8, 8, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        rng = np.random.default_rng() if self.fault == "unseeded" else np.random.default_rng(0) if self.fault == "constant" else self.np_random
        angle = np.pi * (rng.random() - 0.5)
        self.at = 0.4 * rng.random(2) - 0.2
        self.goal = np.array([self.side * np.cos(angle), np.sin(angle)])
        self.push = 0.5 * getattr(self, "push", 2.0) if self.fault == "remembers" else 1.0  # each episode heavier than the one before
        self.steps = 0
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.steps += 1
        noise = random.random() if self.fault == "noisy" else 0.0
        self.at = self.at + self.push * np.asarray(action) / 100 + 0.01 * noise
        if self.steps == 3 and self.fault == "dies":
            print("the motor burns", file=sys.stderr)
            os._exit(7)
        if self.steps == 3 and self.fault == "hangs":
            while True:
                time.sleep(0.01)
        if self.steps == 3 and self.fault == "raises":
            raise ValueError("no such joint")
        if self.steps == 3 and self.fault == "babbles":
            os.write(1, b"step three\n")
            for fd in range(3, 10):  # a library that writes where it should not
                try:
                    os.write(fd, b"\xff" * 64)
                except OSError:
                    pass
        near = bool(np.linalg.norm(self.at - self.goal) < 0.12)
        reward = np.nan if self.steps == 3 and self.fault == "nan" else float(near)
        return self._seen(), reward, near, self.fault == "falls" and self.steps == 3, {"is_success": near}

    def _seen(self):
        if self.fault == "split":
            return {"place": self.at, "goal": self.goal, "extra": np.zeros(1)}
        if self.fault == "blind" and self.steps == 3:
            return np.full(4, np.nan)
        return np.concatenate([self.at, self.goal])


class OldPoint(Point):
    """A point whose reset heeds no seed, but whose method `seed` does."""

    def seed(self, seed):
        self._np_random, _ = gymnasium.utils.seeding.np_random(seed)

    def reset(self, *, seed=None, options=None):
        return super().reset()


gymnasium.register("Tiny/Point-v0", Point)
gymnasium.register("Tiny/Old-v0", OldPoint)
