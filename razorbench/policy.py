"""Policies: Stable-Baselines3 actor-critics, their action distributions, and safetensors files.

Wherever the harness evaluates a policy it does so in padded blocks of exactly 64 rows, so that a row's result does
not depend on how many others there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from razorbench.divergence import Gaussian
from razorbench.errors import FileDamaged
from razorbench.types import FloatArray

BLOCK = 64
LOG_STD_RANGE = (-3.0, 1.0)
"""Every method's log standard deviation is kept in this range (design: equal treatment in all arms)."""
SIZES: Mapping[str, tuple[int, ...]] = {"medium": (256, 256, 256)}
CRITIC = (128, 128)


def build(observation_space: Box, action_space: Box, layers: Sequence[int]) -> ActorCriticPolicy:
    """Return a freshly initialised policy with an actor of these hidden layers: diagonal Gaussian, state-independent log-std, separate critic."""
    return _assemble(observation_space, action_space, _net_arch(layers), ortho_init=True)


def clone(policy: ActorCriticPolicy) -> ActorCriticPolicy:
    """Return an independent copy with every parameter trainable; draws nothing from torch's global generator."""
    twin = _blank(policy.observation_space, policy.action_space, policy.net_arch)
    twin.load_state_dict(policy.state_dict())
    return twin


def actor_parameters(policy: ActorCriticPolicy) -> list[nn.Parameter]:
    """Return the parameters that decide the action distribution."""
    return [p for name, p in policy.named_parameters() if not _is_critic(name)]


def critic_parameters(policy: ActorCriticPolicy) -> list[nn.Parameter]:
    """Return the parameters of the value estimate."""
    return [p for name, p in policy.named_parameters() if _is_critic(name)]


def actor_optimizer(policy: ActorCriticPolicy, learning_rate: float) -> torch.optim.Adam:
    """Return Adam over the actor, log-std included, that keeps the log-std in its range after every step."""
    optimizer = torch.optim.Adam(actor_parameters(policy), lr=learning_rate, eps=1e-5, fused=True)

    def clamp(*_: Any) -> None:
        policy.log_std.data.clamp_(*LOG_STD_RANGE)

    optimizer.register_step_post_hook(clamp)
    return optimizer


def log_likelihood(policy: ActorCriticPolicy, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """Log density of actions (N, A) under the policy, (N,), nats; differentiable in the actor."""
    mean = _mean(policy, observations)
    log_std = policy.log_std
    z = (actions - mean) * torch.exp(-log_std)
    return (-0.5 * z.square() - log_std - 0.5 * np.log(2 * np.pi)).sum(dim=1)


def distribution(policy: ActorCriticPolicy, observations: FloatArray) -> Gaussian:
    """Return the action distribution at observations (N, O), evaluated in padded blocks of 64 rows."""
    n = len(observations)
    mean = np.empty((n, policy.action_space.shape[0]), dtype=np.float64)  # type: ignore[index]
    with torch.inference_mode():
        for begin in range(0, n, BLOCK):
            block = observations[begin : begin + BLOCK]
            padded = np.zeros((BLOCK, observations.shape[1]), dtype=np.float32)
            padded[: len(block)] = block
            mean[begin : begin + BLOCK] = _mean(policy, torch.from_numpy(padded)).numpy()[: len(block)]
        log_std = policy.log_std.numpy().astype(np.float64)
    return Gaussian(mean, log_std)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: more would fight with the physics threads, and results would depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def save(policy: ActorCriticPolicy, path: Path) -> None:
    """Write the parameters as safetensors."""
    save_file({name: tensor.contiguous() for name, tensor in policy.state_dict().items()}, path)


def load(path: Path, observation_space: Box, action_space: Box, size: str) -> ActorCriticPolicy:
    """Read a policy that `save` wrote.

    Raises FileDamaged if the file is missing, is no safetensors file, or holds other parameters than this size has.
    """
    policy = _blank(observation_space, action_space, _net_arch(SIZES[size]))
    try:
        tensors = load_file(path)
    except FileNotFoundError as error:
        raise FileDamaged(f"policy {path} does not exist: give the path of a .safetensors file") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise FileDamaged(f"policy {path} cannot be read as safetensors ({error}): the file is damaged or cut short; restore it or rebuild it") from error
    wanted = {name: tuple(tensor.shape) for name, tensor in policy.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))[0]
        raise FileDamaged(f"policy {path} has {odd} of shape {found.get(odd)}, a {size} policy has {wanted.get(odd)}: give a policy of that size")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise FileDamaged(f"policy {path} holds NaN or infinite parameters: it cannot be used; restore it or rebuild it")
    policy.load_state_dict(tensors)
    return policy.eval()


def _net_arch(layers: Sequence[int]) -> dict[str, list[int]]:
    return {"pi": list(layers), "vf": list(CRITIC)}


def _blank(observation_space: Box, action_space: Box, net_arch: dict[str, list[int]]) -> ActorCriticPolicy:
    """A policy whose parameters are about to be overwritten: quickly made, and nothing drawn from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        return _assemble(observation_space, action_space, net_arch, ortho_init=False)


def _assemble(observation_space: Box, action_space: Box, net_arch: dict[str, list[int]], *, ortho_init: bool) -> ActorCriticPolicy:
    return ActorCriticPolicy(
        observation_space, action_space, lambda _: 1e-3, net_arch=net_arch, activation_fn=nn.ReLU, log_std_init=-1.5, ortho_init=ortho_init
    )


def _mean(policy: ActorCriticPolicy, observations: torch.Tensor) -> torch.Tensor:
    mean: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(observations))
    return mean


def _is_critic(name: str) -> bool:
    return name.startswith(("mlp_extractor.value_net", "value_net"))
