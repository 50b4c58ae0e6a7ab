"""Scores of policies of users, and bases that come from a zip of Stable-Baselines3."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_METHOD, compose, razorbench, task
from scipy.special import ndtr
from stable_baselines3 import PPO, SAC

from razorbench.bases.scoring import divergences, score
from razorbench.measures.probe_states import Ruler
from razorbench.policy import network
from razorbench.world.gym_envs import TaskVecEnv

POLICIES = """
import numpy as np

class Still:
    def act(self, observations, noise):
        return np.zeros((len(observations), 4))

class Short(Still):
    def act(self, observations, noise):
        return np.zeros((len(observations), 4))[1:]

class Lost(Still):
    def act(self, observations, noise):
        return np.full((len(observations), 4), np.nan)

class Broken(Still):
    def act(self, observations, noise):
        raise ValueError("no such joint")

class Other:
    pass
"""


@dataclass(frozen=True)
class ByHand:
    """A policy of a user: another's, but for its distribution."""

    policy: object

    def act(self, observations, noise):
        found = network.distribution(self.policy, observations)
        return found.mode() if noise is None else found.sample(ndtr(noise))


@pytest.fixture(scope="module")
def moved(base):
    """The base, a little elsewhere."""
    policy = network.clone(base.policy).eval()
    with torch.no_grad():
        policy.action_net.bias.add_(0.05)
        policy.log_std.add_(0.1)
    return policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory, base):
    """Policies as files: the base's weights as PPO's, one whose spread leaves the range, and an untrained SAC."""
    folder = tmp_path_factory.mktemp("policies")
    (folder / "scored_policies.py").write_text(POLICIES)
    env = TaskVecEnv(task("pick_place"), 1)
    arch = {"pi": base.policy.net_arch["pi"], "vf": base.policy.net_arch["vf"]}
    model = PPO("MlpPolicy", env, policy_kwargs={"net_arch": arch, "activation_fn": torch.nn.ReLU}, device="cpu")
    model.policy.load_state_dict(base.policy.state_dict())
    model.save(folder / "theirs")
    with torch.no_grad():
        model.policy.log_std.fill_(-5.0)
    model.save(folder / "narrow")
    SAC("MlpPolicy", env, policy_kwargs={"net_arch": [8]}, device="cpu", buffer_size=10).save(folder / "sac")
    return folder


def test_the_base_itself_has_lost_nothing(base):
    found = score(base.policy, "itself", base, task("pick_place"), episodes=4)
    assert (found.retention.value, found.forgetting.value) == (1.0, 0.0)
    assert {value for values in found.divergence.values() for value in values.values()} == {0.0}
    assert found.estimator == "closed form, diagonal Gaussian"


def test_divergences_are_those_of_a_run(base, moved):
    new = task("stack")
    probes = base.probes_with(new)
    estimator, found = divergences(moved, base, probes, new)
    wanted = Ruler(base.policy, probes, new, base.skills).measure(moved)
    assert estimator is not None
    assert found == {name: {key: pytest.approx(wanted[name][key], rel=1e-12) for key in ("new", "original")} for name in found}
    assert min(found["kl_forward"].values()) > 0.01


def test_a_policy_with_act_alone_is_played_alike_and_has_no_kl(base, moved):
    by_file, by_hand = (score(policy, "p", base, task("pick_can"), episodes=4) for policy in (moved, ByHand(moved)))
    assert by_hand.plain() == by_file.plain() | {"estimator": None, "divergence": {name: by_file.divergence[name] for name in ("action_mse", "moved")}}


def test_a_policy_that_does_nothing(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    code, out, err = razorbench(capsys, "score", "task=pick_place", "policy=scored_policies.Still", "--episodes", "3", "--out", "still.json")
    assert (code, err) == (0, "")
    assert "forward KL, nats per decision undefined: policy and base have no distributions of one kind" in out
    held = json.loads((folder / "still.json").read_text())
    assert (held["base"], held["world"], held["estimator"], held["new_task"]["final"]["greedy"]["rate"]) == ("mlp-s0", "workcell-2", None, 0.0)


def test_a_zip_is_a_base_like_the_weights_in_it(folder, base, monkeypatch, tmp_path, capsys):
    """To the last bit, but for its name."""
    monkeypatch.chdir(tmp_path)
    run = ["task=pick_can", "method=sft", *TINY, *TINY_METHOD["sft"]]
    for results, chosen in (("ours", "base=mlp"), ("zipped", f"base={folder / 'theirs.zip'}")):
        code, _, err = razorbench(capsys, *run, chosen, f"results={results}")
        assert (code, err) == (0, "")
    ours, zipped = (json.loads(next((tmp_path / name).rglob("record.json")).read_text()) for name in ("ours", "zipped"))
    assert (ours["base"], zipped["base"], zipped["hashes"]["probe"]) == ("mlp-s0", "theirs-s0", None)
    assert zipped["new_task"] == ours["new_task"]
    assert zipped["original"] == ours["original"]
    assert zipped["drift"]["weights"]["l2"] == ours["drift"]["weights"]["l2"]
    assert str(folder) not in json.dumps(zipped)


def test_sac_is_scored_against_any_base(folder, base):
    spec, _ = compose("task=pick_place", "method=frozen")
    from razorbench.registry.building import policy

    actor = policy(str(folder / "sac.zip"), spec.base, spec.task)
    found = score(actor, "sac.zip", base, spec.task, episodes=2)
    assert found.estimator is None
    assert found.divergence["moved"]["original"] > 0.5
    states = base.probes["reach"].states[:3]
    np.testing.assert_allclose(actor.distribution(states).kl(actor.distribution(states)), 0.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["policy=scored_policies.Short"], "Short.act gives shape"),
        (["policy=scored_policies.Lost"], "Lost.act gives NaN or infinite values"),
        (["policy=scored_policies.Broken"], "Broken.act fails on observations of shape (38, 72): ValueError: no such joint"),
        (["policy=scored_policies.Other"], "Other is no policy: it needs `act(self, observations, noise)`"),
        (["policy=scored_policies.Nobody"], "policy=scored_policies.Nobody cannot be imported"),
        (["policy=weights.pt"], "policy=weights.pt cannot be imported"),
        (["policy=scored_policies"], "policy=scored_policies: give a .safetensors or .zip file, or module.name"),
        (["policy=none.zip"], "policy none.zip does not exist"),
        (["policy=none.safetensors"], "policy none.safetensors does not exist"),
        (["policy=a.B", "policy=c.D"], "policy= is given 2 times"),
        (["base=sac.zip"], "SAC has no policy that the methods here can adapt: score it"),
        (["base=narrow.zip"], "leaves the range from -3.0 to 1.0"),
        (["base=none.zip"], "none.zip does not exist"),
        (["base='a b.zip'"], "the base is named as the file: rename it"),
        (["--episodes", "0"], "--episodes 0: it must lie between 1 and 100"),
        (["method=sft", "~task", "sequence=core6"], "a policy is scored on one task"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use(folder, words, said, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    code, out, err = razorbench(capsys, "score", "task=pick_place", "--episodes=2", *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert said in err
