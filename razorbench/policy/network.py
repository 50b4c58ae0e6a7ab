"""Policies: Stable-Baselines3 actor-critics, their action distributions, and safetensors files.

The action space decides a policy's head: `gaussian` (Box) is a diagonal Gaussian over actions with state-independent log-std; `tokens` (MultiDiscrete)
has a categorical over 41 bins per action dimension, as in RT-1 and OpenVLA. Outside this file actions are continuous, (N, A) in [-1, 1], for both.

The harness evaluates policies in padded blocks of exactly 64 rows, so that a row's result does not depend on the batch size.
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
"""Range of the log standard deviation, the same for every method."""
SIZES: Mapping[str, tuple[int, ...]] = {"small": (96, 96, 96), "medium": (256, 256, 256), "large": (512, 512, 512)}
CRITIC = (128, 128)
BINS = 41
"""Bins per action dimension: 0.05 apart, a 4 mm step of the tool's target; an odd number, so that one bin is rest."""
_SAME = 1e-6
"""Largest symmetric KL, nats, of policies that count as equal: reordered float32 sums reach about 1e-9."""
_AS_THE_BASE = "only parameters of the base's architecture are kept and measured; write what was learned into a `razorbench.method.clone(base)`"
_CENTRES = (torch.arange(BINS) - BINS // 2) / (BINS // 2)


def native_space(head: str, action_space: Box) -> Box | MultiDiscrete:
    """Return the action space of a policy for environments with action_space. head: `gaussian` or `tokens`."""
    return MultiDiscrete([BINS] * action_space.shape[0]) if head == "tokens" else action_space


def build(observation_space: Box, action_space: Box | MultiDiscrete, layers: Sequence[int]) -> ActorCriticPolicy:
    """Return a newly initialized policy. layers: hidden sizes of the actor; the critic is separate, and the action space decides the head."""
    return _assemble(observation_space, action_space, _net_arch(layers, CRITIC), nn.ReLU, ortho_init=True)


def blank(
    observation_space: Box,
    action_space: Box | MultiDiscrete,
    layers: Sequence[int],
    critic: Sequence[int] = CRITIC,
    activation: type[nn.Module] = nn.ReLU,
) -> ActorCriticPolicy:
    """Return such a policy with arbitrary parameters, to be overwritten: fast, and without drawing from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        return _assemble(observation_space, action_space, _net_arch(layers, critic), activation, ortho_init=False)


def clone(policy: ActorCriticPolicy) -> ActorCriticPolicy:
    """Return an independent copy with all parameters trainable, without drawing from torch's global generator."""
    twin = _blank_like(policy)
    twin.load_state_dict(policy.state_dict())
    return twin


def actor_parameters(policy: ActorCriticPolicy) -> list[nn.Parameter]:
    """Return the parameters that decide the action distribution."""
    return [p for name, p in policy.named_parameters() if not _is_critic(name)]


def critic_parameters(policy: ActorCriticPolicy) -> list[nn.Parameter]:
    """Return the parameters of the value estimate."""
    return [p for name, p in policy.named_parameters() if _is_critic(name)]


def actor_optimizer(policy: ActorCriticPolicy, learning_rate: float, *, log_std_trains: bool = True) -> torch.optim.Adam:
    """Return Adam over the actor's trainable parameters. Every step clamps the log-std to its range; `log_std_trains=False` freezes it."""
    if not has_tokens(policy):
        policy.log_std.requires_grad_(log_std_trains)
    optimizer = torch.optim.Adam([p for p in actor_parameters(policy) if p.requires_grad], lr=learning_rate, eps=1e-5, fused=True)

    def clamp(*_: Any) -> None:
        policy.log_std.data.clamp_(*LOG_STD_RANGE)

    if not has_tokens(policy):
        optimizer.register_step_post_hook(clamp)
    return optimizer


def rescale_actions(policy: ActorCriticPolicy, low: FloatArray, high: FloatArray) -> None:
    """Scale the actions of a `gaussian` policy from the box low, high (A,) float32 to [-1, 1]; divergences between two such policies stay as they are."""
    half, middle = torch.from_numpy((high - low) / 2), torch.from_numpy((high + low) / 2)
    with torch.no_grad():
        policy.action_net.weight.div_(half[:, None])
        policy.action_net.bias.sub_(middle).div_(half)
        policy.log_std.sub_(half.log())


def stray_log_std(tensors: Mapping[str, torch.Tensor]) -> list[float] | None:
    """Return a policy's log-std if it is out of range; None if it is in range or absent."""
    log_std, (low, high) = tensors.get("log_std"), LOG_STD_RANGE
    return None if log_std is None or bool(((log_std >= low) & (log_std <= high)).all()) else log_std.tolist()


def log_likelihood(policy: ActorCriticPolicy, observations: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
    """Return the log density (for tokens: log probability of the nearest bins) of actions (N, A), (N,), nats; differentiable in the actor."""
    if has_tokens(policy):
        return _log_probs(policy, observations).gather(2, nearest_bins(actions)[:, :, None]).sum(dim=(1, 2))
    mean = _mean(policy, observations)
    log_std = policy.log_std
    z = (actions - mean) * torch.exp(-log_std)
    return (-0.5 * z.square() - log_std - 0.5 * np.log(2 * np.pi)).sum(dim=1)


def kl(p: ActorCriticPolicy, q: ActorCriticPolicy, observations: torch.Tensor) -> torch.Tensor:
    """Return KL(p || q) at observations (N, O), (N,), nats, in closed form; differentiable in both actors."""
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
    """Return whether the policy's head is `tokens`."""
    return isinstance(policy.action_space, MultiDiscrete)


def nearest_bins(actions: torch.Tensor) -> torch.Tensor:
    """Return the bins (N, A) int64 nearest to actions (N, A)."""
    return ((actions.clamp(-1.0, 1.0) + 1.0) * (0.5 * (BINS - 1))).round().long()


def bin_centres(bins: FloatArray) -> FloatArray:
    """Return the center actions (N, A) of bins (N, A)."""
    centres: FloatArray = _CENTRES.numpy()[np.asarray(bins, dtype=np.int64)]
    return centres


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch and numpy's linear algebra to one thread: more would compete with the physics threads and make results depend on their number."""
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
    """Read a policy from `save`. like: a policy of the same architecture.

    Raises FileDamaged if the file is missing, is not a safetensors file, or holds other or non-finite parameters.
    """
    policy = _blank_like(like)
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
    """Return the policy that saving and loading these parameters would give. like: a policy of the required architecture.

    Raises UnlikeItsFile if that policy acts differently at states (N, O), NotFinite if its actions are not finite.
    """
    filed, tensors = _blank_like(like).eval(), policy.state_dict()
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


def _odd_shape(given: Mapping[str, torch.Tensor], policy: ActorCriticPolicy) -> str | None:
    """Return which tensor has the wrong shape for a policy, or is missing; None if all fit."""
    here, wanted = ({name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (given, policy.state_dict()))
    odd = sorted(name for name in wanted.keys() | here.keys() if wanted.get(name) != here.get(name))
    return f"{odd[0]} of shape {here.get(odd[0])}, where {wanted.get(odd[0])} is needed" if odd else None


def _net_arch(actor: Sequence[int], critic: Sequence[int]) -> dict[str, list[int]]:
    return {"pi": list(actor), "vf": list(critic)}


def _blank_like(policy: ActorCriticPolicy) -> ActorCriticPolicy:
    return blank(policy.observation_space, policy.action_space, policy.net_arch["pi"], policy.net_arch["vf"], policy.activation_fn)


def _assemble(
    observation_space: Box, action_space: Box | MultiDiscrete, net_arch: dict[str, list[int]], activation: type[nn.Module], *, ortho_init: bool
) -> ActorCriticPolicy:
    return ActorCriticPolicy(
        observation_space, action_space, lambda _: 1e-3, net_arch=net_arch, activation_fn=activation, log_std_init=-1.5, ortho_init=ortho_init
    )


def _mean(policy: ActorCriticPolicy, observations: torch.Tensor) -> torch.Tensor:
    mean: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(observations))
    return mean


def _log_probs(policy: ActorCriticPolicy, observations: torch.Tensor) -> torch.Tensor:
    """Return the log probabilities of the bins, (N, A, BINS)."""
    logits: torch.Tensor = policy.action_net(policy.mlp_extractor.forward_actor(observations))
    return torch.log_softmax(logits.view(len(observations), -1, BINS), dim=2)


def _is_critic(name: str) -> bool:
    return name.startswith(("mlp_extractor.value_net", "value_net"))


def all_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Return whether all elements are finite: by each tensor's L2 norm, which is fast, and by its largest element where the norm overflows."""
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
