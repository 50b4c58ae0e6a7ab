"""Budgets that cannot be passed by: whoever makes the environment or the optimiser, it is counted, or the record says that something was not."""

import threading
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import task
from spending import by_hand, drive, loss, own, own_engine, push, spec, tried

from razorbench.errors import BudgetExceeded, RazorbenchError, UpdatesWrong, UsageError
from razorbench.method.demonstrations import successes
from razorbench.policy import network as policies
from razorbench.policy.network import all_finite
from razorbench.runs.adapting import adapted
from razorbench.task import Split
from razorbench.world.gym_envs import TaskVecEnv
from razorbench.world.rollout import Cell, play_policy
from razorbench.world.stepper import Stepper

pytestmark = pytest.mark.usefixtures("few_states")


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


@pytest.mark.parametrize("split", ["select", "test", "probe"])
def test_a_method_learns_from_train_starts_alone(split):
    def peek(base, handle, copy):
        with suppress(Exception):
            handle.task.starts(Split(split), np.arange(3))

    with pytest.raises(UsageError, match=f"the method requested 3 {split} starts: it may use train starts only"):
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
