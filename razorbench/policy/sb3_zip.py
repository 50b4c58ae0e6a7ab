"""Policies that Stable-Baselines3 saved: read from their zip without unpickling anything.

A zip holds `data`, JSON whose pickled values also stand there as plain text, and `policy.pth`, tensors that `torch.load(weights_only=True)` reads.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, MultiDiscrete
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from razorbench.errors import FileDamaged
from razorbench.policy import network
from razorbench.policy.distributions import TanhGaussian
from razorbench.store import bounded
from razorbench.types import FloatArray, Settings

SUFFIX = ".zip"
_ACTIVATIONS = {kind.__name__: kind for kind in (nn.ReLU, nn.Tanh, nn.ELU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Sigmoid)}
_GAUSSIAN = r"log_std|action_net\.(weight|bias)|value_net\.(weight|bias)|mlp_extractor\.(policy|value)_net\.\d{1,2}\.(weight|bias)"
_SAC = r"actor\.(latent_pi\.\d{1,2}|mu|log_std)\.(weight|bias)|(critic|critic_target)\.qf\d{1,2}\.\d{1,2}\.(weight|bias)"
_SAC_LOG_STD = (-20.0, 2.0)
"""The range to which Stable-Baselines3 clips SAC's log standard deviation."""
Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class SacActor:
    """The actor of a SAC policy: a tanh of a diagonal Gaussian whose standard deviation depends on the observation. It can be scored, not adapted."""

    body: nn.Sequential
    mean: nn.Linear
    log_std: nn.Linear

    def distribution(self, observations: FloatArray) -> TanhGaussian:
        """Return the action distribution at observations (N, O)."""
        with torch.inference_mode():
            features = self.body(torch.from_numpy(np.asarray(observations, dtype=np.float32)))
            mean, log_std = self.mean(features), self.log_std(features).clamp(*_SAC_LOG_STD)
        return TanhGaussian(mean.numpy().astype(np.float64), log_std.numpy().astype(np.float64))


def load(path: Path, observation_space: Box, action_space: Box) -> ActorCriticPolicy | SacActor:
    """Read the MLP policy of a PPO, A2C or SAC zip. Its actions are scaled from its own box to [-1, 1].

    Raises FileDamaged if the file is missing, damaged, of another architecture, or for other observations or actions.
    """
    facts, tensors = _members(path)
    kind = _kind(path, facts, tensors)
    actions = _like(facts.get("action_space"))
    if kind == "SAC":
        return _sac(path, facts, tensors, observation_space, action_space)
    layers, critic = (_widths(path, tensors, f"mlp_extractor.{part}_net.{{}}.weight") for part in ("policy", "value"))
    tokens = "log_std" not in tensors
    space: Box | MultiDiscrete = network.native_space("tokens" if tokens else "gaussian", action_space)
    if tokens and actions.get("nvec") != str(space.nvec):
        raise FileDamaged(f"policy {path} has discrete actions: only MultiDiscrete with {network.BINS} bins per action dimension can be read")
    policy = network.blank(observation_space, space, layers, critic, _activation(path, facts, "Tanh"))
    _check_shapes(path, tensors, policy.state_dict())
    policy.load_state_dict(dict(tensors))
    if not tokens:
        network.rescale_actions(policy, *_box(path, actions, action_space.shape[0]))
    return policy.eval()


def _members(path: Path) -> tuple[Settings, Tensors]:
    """Return what the zip says of its policy, and its tensors."""
    try:
        archive = bounded.read(path)
        facts = bounded.parsed(bounded.text(_member(archive, "data", bounded.MOST_TEXT)))
        if not isinstance(facts, Mapping):
            raise ValueError("its data are no JSON mapping")
        tensors = _tensors(_member(archive, "policy.pth", bounded.MOST_FILE))
    except bounded.Missing as error:
        raise FileDamaged(f"policy {path} does not exist: give the path of a zip that Stable-Baselines3 saved") from error
    except ValueError as error:
        said = bounded.shown(" ".join(str(error).split()))
        raise FileDamaged(f"policy {path} cannot be read as a zip that Stable-Baselines3 saved ({said}): save the model again, with model.save") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(name, str) and _is_plain(tensor) for name, tensor in tensors.items()):
        raise FileDamaged(f"policy {path} holds other things than float32 tensors by name: save the model again, with model.save")
    if not network.all_finite(list(tensors.values())):
        raise FileDamaged(f"policy {path} holds NaN or infinite parameters: its training diverged; choose another")
    return facts, tensors


def _member(archive: bytes, name: str, most: int) -> bytes:
    """Return one member's bytes, of which there may be `most`, whatever size it claims. Nothing is written to disk. Raises ValueError."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as members, members.open(name) as file:
            content = file.read(most + 1)
    except Exception as error:
        # zipfile documents no complete list: a damaged file also raises struct.error, zlib.error, KeyError, EOFError, RuntimeError and others.
        raise ValueError(f"{name}: {type(error).__name__}: {error}") from error
    if len(content) > most:
        raise ValueError(f"{name} has more than {most} bytes")
    return content


def _tensors(weights: bytes) -> Any:
    """Return what `torch.load` reads without unpickling. Raises ValueError."""
    try:
        # torch's older formats are pickles throughout.
        zipfile.ZipFile(io.BytesIO(weights)).close()
        with warnings.catch_warnings(action="ignore"):
            return torch.load(io.BytesIO(weights), weights_only=True, map_location="cpu")
    except Exception as error:
        # Nor does torch.
        raise ValueError(f"policy.pth: {type(error).__name__}: {error}") from error


def _is_plain(tensor: object) -> bool:
    return isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32 and tensor.layout == torch.strided


def _kind(path: Path, facts: Settings, tensors: Tensors) -> str:
    """Return `actor-critic` or `SAC`. Raises FileDamaged for any other policy."""
    kinds = {"actor-critic": (_GAUSSIAN, "action_net.weight"), "SAC": (_SAC, "actor.log_std.weight")}
    fitting = [kind for kind, (pattern, head) in kinds.items() if head in tensors and all(re.fullmatch(pattern, name) for name in tensors)]
    if not fitting:
        holds = ", ".join(sorted({name.split(".")[0] for name in tensors}))
        raise FileDamaged(f"policy {path} holds {bounded.shown(holds)}: only MLP policies of PPO, A2C and SAC can be read")
    if facts.get("use_sde") or _like(facts.get("policy_kwargs")).get("use_sde"):
        raise FileDamaged(f"policy {path} uses state-dependent exploration, which has another distribution: train it with use_sde=False")
    return fitting[0]


def _sac(path: Path, facts: Settings, tensors: Tensors, observation_space: Box, action_space: Box) -> SacActor:
    widths = [observation_space.shape[0], *_widths(path, tensors, "actor.latent_pi.{}.weight")]
    activation = _activation(path, facts, "ReLU")
    body = nn.Sequential(*(part for n, m in pairwise(widths) for part in (nn.Linear(n, m), activation())))
    actor = nn.ModuleDict({"latent_pi": body, **{name: nn.Linear(widths[-1], action_space.shape[0]) for name in ("mu", "log_std")}})
    mine = {name.removeprefix("actor."): tensor for name, tensor in tensors.items() if name.startswith("actor.")}
    _check_shapes(path, mine, actor.state_dict())
    actor.load_state_dict(mine)
    return SacActor(body.eval(), actor["mu"], actor["log_std"])  # type: ignore[arg-type]


def _check_shapes(path: Path, found: Tensors, wanted: Tensors) -> None:
    for name in sorted(wanted.keys() | found.keys()):
        there, needed = (tuple(each[name].shape) if name in each else None for each in (found, wanted))
        if there != needed:
            raise FileDamaged(f"policy {path} has {name} of shape {there}, this world needs {needed}: choose a policy trained on it")


def _widths(path: Path, tensors: Tensors, name: str) -> list[int]:
    """Return the sizes of hidden layers, which alternate with activations."""
    found = [tensors[name.format(k)] for k in range(0, 100, 2) if name.format(k) in tensors]
    if not all(tensor.dim() == 2 and 0 < len(tensor) <= 4096 for tensor in found) or not found:
        raise FileDamaged(f"policy {path} has no hidden layers of 1 to 4096 units: only MLP policies with hidden layers can be read")
    return [len(tensor) for tensor in found]


def _activation(path: Path, facts: Settings, usual: str) -> type[nn.Module]:
    said = str(_like(facts.get("policy_kwargs")).get("activation_fn", usual))
    name = said.removesuffix("'>").rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise FileDamaged(f"policy {path} has activation {bounded.shown(said)}: there are {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def _box(path: Path, space: Settings, size: int) -> tuple[FloatArray, FloatArray]:
    """Return the bounds (A,) float32 of an action box, from its plain text. Raises FileDamaged if they are not finite numbers."""
    bounds = []
    for side in ("low", "high"):
        try:
            numbers = [float(word) for word in str(space.get(side)).strip("[]").split()]
        except ValueError:
            numbers = []
        bounds.append(np.array(numbers, dtype=np.float32))
    low, high = bounds
    if low.shape != (size,) or high.shape != (size,) or not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
        said = bounded.shown(f"{space.get('low')} to {space.get('high')}")
        raise FileDamaged(f"policy {path} has an action box from {said}: it must be bounded, with {size} dimensions")
    return low, high


def _like(value: object) -> Settings:
    return value if isinstance(value, Mapping) else {}
