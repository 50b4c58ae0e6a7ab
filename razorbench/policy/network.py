"""Policies: Stable-Baselines3 actor-critics, their action distributions, and safetensors files.

A policy has one of two heads, which its action space tells apart: `gaussian` is a diagonal Gaussian over actions with
state-independent log-std (Box); `tokens` cuts each action dimension into 41 bins with a categorical of its own
(MultiDiscrete), as in RT-1 and OpenVLA. Outside this file actions are continuous, (N, A) in [-1, 1], for both heads.

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
from gymnasium.spaces import Box, MultiDiscrete
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from stable_baselines3.common.policies import ActorCriticPolicy
from threadpoolctl import threadpool_limits
from torch import nn

from razorbench.errors import FileDamaged, NotFinite, UnlikeItsFile
from razorbench.policy.distributions import Categorical, Distribution, Gaussian
from razorbench.store import bounded
from razorbench.types import FloatArray

BLOCK = 64
LOG_STD_RANGE = (-3.0, 1.0)
"""Every method's log standard deviation is kept in this range (design: equal treatment in all arms)."""
SIZES: Mapping[str, tuple[int, ...]] = {"small": (96, 96, 96), "medium": (256, 256, 256), "large": (512, 512, 512)}
CRITIC = (128, 128)
BINS = 41
"""Bins of an action dimension: 0.05 apart, a 4 mm step of the tool's target; an odd number, so that one stands for rest."""
_SAME = 1e-6
"""Nats, both ways together, up to which two policies do the same: float32 sums in another order reach about 1e-9."""
_AS_THE_BASE = "only parameters of the base's architecture are kept and measured; write what was learned into a `razorbench.method.clone(base)`"
_CENTRES = (torch.arange(BINS) - BINS // 2) / (BINS // 2)


def native_space(head: str, action_space: Box) -> Box | MultiDiscrete:
    """Return the action space of a policy with that head, `gaussian` or `tokens`, for environments with this one."""
    return MultiDiscrete([BINS] * action_space.shape[0]) if head == "tokens" else action_space


def build(observation_space: Box, action_space: Box | MultiDiscrete, layers: Sequence[int]) -> ActorCriticPolicy:
    """Return a freshly initialised policy with an actor of these hidden layers and a separate critic; the action space decides the head."""
    return _assemble(observation_space, action_space, _net_arch(layers), ortho_init=True)


def blank(observation_space: Box, action_space: Box | MultiDiscrete, layers: Sequence[int]) -> ActorCriticPolicy:
    """Return such a policy whose parameters mean nothing, made without drawing a random number."""
    return _blank(observation_space, action_space, _net_arch(layers))


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


def actor_optimizer(policy: ActorCriticPolicy, learning_rate: float, *, log_std_trains: bool = True) -> torch.optim.Adam:
    """Return Adam over the actor's trainable parameters. After every step the log-std is put back into its range; it stays as it is unless `log_std_trains`."""
    if not has_tokens(policy):
        policy.log_std.requires_grad_(log_std_trains)
    optimizer = torch.optim.Adam([p for p in actor_parameters(policy) if p.requires_grad], lr=learning_rate, eps=1e-5, fused=True)

    def clamp(*_: Any) -> None:
        policy.log_std.data.clamp_(*LOG_STD_RANGE)

    if not has_tokens(policy):
        optimizer.register_step_post_hook(clamp)
    return optimizer


def stray_log_std(tensors: Mapping[str, torch.Tensor]) -> list[float] | None:
    """Return the log-std among a policy's tensors if it leaves its range; None if it keeps to it, or if the policy has none."""
    found, (low, high) = tensors.get("log_std"), LOG_STD_RANGE
    return None if found is None or bool(((found >= low) & (found <= high)).all()) else found.tolist()


def log_likelihood(policy: ActorCriticPolicy, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """Log density (of tokens: log probability of the nearest bins) of actions (N, A) under the policy, (N,), nats; differentiable in the actor."""
    if has_tokens(policy):
        return _log_probs(policy, observations).gather(2, nearest_bins(actions)[:, :, None]).sum(dim=(1, 2))
    mean = _mean(policy, observations)
    log_std = policy.log_std
    z = (actions - mean) * torch.exp(-log_std)
    return (-0.5 * z.square() - log_std - 0.5 * np.log(2 * np.pi)).sum(dim=1)


def kl(p: ActorCriticPolicy, q: ActorCriticPolicy, observations: torch.Tensor) -> torch.Tensor:
    """KL(p || q) at observations (N, O), (N,), nats, closed form; differentiable in the actors of both."""
    if has_tokens(p):
        log_p, log_q = _log_probs(p, observations), _log_probs(q, observations)
        return (log_p.exp() * (log_p - log_q)).sum(dim=(1, 2))
    gap = p.log_std - q.log_std
    z = (_mean(p, observations) - _mean(q, observations)) * torch.exp(-q.log_std)
    return (0.5 * z.square() + 0.5 * torch.exp(2 * gap) - gap - 0.5).sum(dim=1)


def distribution(policy: ActorCriticPolicy, observations: FloatArray) -> Distribution:
    """Return the action distribution at observations (N, O), evaluated in padded blocks of 64 rows."""
    head = _log_probs if has_tokens(policy) else _mean
    blocks = []
    with torch.inference_mode():
        for begin in range(0, len(observations), BLOCK):
            block = observations[begin : begin + BLOCK]
            padded = np.zeros((BLOCK, observations.shape[1]), dtype=np.float32)
            padded[: len(block)] = block
            blocks.append(head(policy, torch.from_numpy(padded)).numpy()[: len(block)])
        parameters = np.concatenate(blocks).astype(np.float64)
        if has_tokens(policy):
            return Categorical(parameters, _CENTRES.numpy().astype(np.float64))
        return Gaussian(parameters, policy.log_std.numpy().astype(np.float64))


def fisher_diagonal(base: ActorCriticPolicy, states: torch.Tensor, rng: np.random.Generator) -> list[torch.Tensor]:
    """Return the mean over states (N, O) of squared gradients of log pi_0(a | x), a drawn from pi_0, per actor parameter."""
    policy = clone(base)
    drawn = distribution(base, states.numpy()).sample(rng.random((len(states), *base.action_space.shape)))
    actions = torch.from_numpy(drawn.astype(np.float32))
    parameters = actor_parameters(policy)
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for state, action in zip(states, actions, strict=True):
        gradients = torch.autograd.grad(log_likelihood(policy, state[None], action[None]).sum(), parameters)
        for sum_, gradient in zip(total, gradients, strict=True):
            sum_ += gradient.square()
    return [sum_ / len(states) for sum_ in total]


def has_tokens(policy: ActorCriticPolicy) -> bool:
    """Whether the policy's head is `tokens`."""
    return isinstance(policy.action_space, MultiDiscrete)


def nearest_bins(actions: torch.Tensor) -> torch.Tensor:
    """Return the bins (N, A) int64 nearest to actions (N, A)."""
    return ((actions.clamp(-1.0, 1.0) + 1.0) * (0.5 * (BINS - 1))).round().long()


def bin_centres(bins: FloatArray) -> FloatArray:
    """Return the actions (N, A) that bins (N, A) stand for."""
    centres: FloatArray = _CENTRES.numpy()[np.asarray(bins, dtype=np.int64)]
    return centres


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch and numpy's linear algebra use one thread: more would fight with the physics threads, and results would depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(threads)


def save(policy: ActorCriticPolicy, path: Path) -> None:
    """Write the parameters as safetensors."""
    path.write_bytes(tensors_to_bytes({name: tensor.contiguous() for name, tensor in policy.state_dict().items()}))


def load(path: Path, like: ActorCriticPolicy) -> ActorCriticPolicy:
    """Read a policy that `save` wrote and that has the architecture of another.

    Raises FileDamaged if the file is missing, is no safetensors file, or holds other parameters.
    """
    policy = _blank(like.observation_space, like.action_space, like.net_arch)
    try:
        tensors = tensors_from_bytes(bounded.read(path))
    except bounded.Missing as error:
        raise FileDamaged(f"policy {path} does not exist: give the path of a .safetensors file") from error
    except (SafetensorError, ValueError) as error:
        raise FileDamaged(f"policy {path} cannot be read as safetensors ({error}): the file is damaged or cut short; restore it or rebuild it") from error
    if odd := _odd_shape(tensors, policy):
        raise FileDamaged(f"policy {path} has {odd}: give a policy of the same head and size")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise FileDamaged(f"policy {path} holds NaN or infinite parameters: it cannot be used; restore it or rebuild it")
    policy.load_state_dict(tensors)
    return policy.eval()


def as_filed(policy: ActorCriticPolicy, like: ActorCriticPolicy, states: FloatArray) -> ActorCriticPolicy:
    """Return what `load` makes of a file of the policy's parameters: a policy of the architecture of another.

    Raises UnlikeItsFile if the file cannot say what the policy does at states (N, O), NotFinite if that is no number.
    """
    filed, tensors = _blank(like.observation_space, like.action_space, like.net_arch).eval(), policy.state_dict()
    if odd := _odd_shape(tensors, filed):
        raise UnlikeItsFile(f"the policy has {odd}: {_AS_THE_BASE}")
    filed.load_state_dict(tensors)
    own, theirs = distribution(policy, states), distribution(filed, states)
    apart = float((own.kl(theirs) + theirs.kl(own)).max())
    if not np.isfinite(theirs.kl(theirs)).all():
        raise NotFinite("the policy's actions are not finite: training diverged; lower the learning rate")
    if not apart <= _SAME:
        raise UnlikeItsFile(f"the policy acts otherwise than its own parameters do in the base's architecture, by up to {apart:.2g} nats: {_AS_THE_BASE}")
    return filed


def _odd_shape(found: Mapping[str, torch.Tensor], policy: ActorCriticPolicy) -> str | None:
    """Say which of the tensors is not as a policy needs it, None if none is."""
    here, wanted = ({name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (found, policy.state_dict()))
    odd = sorted(name for name in wanted.keys() | here.keys() if wanted.get(name) != here.get(name))
    return f"{odd[0]} of shape {here.get(odd[0])}, where {wanted.get(odd[0])} is needed" if odd else None


def _net_arch(layers: Sequence[int]) -> dict[str, list[int]]:
    return {"pi": list(layers), "vf": list(CRITIC)}


def _blank(observation_space: Box, action_space: Box | MultiDiscrete, net_arch: dict[str, list[int]]) -> ActorCriticPolicy:
    """A policy whose parameters are about to be overwritten: quickly made, and nothing drawn from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        return _assemble(observation_space, action_space, net_arch, ortho_init=False)


def _assemble(observation_space: Box, action_space: Box | MultiDiscrete, net_arch: dict[str, list[int]], *, ortho_init: bool) -> ActorCriticPolicy:
    return ActorCriticPolicy(
        observation_space, action_space, lambda _: 1e-3, net_arch=net_arch, activation_fn=nn.ReLU, log_std_init=-1.5, ortho_init=ortho_init
    )


def _mean(policy: ActorCriticPolicy, observations: torch.Tensor) -> torch.Tensor:
    mean: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(observations))
    return mean


def _log_probs(policy: ActorCriticPolicy, observations: torch.Tensor) -> torch.Tensor:
    """Log probabilities of the bins, (N, A, BINS)."""
    logits: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(observations))
    return torch.log_softmax(logits.view(len(observations), -1, BINS), dim=2)


def _is_critic(name: str) -> bool:
    return name.startswith(("mlp_extractor.value_net", "value_net"))


def all_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether no element is NaN or infinite: by the length of each tensor, which is quickly found, and where that overflows by its largest element."""
    plain = [tensor.detach() for tensor in tensors]
    return not plain or any(bool(torch.isfinite(torch.stack(torch._foreach_norm(plain, ord=order))).all()) for order in (2, float("inf")))


def hidden(policy: ActorCriticPolicy, states: FloatArray) -> list[FloatArray]:
    """Return the actor's activations after each hidden layer at states (N, O), (N, H) each."""
    layers = []
    with torch.inference_mode():
        value = policy.extract_features(torch.from_numpy(states), policy.pi_features_extractor)
        for module in policy.mlp_extractor.policy_net:
            value = module(value)
            if not isinstance(module, torch.nn.Linear):
                layers.append(value.numpy().astype(np.float64))
    return layers
