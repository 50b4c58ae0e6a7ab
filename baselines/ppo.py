"""PPO: Stable-Baselines3's own, unmodified, on sparse reward and without any KL term (Schulman et al., arXiv 1707.06347).

Two things keep the hand-over from a pretrained actor clean, both through SB3's public interface. The actor alone is in
SB3's optimiser, with vf_coef = 0, because SB3 would otherwise clip the gradients of actor and critic together and give
both one learning rate; a callback fits the critic to each rollout's returns. And the critic, which knows nothing at
first, is fitted alone for the first iterations, while the actor's parameters take no gradient.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import UsageError
from razorbench.method import Budget, TaskHandle, TaskVecEnv, actor_parameters, clone, critic_parameters
from razorbench.types import State


@dataclass(frozen=True)
class PPO:
    """Hyper-parameters, named as in Stable-Baselines3."""

    learning_rate: float = 1e-4
    """Adam's step for the actor, constant; 3e-5 did exactly as well in the search."""
    num_envs: int = 128
    """Environments in one batch: the engine is fastest from 128 on."""
    n_steps: int = 40
    """Decisions per environment and iteration: one to five whole episodes."""
    batch_size: int = 1024
    """Decisions per gradient step."""
    n_epochs: int = 4
    """Passes over each rollout."""
    gamma: float = 0.97
    """Discount: an episode of 20 decisions keeps half of its reward at the start."""
    gae_lambda: float = 0.95
    """SB3's default."""
    clip_range: float = 0.2
    """SB3's default."""
    max_grad_norm: float = 0.5
    """SB3's default."""
    critic_learning_rate: float = 1e-3
    """Adam's step for the critic, which has to catch up with a pretrained actor."""
    critic_epochs: int = 4
    """Passes over each rollout for the critic."""
    warmup_iterations: int = 2
    """Iterations in which only the critic learns."""

    family: ClassVar[str] = "on-policy reward"
    version: ClassVar[int] = 2
    old_task_data: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if min(self.learning_rate, self.num_envs, self.n_steps, self.batch_size, self.n_epochs, self.critic_learning_rate) <= 0:
            raise UsageError(f"ppo got {self}: rates, sizes and epochs must be positive")

    def adapt(self, base: ActorCriticPolicy, task: TaskHandle, budget: Budget, rng: np.random.Generator) -> ActorCriticPolicy:
        """Learn from TRAIN episodes; one update is one iteration of rollout and training, warm-up included."""
        rollout = self.num_envs * self.n_steps
        total = budget.env_steps // rollout
        if total <= self.warmup_iterations:
            raise UsageError(
                f"budget.env_steps={budget.env_steps} gives ppo {total} iterations of {rollout} steps, {self.warmup_iterations} of them for the "
                f"critic alone: set budget.env_steps to {(self.warmup_iterations + 1) * rollout} or more, or lower method.num_envs"
            )
        policy = self.starting(base)
        model = stable_baselines3.PPO(
            "MlpPolicy",
            task.envs(policy, self.num_envs, rng),
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            n_epochs=self.n_epochs,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            learning_rate=self.learning_rate,
            clip_range=self.clip_range,
            max_grad_norm=self.max_grad_norm,
            ent_coef=self.third_coefficient(),
            vf_coef=0.0,
            device="cpu",
        )
        # SB3 would make a folder for a logger of its own.
        model.set_logger(Logger(None, []))
        model.policy = policy
        policy.optimizer = task.optimizer(policy, self.learning_rate)
        critic = torch.optim.Adam(critic_parameters(policy), lr=self.critic_learning_rate)
        parts = {"policy": policy, "actor_optimizer": policy.optimizer, "critic_optimizer": critic, "episodes": _Episodes(model)}
        updates = task.updates(total, **parts)
        if (update := next(updates, None)) is not None:
            callback = _Critic(self, task, critic, chain([update], updates), total)
            model.learn((total - update + 1) * rollout, callback=callback, reset_num_timesteps=False)
        return policy

    def starting(self, base: ActorCriticPolicy) -> ActorCriticPolicy:
        """Return the policy to train."""
        return clone(base)

    def third_coefficient(self) -> float:
        """Return the weight of the loss's third term, which here is SB3's entropy bonus: none."""
        return 0.0


class _Episodes:
    """Where SB3 and its environments stand in their episodes, to go on from."""

    def __init__(self, model: stable_baselines3.PPO) -> None:
        self._model = model
        self._env: TaskVecEnv = model.get_env()

    def state_dict(self) -> State:
        """Return steps and updates so far, the last successes, and the environments."""
        model = self._model
        return {
            "steps": model.num_timesteps,
            "updates": model._n_updates,
            "success": list(model.ep_success_buffer),
            "env": self._env.stepper.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Go on where `state` was taken. What SB3's `learn` finds set it leaves as it is, if told not to count from 0."""
        model, stepper = self._model, self._env.stepper
        model.num_timesteps, model._n_updates = state["steps"], state["updates"]
        stepper.load_state_dict(state["env"])
        model._last_obs, model._last_episode_starts = stepper.observation, stepper.length == 0
        model.ep_info_buffer, model.ep_success_buffer = deque(maxlen=model._stats_window_size), deque(state["success"], maxlen=model._stats_window_size)


class _Critic(BaseCallback):
    """Fits the critic to each rollout's returns, freezes the actor during warm-up, and gives the updates their threads."""

    def __init__(self, settings: PPO, task: TaskHandle, optimizer: torch.optim.Adam, updates: Iterator[int], total: int) -> None:
        super().__init__()
        self._settings, self._task, self._optimizer, self._updates, self._total = settings, task, optimizer, updates, total
        self._update = 0

    def _on_training_start(self) -> None:
        self._rollout_threads = torch.get_num_threads()
        self._actor = [parameter for parameter in actor_parameters(self.model.policy) if parameter.requires_grad]

    def _on_rollout_start(self) -> None:
        torch.set_num_threads(self._rollout_threads)
        # SB3 trains after the rollout; so the update before this rollout is complete now.
        if self._update:
            self._report()
        self._update = next(self._updates)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        torch.set_num_threads(self._task.torch_threads)
        settings, policy = self._settings, self.model.policy
        _learns(critic_parameters(policy), True)
        for _ in range(settings.critic_epochs):
            for batch in self.model.rollout_buffer.get(settings.batch_size):
                loss = torch.nn.functional.mse_loss(policy.predict_values(batch.observations).flatten(), batch.returns)
                self._optimizer.zero_grad()
                loss.backward()
                self._optimizer.step()
        # SB3 clips by the norm over all parameters, so none of the critic's gradients may be left in it.
        self._optimizer.zero_grad()
        # With vf_coef = 0 the critic has no part in SB3's loss; during warm-up it must stay, or no gradient is left.
        warming_up = self._update <= settings.warmup_iterations
        _learns(self._actor, not warming_up)
        _learns(critic_parameters(policy), warming_up)

    def _on_training_end(self) -> None:
        torch.set_num_threads(self._rollout_threads)
        self._report()
        next(self._updates, None)

    def _report(self) -> None:
        values, successes = self.model.logger.name_to_value, self.model.ep_success_buffer
        metrics = {key: float(values[f"train/{key}"]) for key in ("loss", "approx_kl", "clip_fraction") if f"train/{key}" in values}
        if successes:
            metrics["success"] = float(np.mean(successes))
        self._task.update(self.model.policy, self._update, self._total, **metrics)


def _learns(parameters: list[torch.nn.Parameter], wanted: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(wanted)
