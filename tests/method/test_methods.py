"""Each method's loss by hand and on a toy of two states whose best policy is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import METHODS, TINY, TINY_METHOD, compose
from gymnasium.spaces import Box
from toy import BUDGET, FIT, NEW, OLD, adapted, answers, parameters, toy, toy_base

from razorbench.baselines.dagger import DAgger
from razorbench.baselines.ewc import EWC
from razorbench.baselines.grpo import GRPO
from razorbench.baselines.joint import Joint
from razorbench.baselines.l2_init import L2Init
from razorbench.baselines.lora import LoRA, low_rank, merge
from razorbench.baselines.lwf import LwF
from razorbench.baselines.ppo_kl import PPOKL
from razorbench.baselines.reinforce import Reinforce
from razorbench.baselines.replay import Replay
from razorbench.baselines.self_distill import SelfDistill
from razorbench.baselines.sft import SFT
from razorbench.baselines.sft_cf import SFTCF
from razorbench.baselines.sft_kl import SFTKL
from razorbench.baselines.sft_oracle import SFTOracle
from razorbench.baselines.sft_recall import SFTRecall
from razorbench.baselines.sft_rehearse import SFTRehearse
from razorbench.baselines.sft_rl import SFTRL
from razorbench.baselines.simpo import SimPO, mean_likelihoods, simpo_loss
from razorbench.baselines.weight_merge import WeightMerge
from razorbench.errors import UsageError
from razorbench.method import Minibatches, TaskHandle, fisher_diagonal
from razorbench.policy import network as policies


@pytest.mark.parametrize("head", ["gaussian", "tokens"])
def test_sft_finds_the_mean_of_the_demonstrations(head):
    tuned = adapted(SFT(**FIT), toy_base(head))
    assert answers(tuned)[0] == pytest.approx(0.5, abs=0.03)
    if head == "gaussian":
        assert float(tuned.log_std.detach()) == pytest.approx(math.log(0.1), abs=0.15)


def test_kl_is_that_of_the_closed_forms_and_differentiable():
    states = torch.cat([NEW, OLD])
    for head in ("gaussian", "tokens"):
        p, q = toy_base(head), adapted(SFT(**{**FIT, "epochs": 5}), toy_base(head))
        ours = policies.kl(p, q, states)
        theirs = policies.distribution(p, states.numpy()).kl(policies.distribution(q, states.numpy()))
        assert np.allclose(ours.detach().numpy(), theirs, atol=1e-5)
        assert (ours > 1e-4).all()
        ours.sum().backward()
        assert all(parameter.grad is not None for parameter in policies.actor_parameters(q))


def test_tokens_are_the_nearest_bins():
    actions = torch.tensor([[-1.0, 0.0, 0.024], [0.026, 1.0, 7.0]])
    assert policies.nearest_bins(actions).tolist() == [[0, 20, 20], [21, 40, 40]]
    assert policies.bin_centres(np.array([[0, 20, 40]])).tolist() == [[-1.0, 0.0, 1.0]]
    base = toy_base("tokens")
    every = torch.from_numpy(policies.bin_centres(np.arange(policies.BINS)))[:, None]
    total = float(policies.log_likelihood(base, NEW.repeat(policies.BINS, 1), every).detach().exp().sum())
    assert total == pytest.approx(1.0, abs=1e-5)


def test_sft_kl_balances_demonstrations_and_base():
    """With log-std frozen at s in both, -log pi + beta KL(pi_0 || pi) is least at (a + beta mu_0) / (1 + beta)."""
    base = toy_base()
    handle = toy(log_std_trains=False)
    demos = handle.demonstrations(BUDGET.demo_episodes, np.random.default_rng(0)).actions.mean()
    tuned = adapted(SFTKL(**FIT, kl_coef=3.0), base, toy(log_std_trains=False))
    assert answers(tuned)[0] == pytest.approx((float(demos) + 3 * answers(base)[0]) / 4, abs=0.01)
    assert torch.equal(tuned.log_std, base.log_std)


@pytest.mark.parametrize("method", [LwF(**FIT, weight=3.0), SFTCF(**FIT, weight=3.0, noise=0.05), SFTRehearse(**FIT, weight=3.0), SFTRecall(**FIT, weight=3.0)])
def test_guards_on_other_instructions_keep_them_and_learn_the_new(method):
    base = toy_base()
    guarded, plain = adapted(method, base, toy(log_std_trains=False)), adapted(SFT(**FIT), base, toy(log_std_trains=False))
    assert abs(answers(guarded)[1] - answers(base)[1]) < 0.02 < abs(answers(plain)[1] - answers(base)[1])
    assert answers(guarded)[0] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("method", [Replay(**FIT, old_share=0.5), Joint(**FIT)])
def test_old_demonstrations_are_learned_beside_the_new(method):
    assert answers(adapted(method, toy_base())) == pytest.approx([0.5, -0.4], abs=0.05)


def test_l2_init_is_sft_without_strength_and_the_base_with_too_much():
    base = toy_base()
    assert torch.equal(parameters(adapted(L2Init(**FIT, strength=0.0), base)), parameters(adapted(SFT(**FIT), base)))
    assert (parameters(adapted(L2Init(**FIT, strength=1e6), base)) - parameters(base)).abs().max() < 0.02


def test_ewc_without_strength_is_sft_to_the_last_bit_and_with_it_spares_what_the_old_state_needs():
    base = toy_base()
    assert torch.equal(parameters(adapted(EWC(**FIT, strength=0.0), base)), parameters(adapted(SFT(**FIT), base)))
    held, free = adapted(EWC(**FIT, strength=30.0), base, toy(log_std_trains=False)), adapted(SFT(**FIT), base, toy(log_std_trains=False))
    assert abs(answers(held)[1] - answers(base)[1]) < 0.5 * abs(answers(free)[1] - answers(base)[1])


def test_fisher_of_a_bias_is_the_inverse_variance():
    """d log pi / d mu = (a - mu) / s^2, and its mean square under pi is 1 / s^2."""
    base = toy_base()
    fisher = fisher_diagonal(base, NEW.repeat(4000, 1), np.random.default_rng(0))
    names = [name for name, _ in base.named_parameters() if not name.startswith(("mlp_extractor.value_net", "value_net"))]
    assert float(fisher[names.index("action_net.bias")]) == pytest.approx(math.exp(-2 * float(base.log_std.detach())), rel=0.08)


def test_lora_of_full_rank_takes_sfts_first_gradient_and_low_rank_stays_low():
    base = policies.build(Box(-5, 5, (6,)), Box(-1, 1, (3,)), (8,))
    rng = np.random.default_rng(0)
    observations, actions = (torch.from_numpy(rng.normal(size=(20, k)).astype(np.float32)) for k in (6, 3))
    full, plain = low_rank(base, 100, rng), policies.clone(base)
    for policy in (full, plain):
        (-policies.log_likelihood(policy, observations, actions).mean()).backward()
    for layer, other in ((full.mlp_extractor.policy_net[0], plain.mlp_extractor.policy_net[0]),):
        change = layer.parametrizations.weight[0]
        assert torch.allclose(change.b.grad @ change.a, other.weight.grad, atol=1e-5)
    merged = policies.clone(base)
    merge(full, merged)
    assert torch.equal(parameters(merged), parameters(base))
    toy_tuned, toy_before = adapted(LoRA(**FIT, rank=1), toy_base()), toy_base()
    change = toy_tuned.mlp_extractor.policy_net[0].weight - toy_before.mlp_extractor.policy_net[0].weight
    assert torch.linalg.matrix_rank(change.detach(), rtol=1e-3) == 1
    assert torch.equal(toy_tuned.action_net.bias, toy_before.action_net.bias)
    assert answers(toy_tuned)[0] == pytest.approx(0.5, abs=0.05)


def test_weight_merge_ends_at_the_base_halfway_and_at_sft():
    base = toy_base()
    sft = parameters(adapted(SFT(**FIT), base))
    for alpha in (0.0, 0.5, 1.0):
        merged = parameters(adapted(WeightMerge(**FIT, alpha=alpha), base))
        assert torch.allclose(merged, (1 - alpha) * parameters(base) + alpha * sft, atol=1e-6)
    assert torch.equal(parameters(adapted(WeightMerge(**FIT, alpha=1.0), base)), sft)


def test_simpo_by_hand():
    better, worse = torch.tensor([-1.0, 0.0]), torch.tensor([-3.0, 0.0])
    assert simpo_loss(better, worse, beta=1.0, margin=1.0).tolist() == pytest.approx([math.log(1 + math.exp(-1)), math.log(1 + math.e)])
    base = toy_base()
    observations, actions = NEW.repeat(3, 1), torch.tensor([[0.0], [0.2], [0.4]])
    each = policies.log_likelihood(base, observations, actions).detach()
    means = mean_likelihoods(base, observations, actions, [np.array([0, 2]), np.array([1])])
    assert means.tolist() == pytest.approx([float(each[0] + each[2]) / 2, float(each[1])])


def test_simpo_prefers_demonstrations_to_failures():
    base = toy_base()
    handle = toy(other_policy=toy_base)
    tuned = adapted(SimPO(**{**FIT, "epochs": 3}), base, handle)
    good, bad = torch.tensor([[0.5]]), torch.tensor([[-0.5]])

    def gap(policy):
        return float((policies.log_likelihood(policy, NEW, good) - policies.log_likelihood(policy, NEW, bad)).detach())

    assert gap(tuned) > gap(base) + 1
    assert handle.used.env_steps > 0
    with pytest.raises(UsageError, match="third policy"):
        adapted(SimPO(), base)


def test_grpo_compares_within_a_group():
    success = np.array([[True, False, False, False], [True, True, True, True], [False, False, True, True]])
    advantages = GRPO().advantages(success)
    assert advantages.tolist() == [[0.75, -0.25, -0.25, -0.25], [0, 0, 0, 0], [-0.5, -0.5, 0.5, 0.5]]
    assert advantages.sum(axis=1) == pytest.approx(0)


def test_reinforce_ignores_failures():
    assert Reinforce().advantages(np.array([[True], [False]])).tolist() == [[1.0], [0.0]]
    base, handle = toy_base(), toy(wanted=50.0)
    assert torch.equal(parameters(adapted(Reinforce(iterations=3), base, handle)), parameters(base))
    assert handle.used.gradient_steps == 0


@pytest.mark.parametrize("head", ["gaussian", "tokens"])
@pytest.mark.parametrize("method", [GRPO, Reinforce])
def test_policy_gradients_find_what_is_rewarded(method, head):
    base, handle = toy_base(head), toy()
    tuned = adapted(method(learning_rate=3e-3, batch_size=128), base, handle)
    assert answers(tuned)[0] == pytest.approx(0.3, abs=0.12)
    before, after = (handle.rollouts(policy, np.arange(500), np.random.default_rng(1), upstream=True).success.mean() for policy in (base, tuned))
    assert after > 0.8 > before + 0.2
    assert 0.9 * BUDGET.env_steps < handle.used.env_steps <= BUDGET.env_steps


def test_first_policy_gradient_step_is_the_plain_gradient():
    """At theta_old the step goes up the gradient of E[A log pi], the mean over all decisions, those of no advantage too."""
    policy = toy_base()
    actions, advantage = torch.tensor([[0.1], [0.4], [-0.2], [0.3]]), torch.tensor([0.5, -0.5, 1.0, 0.0])
    states, wrt = NEW.repeat(4, 1), policies.actor_parameters(policy)
    gradient = torch.autograd.grad((advantage * policies.log_likelihood(policy, states, actions)).mean(), wrt)
    before = parameters(policy)
    method = Reinforce(n_epochs=1, batch_size=4, max_grad_norm=1e9)
    method._ascend(policy, torch.optim.SGD(wrt, lr=1e-3), states, actions, advantage, np.random.default_rng(0))
    moved = (parameters(policy) - before) / 1e-3
    assert moved.abs().max() > 1
    assert torch.allclose(moved, torch.cat([each.flatten() for each in gradient]), rtol=1e-2, atol=1e-2)


def test_later_policy_gradient_steps_stop_where_the_ratio_is_clipped():
    """Steps go on while pi / pi_old is inside 1 +- eps for what is to become likelier or rarer, and no further than one step beyond."""
    for advantage, bound in ((1.0, 1.2), (-1.0, 0.8)):
        policy, old = toy_base(), toy_base()
        method, steps = Reinforce(n_epochs=200, batch_size=1, max_grad_norm=1e9), torch.optim.SGD(policies.actor_parameters(policy), lr=1e-4)
        action = torch.tensor([[0.4]])
        method._ascend(policy, steps, NEW, action, torch.tensor([advantage]), np.random.default_rng(0))
        ratio = float((policies.log_likelihood(policy, NEW, action) - policies.log_likelihood(old, NEW, action)).detach().exp())
        assert ratio == pytest.approx(bound, abs=0.02)
        assert (ratio - bound) * advantage > 0


def test_dagger_learns_the_experts_answers_and_asks_no_more_than_it_may():
    handle = toy()
    tuned = adapted(DAgger(learning_rate=3e-3, epochs=20), toy_base(), handle)
    assert answers(tuned)[0] == pytest.approx(0.5, abs=0.05)
    assert 0.9 * BUDGET.expert_queries < handle.used.expert_queries <= BUDGET.expert_queries


def test_self_distill_reaches_its_teacher_where_it_goes():
    handle = toy()
    tuned = adapted(SelfDistill(**FIT), toy_base(), handle)
    assert answers(tuned)[0] == pytest.approx(0.5, abs=0.05)
    assert handle.used.gradient_steps <= BUDGET.gradient_steps


def test_sft_oracle_fits_the_bases_own_successes_and_measures_the_gap():
    """P(success) of a one-decision task is known, so KL(q* || pi_0) = -log P has to come out."""
    base, handle = toy_base(), toy()
    probability = handle.rollouts(base, np.arange(20_000), np.random.default_rng(1), upstream=True).success.mean()
    handle = toy()
    tuned = adapted(SFTOracle(**FIT), base, handle)
    gap = handle.notes["projection_gap"]
    assert handle.notes["coverage"] == 1.0
    assert handle.notes["uncovered_starts"] == []
    assert gap["kl_to_base"] == pytest.approx(-math.log(probability), abs=0.25)
    assert 0 <= gap["kl_to_policy"] < gap["kl_to_base"]
    assert gap["success"] > probability + 0.2
    assert abs(answers(tuned)[0] - 0.3) < 0.12
    assert handle.used.env_steps == 0
    assert handle.counts.upstream.env_steps > 0


def test_sft_oracle_names_the_starts_that_it_could_not_cover():
    handle = toy(reach=0.004)
    adapted(SFTOracle(**FIT, tries=3), toy_base(), handle)
    uncovered = handle.notes["uncovered_starts"]
    assert len(uncovered) == round(200 * (1 - handle.notes["coverage"])) > 100
    with pytest.raises(UsageError, match="solves none of 200 starts"):
        adapted(SFTOracle(tries=1), toy_base(), toy(wanted=50.0))


def test_sft_rl_fits_the_successes_of_the_policy_it_builds_on():
    base = toy_base()
    upstream = adapted(SFT(**FIT), base, toy(demo_mean=0.3))
    handle = toy(upstream=upstream)
    tuned = adapted(SFTRL(**FIT, upstream=SFT()), base, handle)
    assert answers(tuned)[0] == pytest.approx(0.3, abs=0.05)
    assert handle.used.demo_episodes == 200
    assert handle.counts.upstream.env_steps == 200


def test_a_method_without_leave_gets_no_old_data():
    spec, _ = compose("task=pick_place", "method=sft")
    with pytest.raises(UsageError, match="old_task_data"):
        spec.handle().old_demonstrations(8, np.random.default_rng(0))


def test_ppo_kl_with_a_huge_coefficient_stays_at_the_base():
    overrides = ["task=pick_place", "budget.env_steps=3200", "method.num_envs=16", "method.n_steps=20", "method.batch_size=160"]
    spec, _ = compose("method=ppo", *overrides)
    states = torch.from_numpy(spec.base.probes["pick_place"].states)
    moved = {}
    for name, coefficient in (("ppo", None), ("held", 1e6)):
        method = spec.method if coefficient is None else PPOKL(**vars(spec.method), kl_coef=coefficient)
        handle = replace(spec, method=method).handle(threads=1)
        torch.manual_seed(0)
        with policies.one_thread(), handle.counting():
            tuned = method.adapt(spec.base.policy, handle, spec.budget, np.random.default_rng(0))
        moved[name] = float(policies.kl(spec.base.policy, tuned, states).detach().mean())
    assert moved["held"] < 0.1 * moved["ppo"]


def test_minibatches_pass_over_everything_once_before_again():
    batches = Minibatches(10, 3, np.random.default_rng(0))
    first = torch.cat([next(batches) for _ in range(3)])
    assert len(set(first.tolist())) == 9
    assert sorted(next(Minibatches(2, 64, np.random.default_rng(0))).tolist()) == [0, 1]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_declares_its_family_and_no_old_data_that_it_does_not_ask_for(name, monkeypatch):
    spec, _ = compose("task=pick_place", f"method={name}", *TINY, *TINY_METHOD[name])
    assert spec.method.family.strip()
    if not spec.method.old_task_data:
        return  # The handle refuses old data to such a method, as above.
    asked, give = [], TaskHandle.old_demonstrations
    monkeypatch.setattr(TaskHandle, "old_demonstrations", lambda self, episodes, rng: asked.append(episodes) or give(self, episodes, rng))
    handle = spec.handle(threads=1)
    with policies.one_thread(), handle.counting():
        spec.method.adapt(spec.base.policy, handle, spec.budget, np.random.default_rng(0))
    assert sum(asked) > 0, f"{name} declares old_task_data = True and asks for none: delete the line"
