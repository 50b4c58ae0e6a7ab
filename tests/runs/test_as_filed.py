"""What is measured is what the policy's file holds, from the first report on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TINY, compose
from gymnasium.spaces import Box
from spending import own
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from razorbench.errors import NotFinite, RazorbenchError, UnlikeItsFile
from razorbench.measures import probe_states
from razorbench.measures.drift import DriftRuler
from razorbench.policy import network as policies
from razorbench.runs.run import run
from razorbench.runs.sequence import SequenceSpec, run_sequence

pytestmark = pytest.mark.usefixtures("few_states")


def spec(made):
    """A run whose method reports twice what `made` makes of a copy of the base, and returns it."""

    def reports(base, task, copy):
        policy = made(copy)
        for update in (1, 2):
            task.update(policy, update, 2)
        return policy

    found, config = compose("task=pick_place", "method=frozen", *TINY)
    return replace(found, method=own(reports), method_name="reports"), config


def with_another_activation(policy):
    for name in ("policy_net", "value_net"):
        layers = getattr(policy.mlp_extractor, name)
        for place, layer in enumerate(layers):
            if isinstance(layer, nn.ReLU):
                layers[place] = nn.Tanh()
    return policy


def smaller(policy):
    return ActorCriticPolicy(policy.observation_space, policy.action_space, lambda _: 1e-3, net_arch=[32, 32])


def of_tokens(policy):
    return policies.build(policy.observation_space, policies.native_space("tokens", Box(-1, 1, (4,))), (256, 256, 256))


def that_knows_an_old_task_apart(policy):
    """One that does something else where the instruction is that of an old skill."""
    plain = policy.action_net.forward
    policy.mlp_extractor.forward_actor, latent = (lambda x: torch.cat([latent(x), x[:, -20:]], dim=1)), policy.mlp_extractor.forward_actor
    policy.action_net.forward = lambda x: plain(x[:, :-20]) + 0.5 * (x[:, -20:].argmax(1, keepdim=True) == 0)
    return policy


def not_finite(policy):
    with torch.no_grad():
        policy.log_std.fill_(np.nan)
    return policy


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (with_another_activation, "the policy acts otherwise than its own parameters do in the base's architecture, by up to"),
        (that_knows_an_old_task_apart, "the policy acts otherwise than its own parameters do in the base's architecture, by up to"),
        (smaller, r"the policy has action_net.weight of shape \(4, 32\), where \(4, 256\) is needed"),
        (of_tokens, r"the policy has action_net.bias of shape \(164,\), where \(4,\) is needed"),
    ],
)
def test_a_policy_that_its_file_cannot_say_ends_the_run_at_its_first_report(made, sentence, tmp_path):
    found, config = spec(made)
    with pytest.raises(UnlikeItsFile, match=sentence):
        run(found, tmp_path, config)
    assert not list(tmp_path.rglob("record.json"))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_policy_that_is_not_finite_is_none():
    base = compose("task=pick_place", "method=frozen")[0].base
    with pytest.raises(NotFinite, match="the policy's actions are not finite"):
        policies.as_filed(not_finite(policies.clone(base.policy)), base.policy, probe_states.some(base.probes))


def test_a_sequence_refuses_it_too(tmp_path):
    found, config = spec(with_another_activation)
    with pytest.raises(RazorbenchError, match="acts otherwise than its own parameters do"):
        run_sequence(SequenceSpec("two", (found, found)), tmp_path, config)


def test_what_was_measured_is_what_the_file_holds_to_the_last_bit(tmp_path):
    def moved(policy):
        """Weights that lie elsewhere in memory, so that sums may come out in another order than from a file."""
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in policies.actor_parameters(policy):
                parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
                if parameter.ndim == 2:
                    parameter.data = parameter.data.t().contiguous().t()
        return policy

    found, config = spec(moved)
    done = run(found, tmp_path, config)
    ruler = probe_states.Ruler(found.base.policy, found.base.probes_with(found.task), found.task, found.base.skills)
    with policies.one_thread():
        drift = DriftRuler(found.base.policy, found.base.probes_with(found.task), found.task, found.base.skills)
    for file, told in (("policy", done.record), ("checkpoints/1", done.curve[1]), ("checkpoints/2", done.curve[2])):
        filed = policies.load(done.path / f"{file}.safetensors", found.base.policy)
        with policies.one_thread():
            measured, drifted = ruler.measure(filed), drift.measure(filed)
        assert all(told.divergence[name][where] == number for name, numbers in measured.items() for where, number in numbers.items())
        assert told.drift == drifted
