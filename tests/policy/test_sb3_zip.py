"""Zips of Stable-Baselines3: read as their own library reads them, and never as code."""

import io
import json
import os
import pickle
import struct
import zipfile

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from stable_baselines3 import A2C, PPO, SAC, TD3

from razorbench.errors import FileDamaged
from razorbench.policy import network, sb3_zip

OBSERVATIONS, ACTIONS = Box(-5.0, 5.0, (6,), np.float32), Box(-1.0, 1.0, (3,), np.float32)
DEEP = {"net_arch": {"pi": [32, 16], "vf": [8]}, "activation_fn": torch.nn.ELU}
STATES = np.random.default_rng(0).normal(size=(10_000, 6)).astype(np.float32)


class Room(gymnasium.Env):
    """Spaces alone."""

    def __init__(self, actions=ACTIONS, observations=OBSERVATIONS):
        self.action_space, self.observation_space = actions, observations

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(self.observation_space.shape, np.float32), {}

    def step(self, action):
        return self.reset()[0], 0.0, True, False, {}


def saved(folder, algorithm=PPO, env=None, **settings):
    model = algorithm("MlpPolicy", Room() if env is None else env, device="cpu", seed=0, **settings)
    model.save(folder / "policy")
    return model, folder / "policy.zip"


def read(path):
    return sb3_zip.load(path, OBSERVATIONS, ACTIONS)


def rezipped(path, changes):
    """The zip with other members, whose checksums are right."""
    with zipfile.ZipFile(path) as archive:
        members = {each.filename: archive.read(each) for each in archive.infolist()} | changes
    other = path.with_name("other.zip")
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return other


def member(path, name):
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


@pytest.mark.parametrize("box", [ACTIONS, Box(np.array([-2.0, 0.0, -1.0], np.float32), np.array([2.0, 3.0, 7.0], np.float32))], ids=["unit", "other"])
@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [(PPO, {}), (PPO, {"policy_kwargs": DEEP}), (A2C, {}), (SAC, {}), (SAC, {"policy_kwargs": {"net_arch": [32, 32]}})],
    ids=["ppo", "ppo-deep", "a2c", "sac", "sac-small"],
)
def test_it_acts_as_its_own_library_says(tmp_path, algorithm, settings, box):
    model, path = saved(tmp_path, algorithm, Room(box), **settings)
    policy = read(path)
    found = policy.distribution(STATES) if algorithm is SAC else network.distribution(policy, STATES)
    acted = box.low + (np.clip(found.mode(), -1, 1) + 1) * (box.high - box.low) / 2
    assert np.abs(acted - model.predict(STATES, deterministic=True)[0]).max() < 2e-6
    assert np.abs(acted).max() > 0.01


def test_its_spread_is_scaled_with_its_box(tmp_path):
    _, path = saved(tmp_path, PPO, Room(Box(-4.0, 4.0, (3,), np.float32)), policy_kwargs={"log_std_init": -0.5})
    np.testing.assert_allclose(network.distribution(read(path), STATES[:2]).log_std, -0.5 - np.log(4), rtol=1e-6)


def test_tokens_are_read_too(tmp_path):
    model, path = saved(tmp_path, PPO, Room(MultiDiscrete([network.BINS] * 3)))
    bins = model.predict(STATES, deterministic=True)[0]
    np.testing.assert_array_equal(network.distribution(read(path), STATES).mode(), network.bin_centres(bins))


def test_a_critic_of_its_own_is_kept(tmp_path):
    model, path = saved(tmp_path, PPO, policy_kwargs=DEEP)
    states = torch.from_numpy(STATES[:5])
    torch.testing.assert_close(read(path).predict_values(states), model.policy.predict_values(states))
    torch.testing.assert_close(network.clone(read(path)).predict_values(states), model.policy.predict_values(states))


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_pickle_is_ever_executed(tmp_path):
    """In the tensors it is refused; in `data` it is passed over."""
    _, path = saved(tmp_path)
    bomb = tmp_path / "executed"
    weights = io.BytesIO()
    torch.save({"log_std": _Bomb(str(bomb))}, weights)
    with pytest.raises(FileDamaged, match="cannot be read as a zip that Stable-Baselines3 saved"):
        read(rezipped(path, {"policy.pth": weights.getvalue()}))
    for plain in (pickle.dumps(_Bomb(str(bomb))), b"\x80\x02" + pickle.dumps(_Bomb(str(bomb)))):
        with pytest.raises(FileDamaged):
            read(rezipped(path, {"policy.pth": plain}))
    facts = json.loads(member(path, "data"))
    facts["policy_class"][":serialized:"] = "gASVJwAAAAAAAACMBXBvc2l4lIwFbWtkaXKUk5SMCGV4ZWN1dGVklIWUUpQu"
    assert read(rezipped(path, {"data": json.dumps(facts)})) is not None
    assert not bomb.exists()


def test_a_member_with_a_path_is_written_nowhere(tmp_path):
    _, path = saved(tmp_path)
    before = sorted(tmp_path.parent.rglob("*"))
    other = rezipped(path, {"../../outside": b"x", "/outside": b"x"})
    assert read(other) is not None
    assert sorted(each for each in tmp_path.parent.rglob("*") if each != other) == before


def _facts(path, **changes):
    return {"data": json.dumps(json.loads(member(path, "data")) | changes)}


def _tensors(path, **changes):
    held = torch.load(io.BytesIO(member(path, "policy.pth")), weights_only=True)
    torch.save({**held, **changes}, content := io.BytesIO())
    return {"policy.pth": content.getvalue()}


def _displaced(path):
    """The zip with a table of contents that points behind its end."""
    content = bytearray(path.read_bytes())
    end = content.rindex(b"PK\x05\x06")
    place = int.from_bytes(content[end + 16 : end + 20], "little")
    content[place + 42 : place + 46] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    return path


def _on_two_disks(path):
    """Tensors in a zip that claims to be the second part of two."""
    content = bytearray(member(path, "policy.pth"))
    end = content.rindex(b"PK\x05\x06")
    content[end - 20 : end] = struct.pack("<4sLQL", b"PK\x06\x07", 1, 0, 2)
    return {"policy.pth": bytes(content)}


WRONG = {
    "a member behind the end": (_displaced, "data: "),
    "no zip": (lambda path: path.write_bytes(b"weights") and path, "cannot be read as a zip"),
    "no policy in it": (lambda path: rezipped(path, {"policy.pth": b""}), "File is not a zip file"),
    "a zip of two parts": (lambda path: rezipped(path, _on_two_disks(path)), "policy.pth: BadZipFile"),
    "no mapping": (lambda path: rezipped(path, {"data": "[]"}), "its data are no JSON mapping"),
    "no JSON": (lambda path: rezipped(path, {"data": "{"}), "cannot be read as a zip"),
    "a bomb of zeros": (lambda path: rezipped(path, {"data": b" " * 40_000_000}), "data has more than 32000000 bytes"),
    "state-dependent exploration": (lambda path: rezipped(path, _facts(path, use_sde=True)), "uses state-dependent exploration"),
    "an unknown activation": (
        lambda path: rezipped(path, _facts(path, policy_kwargs={"activation_fn": "<class 'mine.Sine'>"})),
        "activation <class 'mine.Sine'>",
    ),
    "an unbounded box": (lambda path: rezipped(path, _facts(path, action_space={"low": "[-inf -inf -inf]", "high": "[1. 1. 1.]"})), "it must be bounded"),
    "no box": (lambda path: rezipped(path, _facts(path, action_space=None)), "has an action box from None to None"),
    "NaN": (lambda path: rezipped(path, _tensors(path, log_std=torch.full((3,), torch.nan))), "holds NaN or infinite parameters"),
    "a picture's layers": (lambda path: rezipped(path, _tensors(path, **{"features_extractor.cnn.0.weight": torch.zeros(1)})), "only MLP policies"),
    "other things": (lambda path: rezipped(path, _tensors(path, log_std=3)), "other things than float32 tensors"),
    "other numbers": (lambda path: rezipped(path, _tensors(path, log_std=torch.zeros(3, dtype=torch.float64))), "other things than float32 tensors"),
    "a huge layer": (lambda path: rezipped(path, _tensors(path, **{"mlp_extractor.policy_net.0.weight": torch.zeros(5000, 6)})), "1 to 4096 units"),
    "a missing file": (lambda path: path.with_name("none.zip"), "does not exist"),
}


@pytest.mark.parametrize("name", WRONG)
def test_anything_else_is_one_sentence(tmp_path, name):
    _, path = saved(tmp_path)
    change, said = WRONG[name]
    with pytest.raises(FileDamaged) as raised:
        read(change(path))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("algorithm", "env", "said"),
    [
        (TD3, Room(), "holds actor, actor_target, critic, critic_target: only MLP policies of PPO, A2C and SAC"),
        (PPO, Room(Discrete(4)), "discrete actions: only MultiDiscrete with 41 bins"),
        (PPO, Room(MultiDiscrete([5, 5, 5])), "discrete actions: only MultiDiscrete with 41 bins"),
        (PPO, Room(observations=Box(-1, 1, (7,), np.float32)), "this world needs"),
        (SAC, Room(Box(-1, 1, (2,), np.float32)), "this world needs"),
    ],
    ids=["td3", "discrete", "few bins", "other observations", "other actions"],
)
def test_other_policies_are_refused(tmp_path, algorithm, env, said):
    _, path = saved(tmp_path, algorithm, env)
    with pytest.raises(FileDamaged, match="policy ") as raised:
        read(path)
    assert said in str(raised.value)


def test_a_thousand_mutated_zips_are_refused_or_read(tmp_path):
    """Half are hit anywhere, half inside a member whose checksum then is right again."""
    _, path = saved(tmp_path, policy_kwargs={"net_arch": [4]})
    rng, whole = np.random.default_rng(1), path.read_bytes()
    inside = {name: member(path, name) for name in ("data", "policy.pth")}
    refused = 0
    for number in range(1000):
        name = ("data", "policy.pth")[number % 4 // 2]
        content = bytearray(whole if number % 2 else inside[name])
        for place in rng.integers(len(content), size=rng.integers(1, 5)):
            content[place] = rng.integers(256)
        if rng.random() < 0.1:
            del content[rng.integers(len(content)) :]
        other = tmp_path / "mutated.zip"
        if number % 2:
            other.write_bytes(content)
        else:
            other = rezipped(path, {name: bytes(content)})
        try:
            policy = read(other)
            assert np.isfinite(network.distribution(policy, STATES[:1]).mode()).all()
        except FileDamaged as error:
            assert "\n" not in str(error)
            refused += 1
    assert 200 < refused < 1000
