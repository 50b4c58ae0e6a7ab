"""The task handle: it supplies a method with data, counts the costs, and receives its updates."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol, SupportsFloat

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import meter, seeding
from razorbench.errors import NotFinite, UpdatesWrong, UsageError, saying_where
from razorbench.method import demonstrations as demos
from razorbench.method.counting import Counts
from razorbench.method.data import ACTION_NOISE, Budget, Demonstrations, Notes, Rollouts, Used
from razorbench.policy import network
from razorbench.policy.network import all_finite
from razorbench.store.checkpoint import Checkpoints
from razorbench.task import Engine, Goals, Split, Task, asking, other_slots
from razorbench.types import FloatArray, Info, IntArray, State
from razorbench.world import cores
from razorbench.world.gym_envs import TaskVecEnv
from razorbench.world.rollout import Cell, play
from razorbench.world.scenes import with_goals

_MOST_TORCH_THREADS = 3
"""With four threads, gradients of the first layer (72 inputs) differ in the last bit from those with one."""


class Stateful(Protocol):
    """An object that a checkpoint can hold: a torch module or optimizer, or anything with the same two methods."""

    def state_dict(self) -> Any:
        """Return nested mappings and lists of tensors, arrays and numbers."""

    def load_state_dict(self, state_dict: Any, /) -> Any:
        """Restore the state."""


@dataclass
class TaskHandle:
    """A method's handle on a new task: environments, demonstrations and reports of updates, all counted.

    skills: the base's original skills; a method may use their instructions, and with `old_task_data` their demonstrations.
    goals: goals for their instructions in the new task's scenes.
    other_policy: returns the base of another pretraining seed. upstream: the trained policy that the method learns from.
    recorded: demonstrations to use instead of an expert's.
    log_std_trains: whether optimizers may change the log standard deviation. on_update(policy, update, total, metrics): the harness's callback after each
    update. notes: the method's notes for the record.
    checkpoints: of the run; rng: the method's generator, which they store.
    """

    task: Task
    budget: Budget
    style: str
    skills: tuple[Task, ...] = ()
    goals: Goals | None = None
    threads: int | None = None
    old_task_data: bool = False
    log_std_trains: bool = True
    recorded: Demonstrations | None = None
    other_policy: Callable[[], ActorCriticPolicy] | None = None
    upstream: ActorCriticPolicy | None = None
    on_update: Callable[[ActorCriticPolicy, int, int, dict[str, float]], None] | None = None
    checkpoints: Checkpoints | None = None
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    notes: Notes = field(default_factory=Notes)
    counts: Counts = field(init=False, repr=False, compare=False)
    _reported: int = field(default=0, init=False, repr=False, compare=False)
    _total: int | None = field(default=None, init=False, repr=False, compare=False)
    _loops: Iterator[int] = field(default_factory=count, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.counts = Counts(self.budget)

    @property
    def used(self) -> Used:
        """Costs spent so far."""
        return self.counts.used

    @property
    def torch_threads(self) -> int:
        """Threads for large minibatches while no environment steps; on the processors tried, gradients do not depend on their number."""
        return min(cores.threads() if self.threads is None else self.threads, _MOST_TORCH_THREADS)

    def left(self, what: str) -> int:
        """Return the rest of a cost's budget."""
        return int(getattr(self.budget, what) - getattr(self.used, what))

    def envs(self, tuned: ActorCriticPolicy, num_envs: int, rng: np.random.Generator) -> TaskVecEnv:
        """Return TRAIN environments that count their steps and take the policy's native actions (for `tokens`: bins)."""
        return _CountedVecEnv(self, tuned, num_envs, int(rng.integers(2**31)))

    def fresh_starts(self, number: int, rng: np.random.Generator) -> IntArray:
        """Return TRAIN starts that no other call is likely to return, (number,)."""
        return int(rng.integers(2**31)) * 2**20 + np.arange(number)

    def demonstrations(self, episodes: int, rng: np.random.Generator) -> Demonstrations:
        """Return the successes of noisy expert episodes on TRAIN starts, or, if the run has a demonstration file, that many of its episodes.

        Raises BudgetExceeded above the cap, UsageError if there are no successes or too few episodes.
        """
        self.charge("demo_episodes", episodes)
        if self.recorded is not None:
            return demos.choose(self.recorded, episodes, rng)
        return self._demonstrate([self.task], episodes, rng, self.style)

    def old_demonstrations(self, episodes: int, rng: np.random.Generator) -> Demonstrations:
        """Return the successes of noisy expert episodes, spread evenly over the original skills.

        Raises UsageError unless the method declares `old_task_data`.
        """
        if not self.old_task_data:
            raise UsageError("the method requested demonstrations of original skills: it must declare old_task_data = True")
        self.charge("demo_episodes", episodes)
        return self._demonstrate(self.skills, episodes, rng, None)

    def _demonstrate(self, tasks: Sequence[Task], episodes: int, rng: np.random.Generator, style: str | None) -> Demonstrations:
        if mute := [task.id for task in tasks if not task.experts]:
            raise UsageError(f"{', '.join(mute)} has no scripted expert: give demonstrations of the new task with demos=FILE, or choose a method without")
        shares = np.array_split(self.fresh_starts(episodes, rng), len(tasks))
        with meter.silence():
            return demos.successes([Cell(task, Split.TRAIN, share) for task, share in zip(tasks, shares, strict=True)], style, self.threads)

    def rollouts(
        self,
        tuned: ActorCriticPolicy,
        start: IntArray,
        rng: np.random.Generator,
        *,
        relabel: bool = False,
        upstream: bool = False,
        elsewhere: bool = False,
        goals: Goals | None = None,
    ) -> Rollouts:
        """Play sampled episodes of a policy from TRAIN starts (E,), with independent noise.

        relabel: also query the expert's action in every state, with the demonstrations' noise. upstream: count the steps as upstream, without a cap.
        elsewhere: each episode, and its observations, have the instruction of a random original skill that differs from the task's. goals: use these instead
        of the task's own, each kind in equally many episodes. Raises BudgetExceeded above the cap.
        """
        slots = rng.choice(other_slots(self.task, self.skills), len(start)) if elsewhere else None
        stream = np.full(len(start), rng.integers(2**63), dtype=np.uint64)
        labels = np.zeros((self.task.horizon, len(start), self.task.world.action_size), dtype=np.float32) if relabel else None

        def act(engine: Engine, ids: IntArray, observation: FloatArray, live: IntArray, decision: IntArray) -> FloatArray:
            if slots is not None:
                observation = asking(self.task, observation, slots[live])
            self.charge("env_steps", len(ids), upstream=upstream)
            counter = live.astype(np.uint64) * np.uint64(4096) + decision.astype(np.uint64)
            if labels is not None:
                self.charge("expert_queries", len(ids))
                labels[decision, live] = engine.expert(ids, self.style)
            return network.distribution(tuned, observation).sample(seeding.uniforms(stream[live], counter, engine.world.action_size))

        variants = [self.task] if goals is None else with_goals(self.task, goals)
        shares = np.array_split(start, len(variants))
        cells = [Cell(variant, Split.TRAIN, share) for variant, share in zip(variants, shares, strict=True)]
        with meter.silence():
            played = play(cells, act, keep=True, threads=self.threads)
        observations, actions, episode = played.pairs()
        if slots is not None:
            observations = asking(self.task, observations, slots[episode])
        rollouts = Rollouts(torch.from_numpy(observations), torch.from_numpy(actions), episode, played.start, played.success)
        if labels is None:
            return rollouts
        step = np.concatenate([np.arange(length) for length in played.length])
        noisy = labels[step, episode] + ACTION_NOISE * rng.normal(size=actions.shape)
        return Rollouts(**{**vars(rollouts), "labels": torch.from_numpy(np.clip(noisy, -1.0, 1.0).astype(np.float32))})

    def reinstructed(self, observations: torch.Tensor, rng: np.random.Generator, asked: Sequence[str] = ()) -> torch.Tensor:
        """Return a copy of observations (N, O), each with the instruction of a random original skill that differs from the task's.

        asked: names of skills, or of the task, to draw instructions from instead. Raises UsageError for an unknown name.
        """
        known = {task.name: task.slot for task in (self.task, *self.skills)}
        if unknown := set(asked) - set(known):
            raise UsageError(f"instructions name {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        slots = [known[name] for name in asked] or other_slots(self.task, self.skills)
        return torch.from_numpy(asking(self.task, observations.numpy(), rng.choice(slots, len(observations))))

    def optimizer(self, tuned: ActorCriticPolicy, learning_rate: float) -> torch.optim.Adam:
        """Return Adam over the actor's trainable parameters, the same for every method. It clamps the log-std to its range, or freezes it if the run does."""
        return network.actor_optimizer(tuned, learning_rate, log_std_trains=self.log_std_trains)

    def updates(self, total: int, **parts: Stateful | dict[str, Any]) -> Iterator[int]:
        """Yield the numbers of the updates, 1 to `total`; in a resumed run, the remaining ones.

        parts: everything that the loop changes, such as policy, optimizer and minibatches, or a dict of tensors and numbers. A checkpoint stores them
        between updates, and a resumed run restores them, together with generators, counts and notes.
        """
        loop, done = next(self._loops), 0
        if self.checkpoints is not None and (state := self.checkpoints.load(loop)) is not None:
            done = state["update"]
            with meter.silence():
                for name, part in parts.items():
                    part.update(state["parts"][name]) if isinstance(part, dict) else part.load_state_dict(state["parts"][name])
            self._restore(state)
        for update in range(done + 1, total + 1):
            yield update
            if self.checkpoints is not None:
                self.checkpoints.save(loop, update, total, lambda: {"parts": {name: _state_of(part) for name, part in parts.items()}, **self._state()})

    def once(self, compute: Callable[[], Any]) -> Any:
        """Return the result of `compute` (tensors, arrays, numbers, or tuples of them) and checkpoint it: a resumed run does not compute it again."""
        loop = next(self._loops)
        if self.checkpoints is not None and (state := self.checkpoints.load(loop)) is not None:
            self._restore(state)
            return state["value"]
        value = compute()
        if self.checkpoints is not None:
            self.checkpoints.save(loop, 1, 1, lambda: {"value": value, **self._state()})
        return value

    def _state(self) -> State:
        """Return the harness's own state for a checkpoint."""
        return {
            "counts": self.counts.state_dict(),
            "notes": dict(self.notes),
            "reported": self._reported,
            "rng": self.rng.bit_generator.state,
            "python": random.getstate(),
            "numpy": np.random.get_state(legacy=False),
            "torch": torch.get_rng_state(),
        }

    def _restore(self, state: Any) -> None:
        self.counts.load_state_dict(state["counts"])
        self.notes, self._reported = Notes(state["notes"]), state["reported"]
        self.rng.bit_generator.state = state["rng"]
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])

    def update(self, policy: ActorCriticPolicy, update: int, total: int, **metrics: SupportsFloat) -> None:
        """Report that update number `update` of `total` is done (1 is the first). metrics: numbers, or tensors of one element, for the log.

        Raises UpdatesWrong if the numbers are not consecutive or exceed the total, NotFinite if a metric or a parameter is NaN or infinite.
        """
        with self.counts.final(), meter.silence():
            if self.counts.refused is not None:
                raise self.counts.refused
            self._total = total if self._total is None else self._total
            if (update, total) != (self._reported + 1, self._total) or update > total:
                raise UpdatesWrong(
                    f"the method reported update {update} of {total} after update {self._reported} of {self._total}: "
                    "number updates 1, 2, 3 and so on to one total, as `for update in task.updates(total, ...)` does"
                )
            self._reported = update
            numbers = {name: float(value.detach() if isinstance(value, torch.Tensor) else value) for name, value in metrics.items()}
            for name, value in numbers.items():
                if not np.isfinite(value):
                    raise NotFinite(f"{name} is {value} at update {update}: training diverged; lower the learning rate")
            if not all_finite(list(policy.parameters())):
                raise NotFinite(f"a parameter of the policy is not finite at update {update}: training diverged; lower the learning rate")
            self.counts.reported(policy.parameters())
            if self.on_update is not None:
                self.on_update(policy, update, total, numbers)

    def finish(self, base: ActorCriticPolicy, tuned: ActorCriticPolicy) -> None:
        """Close the counts, and measure the last reported update if the method ended before its total.

        Raises UpdatesWrong if the method trained without a report, and any earlier refusal, even if the method caught it.
        """
        self.counts.finish([*base.parameters()], [*tuned.parameters()], data=self.upstream is not None)
        steps = self.used.gradient_steps
        if not self._reported and (steps or self.counts.uncounted.get("weight_changes")):
            raise UpdatesWrong(
                f"the method trained (gradient steps counted: {steps}) and reported no update, so nothing was measured along the way: "
                "call task.update(policy, update, total) after each update"
            )
        if self._total is not None and self._reported < self._total and self.on_update is not None:
            with meter.silence():
                self.on_update(tuned, self._reported, self._reported, {})

    def charge(self, what: str, amount: int, *, upstream: bool = False) -> None:
        """Count a cost, from any thread. Raises BudgetExceeded above the cap; upstream costs have no cap."""
        self.counts.charge(what, amount, upstream=upstream)

    def counting(self) -> AbstractContextManager[None]:
        """Count all costs in the block, see `Counts.counting`."""
        return self.counts.counting()


def _state_of(part: Stateful | dict[str, Any]) -> Any:
    return part if isinstance(part, dict) else part.state_dict()


class _CountedVecEnv(TaskVecEnv):
    """Environments that count their steps and take a policy's native actions, bins for `tokens`."""

    def __init__(self, handle: TaskHandle, tuned: ActorCriticPolicy, num_envs: int, seed: int) -> None:
        super().__init__(handle.task, num_envs, seed=seed, threads=handle.threads)
        self._handle, self._bins = handle, network.has_tokens(tuned)
        self.action_space = tuned.action_space

    def step_async(self, actions: FloatArray) -> None:
        self._handle.charge("env_steps", self.num_envs)
        super().step_async(network.bin_centres(actions) if self._bins else actions)

    def step_wait(self) -> tuple[FloatArray, FloatArray, Any, list[Info]]:
        with meter.silence(), saying_where(f"env step {self._handle.used.env_steps}"):
            return super().step_wait()
