"""Rates of the physics, of the engine and of a method: decisions per second on the same episodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import Batch
from mujoco.rollout import Rollout
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method.data import Budget
from razorbench.policy.network import distribution
from razorbench.runs.spec import RunSpec
from razorbench.task import Task
from razorbench.types import FloatArray
from razorbench.world.engine import mujoco_world
from razorbench.world.gym_envs import TaskVecEnv
from razorbench.world.stepper import Stepper

DECISIONS = 40
PPO_ENV_STEPS = 25_600


@dataclass(frozen=True)
class Tape:
    """A recorded batch: actions (T, N, A), physics states (T, N, nstate) before them, controls (T, N, substeps, nu)."""

    actions: FloatArray
    states: FloatArray
    controls: FloatArray


def recorded(spec: RunSpec, num_envs: int, threads: int, decisions: int = DECISIONS) -> Tape:
    """Play the base on a batch of TRAIN starts and return the recording."""
    task, world = spec.task, mujoco_world(spec.task)
    stepper = Stepper(task, num_envs, threads=threads)
    observation = stepper.reset(np.arange(num_envs))
    rng = np.random.default_rng(0)
    actions, states, controls = [], [], []
    for _ in range(decisions):
        action = np.clip(distribution(spec.base.policy, observation).sample(rng.uniform(1e-6, 1 - 1e-6, (num_envs, world.action_size))), -1, 1)
        states.append(stepper.state.copy())
        control = world.control(stepper.readings, action)
        controls.append(np.ascontiguousarray(np.broadcast_to(control[:, None], (num_envs, world.substeps, control.shape[1]))))
        actions.append(action)
        observation = stepper.step(action).observation
    return Tape(np.array(actions), np.array(states), np.array(controls))


def raw(task: Task, tape: Tape, threads: int) -> float:
    """Return the decisions per second of `mujoco.rollout` alone, with precomputed controls."""
    model = mujoco_world(task).model(task.variant)
    n, substeps = tape.controls.shape[1:3]
    data = [mujoco.MjData(model) for _ in range(threads)]
    state, sensors = np.empty((n, substeps, tape.states.shape[2])), np.empty((n, substeps, model.nsensordata))
    rollout = Rollout(nthread=threads)
    models = [model] * n
    began = time.perf_counter()
    for start, control in zip(tape.states, tape.controls, strict=True):
        rollout.rollout(
            models,
            data,
            start,
            control,
            control_spec=int(mujoco.mjtState.mjSTATE_CTRL),
            skip_checks=True,
            nstep=substeps,
            state=state,
            sensordata=sensors,
        )
    return n * len(tape.states) / (time.perf_counter() - began)


def bare(task: Task, tape: Tape, threads: int) -> float:
    """Return the decisions per second of the engine's MuJoCo batch under the same controls, without episode ends and resets."""
    n, substeps = tape.controls.shape[1:3]
    batch = Batch(mujoco_world(task).model(task.variant), n, threads, persistent=True)
    batch.state[:, : tape.states.shape[2]] = tape.states[0]
    control, _ = batch.bind("ctrl"), batch.bind("sensordata")
    began = time.perf_counter()
    for controls in tape.controls:
        control[:] = controls[:, 0]
        batch.step(nstep=substeps, stage=mujoco.mjtStage.mjSTAGE_VEL.value)
    return n * len(tape.states) / (time.perf_counter() - began)


def engine(task: Task, tape: Tape, threads: int) -> float:
    """Return the decisions per second of the engine on the same episodes, with controls, observations, success and resets."""
    stepper = Stepper(task, tape.actions.shape[1], threads=threads)
    stepper.reset(np.arange(stepper.num_envs))
    return _timed(stepper.step, tape)


def sb3(task: Task, tape: Tape, threads: int) -> float:
    """Return the decisions per second of the engine as a Stable-Baselines3 VecEnv."""
    envs = TaskVecEnv(task, tape.actions.shape[1], threads=threads)
    envs.reset()
    return _timed(envs.step, tape)


def _timed(step: Callable[[FloatArray], Any], tape: Tape) -> float:
    began = time.perf_counter()
    for action in tape.actions:
        step(action)
    return tape.actions.shape[0] * tape.actions.shape[1] / (time.perf_counter() - began)


def method(spec: RunSpec, threads: int, base: ActorCriticPolicy | None = None) -> float:
    """Return the environment steps per second of a method, with updates, without evaluation. Raises UsageError if it takes no environment steps."""
    budget = Budget("bench", PPO_ENV_STEPS, 1, 1, 1_000_000)
    handle = replace(spec, budget=budget).handle(threads)
    began = time.perf_counter()
    with handle.counting():
        spec.method.adapt(spec.base.policy if base is None else base, handle, budget, np.random.default_rng(0))
    seconds = time.perf_counter() - began
    if not handle.used.env_steps:
        raise UsageError(f"method={spec.method_name}: it takes no environment steps, so it has no rate to compare with physics; give one like method=ppo")
    return handle.used.env_steps / seconds
