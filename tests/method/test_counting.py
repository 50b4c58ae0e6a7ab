"""Budgets that cannot be passed by: whoever makes the environment or the optimiser, it is counted, or the record says that something was not."""

import multiprocessing
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from conftest import TINY, compose, task

from razorbench.errors import BudgetExceeded, RazorbenchError, UpdatesWrong, UsageError
from razorbench.method.counting import UNCOUNTED, uncounted
from razorbench.method.demonstrations import successes
from razorbench.policy import network as policies
from razorbench.policy.network import all_finite
from razorbench.runs.adapting import adapted
from razorbench.runs.run import run
from razorbench.task import Split
from razorbench.world.engine import Engine
from razorbench.world.gym_envs import TaskVecEnv
from razorbench.world.rollout import Cell, play_policy
from razorbench.world.stepper import Stepper

pytestmark = pytest.mark.usefixtures("few_states")

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
    engine, ids = Engine([task("pick_place")], 2, 1), np.arange(2)
    engine.begin(ids, 0, handle.task.starts(Split.TRAIN, ids))
    for _ in range(3):
        engine.step(ids, engine.expert(ids))


def in_a_thread(work):
    def doing(base, handle, copy):
        def quietly():
            with suppress(BudgetExceeded):
                work(base, handle, copy)

        thread = threading.Thread(target=quietly)
        thread.start()
        thread.join()

    return doing


def own_demonstrations(base, handle, copy):
    successes([Cell(task("push"), Split.TRAIN, np.arange(2))], None, 1)


def own_envs(base, handle, copy):
    envs = TaskVecEnv(handle.task, 2)
    envs.reset()
    for _ in range(3):
        envs.step(np.zeros((2, 4)))


@pytest.mark.parametrize(
    "what",
    [
        own_engine,
        own_envs,
        in_a_thread(own_engine),
        lambda base, handle, copy: drive(Stepper(handle.task, 2)),
        lambda base, handle, copy: drive(Stepper(task("push"), 2)),
        lambda base, handle, copy: drive(handle.envs(copy, 2, np.random.default_rng(0)).stepper),
    ],
)
def test_steps_of_an_environment_of_ones_own_are_counted(what):
    assert tried(what).used.env_steps == 6
    with pytest.raises(BudgetExceeded, match="env_steps would reach 6, the budget `standard` allows 5"):
        tried(what, env_steps=5)


def test_episodes_of_ones_own_are_counted():
    played = tried(lambda base, handle, copy: play_policy(base, [Cell(handle.task, Split.TRAIN, np.arange(2))]) and None)
    assert 2 <= played.used.env_steps <= 2 * task("pick_place").horizon
    recorded = tried(own_demonstrations)
    assert recorded.used.env_steps == recorded.used.expert_queries > 2


def test_questions_to_an_expert_are_counted_wherever_they_are_asked():
    def asking(base, handle, copy):
        readings = Stepper(handle.task, 3)
        readings.reset(np.arange(3))
        handle.task.experts["direct"](readings.readings)
        handle.skills[0].experts[next(iter(handle.skills[0].experts))](readings.readings)

    assert tried(asking).used.expert_queries == 6
    assert tried(own_engine).used.expert_queries == 6
    with pytest.raises(BudgetExceeded, match="expert_queries would reach 6"):
        tried(asking, expert_queries=5)


def test_what_the_handle_hands_out_is_counted_once():
    def all_of_it(base, handle, copy):
        rng = np.random.default_rng(0)
        assert len(handle.demonstrations(5, rng).start) <= 5
        before = handle.used
        assert (before.demo_episodes, before.env_steps, before.expert_queries) == (5, 0, 0)
        played = handle.rollouts(base, np.arange(2), rng, relabel=True)
        assert handle.used.env_steps == handle.used.expert_queries == len(played.actions)
        handle.rollouts(base, np.arange(2), rng, upstream=True)
        assert handle.used.env_steps == len(played.actions)
        envs = handle.envs(copy, 2, rng)
        envs.reset()
        envs.step(np.zeros((2, 4)))
        assert handle.used.env_steps == len(played.actions) + 2

    counts = tried(all_of_it, env_steps=1000, expert_queries=1000).counts
    assert counts.upstream.env_steps > 0
    assert counts.uncounted == {}


def test_no_more_episodes_are_played_than_the_cap_allows_steps():
    steps = []

    def greedy(base, handle, copy):
        with suppress(Exception):
            handle.rollouts(base, np.arange(8), np.random.default_rng(0))
        steps.append(handle.used.env_steps)

    with pytest.raises(BudgetExceeded, match="env_steps would reach 56"):
        tried(greedy, env_steps=50)
    assert steps == [48]


class Mine(torch.optim.Optimizer):
    """An optimiser of a method's own."""

    def __init__(self, parameters):
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(1e-3 * parameter.grad)


@pytest.mark.parametrize("kind", [Mine, torch.optim.Adam, torch.optim.SGD])
def test_a_cap_holds_even_if_the_method_catches_the_error(kind):
    """No step is taken beyond it, and the run fails."""
    taken = []

    def stubborn(base, handle, copy):
        optimizer = kind(policies.actor_parameters(copy))
        for _ in range(400):
            before = copy.action_net.weight.detach().clone()
            with suppress(Exception):
                push(copy, optimizer)
            taken.append(not torch.equal(before, copy.action_net.weight))
        with suppress(Exception):
            handle.update(copy, 1, 1)

    with pytest.raises(BudgetExceeded, match="gradient_steps would reach 41"):
        tried(stubborn)
    assert taken == [True] * 40 + [False] * 360


def test_steps_of_optimisers_are_counted_from_any_thread_and_one_for_each_look_of_lbfgs():
    def train(base, handle, copy):
        push(copy, torch.optim.SGD(policies.actor_parameters(copy), lr=1e-3), 7)
        handle.update(copy, 1, 1)

    assert tried(in_a_thread(train)).used.gradient_steps == 7

    def newton(base, handle, copy):
        looks = []
        optimizer = torch.optim.LBFGS(policies.actor_parameters(copy), lr=1e-3, max_iter=5)

        def closure():
            looks.append(1)
            optimizer.zero_grad()
            loss(copy).backward()
            return loss(copy)

        optimizer.step(closure)
        handle.update(copy, 1, 1)
        assert handle.used.gradient_steps == len(looks) > 2

    tried(newton)
    with pytest.raises(BudgetExceeded, match="gradient_steps would reach 3"):
        tried(newton, gradient_steps=2)


def by_hand(copy, times=1):
    for _ in range(times):
        loss(copy).backward()
        with torch.no_grad():
            for parameter in policies.actor_parameters(copy):
                parameter.sub_(1e-3 * parameter.grad)
                parameter.grad = None


def without_optimizer(base, handle, copy):
    handle.demonstrations(2, np.random.default_rng(0))
    for update in (1, 2):
        by_hand(copy, 20)
        handle.update(copy, update, 2)


def hidden_behind_a_counted_step(base, handle, copy):
    handle.demonstrations(2, np.random.default_rng(0))
    optimizer = torch.optim.SGD(policies.actor_parameters(copy), lr=1e-3)
    for update in (1, 2, 3):
        push(copy, optimizer)
        by_hand(copy, 20)
        handle.update(copy, update, 3)


def between_counted_steps(base, handle, copy):
    handle.demonstrations(2, np.random.default_rng(0))
    optimizer = torch.optim.SGD(policies.actor_parameters(copy), lr=1e-3)
    for _ in range(5):
        by_hand(copy)
        push(copy, optimizer)
    handle.update(copy, 1, 1)


def on_their_data(base, handle, copy):
    with torch.no_grad():
        copy.log_std.data.add_(0.1)
    handle.demonstrations(2, np.random.default_rng(0))
    handle.update(copy, 1, 1)


def own_data(base, handle, copy):
    push(copy, torch.optim.SGD(policies.actor_parameters(copy), lr=1e-3), 3)
    handle.update(copy, 1, 1)


def elsewhere(base, handle, copy):
    subprocess.run(["true"], check=True)
    worker = multiprocessing.get_context("spawn").Process(target=print)
    worker.start()
    worker.join()


def ordinary(base, handle, copy):
    """Counted steps alone; what was reported is gone back to, also in the base's place, and another object is returned."""
    handle.demonstrations(2, np.random.default_rng(0))
    optimizer = handle.optimizer(copy, 1e-3)
    push(copy, optimizer, 2)
    handle.update(copy, 1, 2)
    kept = {name: tensor.clone() for name, tensor in copy.state_dict().items()}
    push(copy, optimizer, 2)
    copy.load_state_dict(kept)
    push(copy, optimizer)
    copy.load_state_dict(base.state_dict())
    push(copy, optimizer)
    handle.update(copy, 2, 2)
    return policies.clone(copy)


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        (without_optimizer, {"weight_changes": 1}),
        (hidden_behind_a_counted_step, {"weight_changes": 3}),
        (between_counted_steps, {"weight_changes": 4}),
        (on_their_data, {"weight_changes": 1}),
        (own_data, {"data": 1}),
        (elsewhere, {"processes": 2}),
        (ordinary, {}),
        (own_engine, {}),
    ],
)
def test_what_cannot_be_counted_is_said(what, seen):
    assert tried(what).counts.uncounted == seen
    assert len(uncounted({"uncounted": seen})) == len(seen)
    assert set(seen) <= set(UNCOUNTED)


def test_the_record_says_what_went_uncounted(tmp_path):
    made, config = spec(hidden_behind_a_counted_step)
    record = run(replace(made, method_name="own"), tmp_path, config).record
    assert record["budget"]["uncounted"] == {"weight_changes": 3}
    assert record["budget"]["gradient_steps"] == 3


@pytest.mark.parametrize("split", ["select", "test", "probe"])
def test_a_method_learns_from_train_starts_alone(split):
    def peek(base, handle, copy):
        with suppress(Exception):
            handle.task.starts(Split(split), np.arange(3))

    with pytest.raises(UsageError, match=f"the method asked for 3 {split} starts: it may learn from train starts alone"):
        tried(peek)
    made, _ = spec(own_engine)
    made.task.starts(Split(split), np.arange(3))


def test_what_is_spent_cannot_be_set_back():
    def forge(base, handle, copy):
        own_engine(base, handle, copy)
        with suppress(Exception):
            handle.used.env_steps = 0
        with suppress(Exception):
            handle.used = type(handle.used)()

    assert tried(forge).used.env_steps == 6


def test_trained_by_hand_and_not_a_word():
    with pytest.raises(UpdatesWrong, match="reported no update"):
        tried(lambda base, handle, copy: by_hand(copy))


def test_the_policy_that_a_method_is_given_stays_as_it_is():
    made, _ = spec(lambda base, handle, copy: None)
    kept = policies.clone(made.base.policy)

    def in_place(base, handle, copy):
        push(base, torch.optim.SGD(policies.actor_parameters(base), lr=1e-3))
        handle.update(base, 1, 1)

    try:
        with pytest.raises(RazorbenchError, match="changed the policy that it was given"):
            adapted(replace(made, method=own(in_place)), made.base.policy, made.handle(), np.random.default_rng(0))
    finally:
        made.base.policy.load_state_dict(kept.state_dict())


@pytest.mark.parametrize(
    ("elements", "finite"),
    [([[]], True), ([[1.0], [-2.0, 3.0]], True), ([[1.0], [1e30, -1e30]], True), ([[np.nan], [1.0]], False), ([[1.0], [0.0, -np.inf]], False)],
)
def test_what_is_finite(elements, finite):
    assert all_finite([torch.tensor(each) for each in elements]) == finite
    assert all_finite([])
