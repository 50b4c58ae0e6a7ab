"""Methods that spend what nobody handed out, for the tests of counting."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from conftest import TINY, compose, task

from razorbench.policy import network as policies
from razorbench.runs.adapting import adapted
from razorbench.task import Split
from razorbench.world.engine import MujocoEngine


def by_hand(copy, times=1):
    for _ in range(times):
        loss(copy).backward()
        with torch.no_grad():
            for parameter in policies.actor_parameters(copy):
                parameter.sub_(1e-3 * parameter.grad)
                parameter.grad = None


CAPS = {"env_steps": 100, "demo_episodes": 20, "expert_queries": 100, "gradient_steps": 40}


@dataclass(frozen=True)
class Own:
    """A method that does `what`, given base, handle and a copy of the base, which it returns unless `what` returns another policy."""

    what: ClassVar
    family: ClassVar[str] = "ours"
    version: ClassVar[int] = 1
    old_task_data: ClassVar[bool] = False

    def adapt(self, base, task, budget, rng):
        copy = policies.clone(base)
        return self.what(base, task, copy) or copy


def own(what):
    return type("Own", (Own,), {"what": staticmethod(what)})()


def spec(what, **caps):
    made, config = compose("task=pick_place", "method=frozen", *TINY)
    return replace(made, method=own(what), budget=replace(made.budget, **(CAPS | caps))), config


def tried(what, **caps):
    """The handle after a method has done something."""
    made, _ = spec(what, **caps)
    handle = made.handle()
    adapted(made, made.base.policy, handle, np.random.default_rng(0))
    return handle


def loss(copy):
    return -1e-3 * policies.log_likelihood(copy, torch.zeros(1, *copy.observation_space.shape), torch.ones(1, 4)).mean()


def push(copy, optimizer, times=1):
    """Push the policy somewhere else by that many steps of an optimizer."""
    for _ in range(times):
        optimizer.zero_grad()
        loss(copy).backward()
        optimizer.step()


def drive(stepper, times=3):
    stepper.reset(np.arange(2))
    for _ in range(times):
        stepper.step(np.zeros((2, 4)))


def own_engine(base, handle, copy):
    engine, ids = MujocoEngine([task("pick_place")], 2, 1), np.arange(2)
    engine.begin(ids, 0, handle.task.starts(Split.TRAIN, ids))
    for _ in range(3):
        engine.step(ids, engine.expert(ids))
