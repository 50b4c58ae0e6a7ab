"""Speed on this machine: the engine and whole PPO against the raw rate of `mujoco.rollout`, and an evaluation.

All are measured in turn, several times; the ratios of one round are what counts, since machines drift.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from mujoco.rollout import Rollout

from razorbench import policy as policies
from razorbench import provenance
from razorbench.base import Base
from razorbench.cores import threads as default_threads
from razorbench.evaluate import Cell, play_policy
from razorbench.method import Budget, Method, TaskHandle
from razorbench.policy import distribution
from razorbench.stepper import Stepper
from razorbench.task import Split, Task
from razorbench.types import FloatArray

DECISIONS = 40
PPO_ENV_STEPS = 25_600


@dataclass(frozen=True)
class _Tape:
    """What a batch did: actions (T, N, A), physics states (T, N, nstate) before them, controls (T, N, substeps, nu)."""

    actions: FloatArray
    states: FloatArray
    controls: FloatArray


def bench(base: Base, task: Task, ppo: Method, num_envs: int, rounds: int) -> dict[str, Any]:
    """Return medians over rounds of decisions per second, their ratios, and seconds of an evaluation."""
    threads = default_threads()
    rows: list[dict[str, float]] = []
    with policies.one_thread():
        tape = _record(base, task, num_envs, threads)
        for _ in range(rounds):
            raw, engine = _raw(task, tape, threads), _engine(task, tape, threads)
            whole = _ppo(base, task, ppo, threads)
            rows.append(
                {
                    "raw_per_s": raw,
                    "engine_per_s": engine,
                    "ppo_per_s": whole,
                    "engine_over_raw": engine / raw,
                    "ppo_over_raw": whole / raw,
                    "evaluation_s": _evaluation(base, task, threads),
                }
            )
    medians = {key: float(np.median([row[key] for row in rows])) for key in rows[0]}
    return {"num_envs": num_envs, "threads": threads, "rounds": rounds, "median": medians, "machine": provenance.machine(), "versions": provenance.versions()}


def _record(base: Base, task: Task, num_envs: int, threads: int) -> _Tape:
    stepper = Stepper(task, num_envs, threads=threads)
    observation = stepper.reset(np.arange(num_envs))
    rng = np.random.default_rng(0)
    world = task.world
    actions, states, controls = [], [], []
    for _ in range(DECISIONS):
        action = np.clip(distribution(base.policy, observation).sample(rng.uniform(1e-6, 1 - 1e-6, (num_envs, world.action_size))), -1, 1)
        states.append(stepper.state.copy())
        control = world.control(stepper.readings, action)
        controls.append(np.ascontiguousarray(np.broadcast_to(control[:, None], (num_envs, world.substeps, control.shape[1]))))
        actions.append(action)
        observation = stepper.step(action).observation
    return _Tape(np.array(actions), np.array(states), np.array(controls))


def _raw(task: Task, tape: _Tape, threads: int) -> float:
    """Decisions per second of the bare rollout, with everything else computed before."""
    model = task.world.model(task.variant)
    n, substeps = tape.controls.shape[1:3]
    data = [mujoco.MjData(model) for _ in range(max(threads, 1))]
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


def _engine(task: Task, tape: _Tape, threads: int) -> float:
    """Decisions per second of the engine over the same episodes: controls, observations, success and resets included."""
    n = tape.actions.shape[1]
    stepper = Stepper(task, n, threads=threads)
    stepper.reset(np.arange(n))
    began = time.perf_counter()
    for action in tape.actions:
        stepper.step(action)
    return n * len(tape.actions) / (time.perf_counter() - began)


def _ppo(base: Base, task: Task, ppo: Method, threads: int) -> float:
    """Environment steps per second of PPO, update included, measuring left out."""
    budget = Budget("bench", PPO_ENV_STEPS, 1, 1, 1_000_000)
    handle = TaskHandle(task, budget, next(iter(task.experts)), threads)
    began = time.perf_counter()
    with handle.counting_gradients():
        ppo.adapt(base.policy, handle, budget, np.random.default_rng(0))
    return handle.used.env_steps / (time.perf_counter() - began)


def _evaluation(base: Base, task: Task, threads: int) -> float:
    """Seconds for 100 greedy TEST episodes of the new task and of each original skill."""
    cells = [Cell(each, Split.TEST, np.arange(100)) for each in (task, *base.skills)]
    began = time.perf_counter()
    play_policy(base.policy, cells, threads=threads)
    return time.perf_counter() - began
