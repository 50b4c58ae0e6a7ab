"""Methods of our own, on a toy whose answers are known, and on the real world where it is about states."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import compose, task
from test_methods import BUDGET, FIT, NEW, adapted, answers, parameters, toy, toy_base

from razorbench.baselines.dagger import DAgger
from razorbench.baselines.mend import Mend
from razorbench.baselines.sft import SFT
from razorbench.baselines.sft_cf import SFTCF
from razorbench.baselines.sft_near import SFTNear
from razorbench.baselines.sft_recall import SFTRecall
from razorbench.baselines.sft_rehearse import SFTRehearse
from razorbench.errors import UsageError
from razorbench.method.data import Demonstrations
from razorbench.method.handle import TaskHandle
from razorbench.policy import network as policies

pytestmark = pytest.mark.usefixtures("few_states")


def test_counterfactual_states_and_instructions_are_those_asked_for():
    world = SimpleNamespace(instruction=slice(2, 6))
    task, *skills = (SimpleNamespace(name=name, slot=slot, world=world) for name, slot in (("new", 1), ("a", 0), ("b", 1), ("c", 3)))
    handle, rng = TaskHandle(task, BUDGET, "direct", tuple(skills)), np.random.default_rng(0)
    states = torch.cat([torch.arange(400.0).reshape(200, 2), torch.eye(4)[torch.full((200,), 1)]], dim=1)

    def asked(**settings):
        found = SFTCF(noise=0.0, **settings).elsewhere(None, handle, BUDGET, rng)(states)
        assert torch.equal(found[:, 2:].sum(1), torch.ones(200))
        return found[:, :2], set(found[:, 2:].argmax(1).tolist())

    same, slots = asked()
    assert torch.equal(same, states[:, :2]) and slots == {0, 3}
    assert asked(instructions=["c"])[1] == {3}
    assert asked(instructions=["new", "a"])[1] == {0, 1}
    shuffled, _ = asked(states="shuffled")
    assert torch.equal(shuffled.sort(0).values, states[:, :2]) and (shuffled[:, 1] - shuffled[:, 0] != 1).sum() > 150
    with pytest.raises(UsageError, match="instructions name push"):
        asked(instructions=["push"])
    with pytest.raises(UsageError, match="must be a list of names"):
        SFTCF(instructions="push")
    with pytest.raises(UsageError, match="must be demonstrations or shuffled"):
        SFTCF(states="old")


def test_rehearsal_plays_a_tenth_of_the_steps_under_old_instructions_and_keeps_these_answers():
    spec, _ = compose("task=pick_place", "method=lwf", "budget.env_steps=2000")
    handle, base, rng = spec.handle(), spec.base.policy, np.random.default_rng(0)
    states = SFTRehearse(share=0.1).elsewhere(base, handle, spec.budget, rng)(torch.zeros(500, 72))
    episodes = 200 // task("pick_place").horizon
    assert 0 < handle.used.env_steps <= episodes * task("pick_place").horizon <= 200
    slots = states[:, task("pick_place").world.instruction]
    assert torch.equal(slots.sum(1), torch.ones(500))
    mine = task("pick_place").slot
    assert mine not in set(slots.argmax(1).tolist()) <= {skill.slot for skill in spec.base.skills}
    with pytest.raises(UsageError, match=r"method\.share=0\.1 of budget\.env_steps=100 is less than one episode"):
        SFTRehearse(share=0.1).elsewhere(base, handle, SimpleNamespace(env_steps=100), rng)
    with pytest.raises(UsageError, match=r"method\.share is 0: it must be above 0"):
        SFTRehearse(share=0)


def test_what_is_played_elsewhere_is_what_the_base_does_when_it_is_asked():
    """Every kept action is likely under the base at the kept observation, instruction and all."""
    spec, _ = compose("task=pick_place", "method=lwf")
    handle, base = spec.handle(), spec.base.policy
    played = handle.rollouts(base, handle.fresh_starts(20, np.random.default_rng(0)), np.random.default_rng(1), elsewhere=True)
    with torch.no_grad():
        asked = policies.log_likelihood(base, played.observations, played.actions).mean()
        shuffled = policies.log_likelihood(base, handle.reinstructed(played.observations, np.random.default_rng(2)), played.actions).mean()
    assert asked > shuffled + 1
    for episode in range(20):
        assert len(played.observations[played.episode == episode][:, task("pick_place").world.instruction].unique(dim=0)) == 1


def test_recall_asks_in_the_new_tasks_scenes_with_goals_at_things_in_equal_shares():
    spec, _ = compose("task=pick_place", "method=lwf")
    handle, base, horizon = spec.handle(), spec.base.policy, task("pick_place").horizon
    starts, goals = handle.fresh_starts(12, np.random.default_rng(0)), SFTRecall().goals(handle)
    own, found = (handle.rollouts(base, starts, np.random.default_rng(1), elsewhere=True, goals=each) for each in (None, goals))
    before, after = (torch.stack([each.observations[each.episode == k][0] for k in range(12)]) for each in (own, found))
    columns = [k for k in range(60) if k not in (19, 20, 21)]
    assert torch.equal(before[:, columns], after[:, columns])
    to_goal, handle_at, button_at, lever_at = (after[:, at : at + 3] for at in (19, 23, 27, 30))
    for share, place in ((slice(6, 8), handle_at), (slice(8, 10), button_at), (slice(10, 12), lever_at)):
        assert torch.equal(to_goal[share], place[share])
    above = after[2:4, 7:10] + torch.tensor([0.0, 0.0, 0.12 / 0.15])
    assert torch.allclose(to_goal[2:4], above, atol=1e-5)
    assert handle.used.env_steps <= 2 * 12 * horizon


def test_the_nearest_demonstrations_are_those_that_the_base_would_have_done():
    """Of two ways to succeed, one is the base's own; a third of the episodes takes it."""
    base = toy_base()
    own = float(answers(base)[0])

    def two_ways(episodes, rng):
        mean = np.where(np.arange(episodes) % 3 == 0, own, own + 1.0)[:, None]
        actions = torch.from_numpy((mean + 0.02 * rng.normal(size=(episodes, 1))).astype(np.float32))
        return Demonstrations(NEW.repeat(episodes, 1), actions, np.arange(episodes), np.arange(episodes))

    def handle():
        made = toy()
        made.demonstrations = two_ways
        return made

    assert answers(adapted(SFTNear(**FIT, share=0.33), base, handle()))[0] == pytest.approx(own, abs=0.05)
    assert not torch.equal(parameters(adapted(SFTNear(**FIT, share=1.0), base, handle())), parameters(base))
    assert torch.equal(parameters(adapted(SFTNear(**FIT, share=1.0), base, handle())), parameters(adapted(SFT(**FIT), base, handle())))
    assert answers(adapted(SFTNear(**FIT, share=0.33, choose="farthest"), base, handle()))[0] == pytest.approx(own + 1, abs=0.05)
    assert own + 0.4 < answers(adapted(SFTNear(**FIT, share=0.33, choose="random"), base, handle()))[0] < own + 0.9
    with pytest.raises(UsageError, match=r"method\.choose is 'best': it must be nearest, farthest or random"):
        SFTNear(choose="best")
    with pytest.raises(UsageError, match=r"method\.share is 2"):
        SFTNear(share=2)


def test_mend_learns_from_failures_alone_and_leaves_alone_what_works():
    never = toy(wanted=50.0)
    assert answers(adapted(Mend(learning_rate=3e-3, epochs=20, weight=0.0), toy_base(), never))[0] == pytest.approx(0.5, abs=0.05)
    always = toy(reach=50.0)
    assert torch.equal(parameters(adapted(Mend(), toy_base(), always)), parameters(toy_base()))
    assert always.used.gradient_steps == 0
    assert always.used.expert_queries > 0


def test_mend_without_a_guard_that_always_fails_is_dagger():
    settings = {"learning_rate": 3e-3, "epochs": 4}
    ours, theirs = (answers(adapted(method(**settings), toy_base(), toy(wanted=50.0)))[0] for method in (lambda **s: Mend(weight=0.0, **s), DAgger))
    assert ours == pytest.approx(theirs, abs=0.02)


def test_the_guard_of_mend_keeps_the_old_answer():
    base = toy_base()
    held, free = (adapted(Mend(learning_rate=3e-3, epochs=4, weight=weight, noise=0.0), base, toy(wanted=50.0, log_std_trains=False)) for weight in (3.0, 0.0))
    assert abs(answers(held)[1] - answers(base)[1]) < 0.3 * abs(answers(free)[1] - answers(base)[1])
