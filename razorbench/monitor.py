"""A Stable-Baselines3 callback that watches how far any policy moves from where it began, with or without this benchmark."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from gymnasium.wrappers import NormalizeObservation
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.sac.policies import SACPolicy
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Normal

from razorbench.errors import UsageError
from razorbench.policy.distributions import Categorical, Distribution, Gaussian
from razorbench.types import BoolArray, FloatArray

Parts = Sequence[Distribution]
"""One Gaussian over all action dimensions, or a categorical for each: independent parts whose divergences add up."""


class ForgettingMonitor(BaseCallback):
    """Logs the divergence between a reference policy and the one in training, and can stop or roll back at a budget.

    Attach it to PPO, A2C or SAC: `model.learn(100_000, callback=ForgettingMonitor(kl_budget=1.0))`. Measured at the beginning of
    every `every`-th rollout, when an update is complete, and at the end; logged under `razor/`, kept in `history`:

    kl_forward: mean over reference states of KL(reference || policy), nats per decision, closed form (RL's Razor, arXiv 2509.04259,
    section 4); for Gaussians also kl_forward_mean_part, kl_forward_variance_part, and kl_forward_common_sigma, with the
    reference's sigma in both. kl_reverse: KL(policy || reference) on the same states. kl_forward_tuned_states: the forward
    KL on the states of the last rollout. kl_forward_episode_sum: per episode instead of per decision, over the whole episodes of
    the reference's rollout. predicted_forgetting: `law` of kl_forward.

    reference: the policy to compare with; None: a copy of the model's own as training begins.
    states: reference states (M, O); None: those of the first rollout, which the reference itself makes (PPO, A2C).
    law: forgetting as a function of the forward KL, as a study has fitted it. kl_budget: the most that kl_forward may reach.
    on_budget: `stop` ends training there, `rollback` also restores the policy of the last measurement within the budget.

    Raises UsageError for a policy without a closed form (TD3, DQN) or with a memory (RecurrentPPO), for dictionary observations,
    for SAC without states, for states that do not fit, and where a normalizing wrapper still changes what an observation means.
    """

    def __init__(
        self,
        reference: BasePolicy | None = None,
        states: FloatArray | None = None,
        *,
        every: int = 1,
        law: Callable[[float], float] | None = None,
        kl_budget: float | None = None,
        on_budget: Literal["stop", "rollback"] = "stop",
    ) -> None:
        super().__init__()
        if every < 1 or (kl_budget is not None and kl_budget <= 0) or on_budget not in ("stop", "rollback"):
            raise UsageError(
                f"ForgettingMonitor got every={every}, kl_budget={kl_budget}, on_budget={on_budget!r}: "
                "every must be 1 or more, kl_budget positive or None, on_budget stop or rollback"
            )
        self.history: list[dict[str, float]] = []
        self.exceeded = False
        """Whether the budget was reached."""
        self._reference, self._states, self._every, self._law = reference, states, every, law
        self._kl_budget, self._rolls_back = kl_budget, on_budget == "rollback"
        self._starts: BoolArray | None = None
        self._last: FloatArray | None = None
        self._kept: dict[str, Any] = {}
        self._rollouts = 0

    def _on_training_start(self) -> None:
        if self._states is None and not hasattr(self.model, "rollout_buffer"):
            raise UsageError(f"ForgettingMonitor: {type(self.model).__name__} makes no rollouts with its first policy; give states, an array (M, O)")
        if not isinstance(self.model.observation_space.shape, tuple):
            raise UsageError("ForgettingMonitor: observations are a dictionary; flatten them, as with gymnasium.wrappers.FlattenObservation")
        if self._meaning_changes():
            raise UsageError(
                "ForgettingMonitor: a wrapper that normalizes observations still updates its statistics, so what a state is changes and the KL means little; "
                "freeze them, for VecNormalize with training=False, for gymnasium's NormalizeObservation with update_running_mean=False"
            )
        states = np.asarray(self.model.observation_space.sample()[None] if self._states is None else self._states)
        if not len(states) or not np.isfinite(states).all():
            raise UsageError("ForgettingMonitor: states are missing or not finite; give an array (M, O) of what the policy observes")
        try:
            _parts(self.model.policy, states[:1])
        except ValueError as problem:
            raise UsageError(f"ForgettingMonitor: states do not fit the policy ({problem}); give an array (M, O) of what it observes") from None
        if self._reference is None:
            self._reference = _copy(self.model.policy)
        self._keep()

    def _on_rollout_start(self) -> None:
        self._rollouts += 1
        if self._states is not None and self._rollouts > 1 and (self._rollouts - 1) % self._every == 0:
            self._measure()

    def _on_step(self) -> bool:
        return not self.exceeded

    def _on_rollout_end(self) -> None:
        buffer = getattr(self.model, "rollout_buffer", None)
        if buffer is None:
            return
        # (steps, envs, O) to whole environments one after the other.
        self._last = np.swapaxes(buffer.observations, 0, 1).reshape(-1, *buffer.observations.shape[2:])
        if self._states is None:
            self._states, self._starts = self._last.copy(), buffer.episode_starts.astype(bool)

    def _on_training_end(self) -> None:
        if self._states is not None and not self.exceeded:
            self._measure()

    def _measure(self) -> None:
        """Measure, log, and see to the budget."""
        assert self._states is not None
        policy, reference = self.model.policy, self._reference
        assert reference is not None
        before, now = _parts(reference, self._states), _parts(policy, self._states)
        forward = _kl(before, now)
        values = {"kl_forward": float(forward.mean()), "kl_reverse": float(_kl(now, before).mean())}
        for p, q in zip(before, now, strict=True):
            if isinstance(p, Gaussian) and isinstance(q, Gaussian):
                values["kl_forward_mean_part"] = float(p.kl_mean_part(q).mean())
                values["kl_forward_variance_part"] = float(p.kl_variance_part(q).mean())
                values["kl_forward_common_sigma"] = float(p.kl_common_sigma(q).mean())
        if self._last is not None:
            values["kl_forward_tuned_states"] = float(_kl(_parts(reference, self._last), _parts(policy, self._last)).mean())
        if self._starts is not None and (sums := _whole_episodes(forward, self._starts)):
            values["kl_forward_episode_sum"] = float(np.mean(sums))
        if self._law is not None:
            values["predicted_forgetting"] = float(self._law(values["kl_forward"]))
        for name, value in values.items():
            self.logger.record(f"razor/{name}", value)
        self.history.append({"timesteps": float(self.num_timesteps), **values})
        if self._kl_budget is None:
            return
        self.exceeded = not values["kl_forward"] <= self._kl_budget  # also if it is not a number
        if not self.exceeded:
            self._keep()
        elif self._rolls_back:
            policy.load_state_dict(self._kept)

    def _meaning_changes(self) -> bool:
        """Whether the same state is another observation later on."""
        outer = self.model.get_vec_normalize_env()
        inner = any(self.training_env.env_is_wrapped(NormalizeObservation)) and any(self.training_env.get_attr("update_running_mean"))
        return inner or (outer is not None and outer.norm_obs and outer.training)

    def _keep(self) -> None:
        if self._rolls_back:
            self._kept = copy.deepcopy(self.model.policy.state_dict())


def _copy(policy: BasePolicy) -> BasePolicy:
    """Return a copy of a policy; one that has been trained holds tensors that cannot be deep-copied."""
    with torch.random.fork_rng(devices=[]):
        twin = type(policy)(**policy._get_constructor_parameters())
    twin.load_state_dict(policy.state_dict())
    return twin.to(policy.device)


def _parts(policy: BasePolicy, observations: FloatArray) -> Parts:
    """Return a policy's action distributions at observations (M, O), as one Gaussian or as categoricals of one dimension each."""
    policy.set_training_mode(False)
    with torch.no_grad():
        tensor, _ = policy.obs_to_tensor(observations)
        if isinstance(policy, SACPolicy):
            # Both are squashed by the same tanh, which leaves their divergence as it is.
            mean, log_std, _ = policy.actor.get_action_dist_params(tensor)
            return [Gaussian(_numbers(mean), _numbers(log_std))]
        if isinstance(policy, ActorCriticPolicy):
            if len(_required(policy.get_distribution)) > 1:
                raise UsageError(
                    f"ForgettingMonitor: {type(policy).__name__} acts on what it remembers, so it has no divergence on single states; "
                    "use a policy without a memory, such as those of PPO, A2C and SAC"
                )
            found = policy.get_distribution(tensor).distribution
            if isinstance(found, Normal):
                return [Gaussian(_numbers(found.mean), _numbers(found.stddev.log()))]
            heads = found if isinstance(found, list) else [found]
            if all(isinstance(head, TorchCategorical) for head in heads):
                return [Categorical(_numbers(head.logits)[:, None], np.arange(head.logits.shape[1])) for head in heads]
    raise UsageError(
        f"ForgettingMonitor: {type(policy).__name__} on {type(policy.action_space).__name__} actions has no closed-form divergence; "
        "use PPO or A2C with Box, Discrete or MultiDiscrete actions, or SAC"
    )


def _required(function: Callable[..., Any]) -> list[str]:
    return [name for name, parameter in inspect.signature(function).parameters.items() if parameter.default is parameter.empty]


def _kl(p: Parts, q: Parts) -> FloatArray:
    total: FloatArray = np.sum([one.kl(other) for one, other in zip(p, q, strict=True)], axis=0)
    return total


def _whole_episodes(values: FloatArray, starts: BoolArray) -> list[float]:
    """Return the sum of values (envs * steps,) over each episode that begins and ends in the rollout. starts: (steps, envs)."""
    steps, envs = starts.shape
    sums = []
    for env in range(envs):
        begins = np.flatnonzero(starts[:, env])
        mine = values[env * steps : (env + 1) * steps]
        sums += [float(mine[a:b].sum()) for a, b in itertools.pairwise(begins)]
    return sums


def _numbers(tensor: torch.Tensor) -> FloatArray:
    numbers: FloatArray = tensor.cpu().numpy().astype(np.float64)
    return numbers
