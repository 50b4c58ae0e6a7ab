"""Introduction of new tasks to a base policy: further training until it begins to solve each of them.

The amount of easy-variant data before the first success varies more between seeds than the bars on new-task success allow, so no fixed share meets
them. Instead, each round trains on the original skills and on the easy variants of the new tasks that the policy solves too rarely; their part of the
batch grows round by round until it solves them. The round nearest to the bars is kept. Only SELECT starts decide. A new task without an easy variant is
demonstrated itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.bases.base import Recipe
from razorbench.method.data import ACTION_NOISE
from razorbench.policy import network
from razorbench.task import Split, Task
from razorbench.world.rollout import Cell, play_expert, play_policy

_STEPS = 50  # gradient steps per round
_RATES = (1e-3, 3e-4)  # learning rates, geometric: start large to reach the new tasks, end small so that their success does not grow past the bar
_POOL = 300  # demonstrations of each new task
_FIRST, _GROWTH, _MOST = 20, 1.4, 600  # decisions of a new task per minibatch: first round, growth per round, limit
_STARTS = 200  # per task and round
_ENOUGH = 0.06  # sampled success above which a task is not demonstrated any more
_NEW = (0.04, 0.37)  # the bars, sampled .02 to .40, minus the error of 200 starts
_SKILL, _WEIGHT = 0.96, 5.0  # the bar, greedy .95, plus a margin; a lost skill has a higher weight than a late new task


def introduce(
    recipe: Recipe,
    new_tasks: Sequence[Task],
    tuned: ActorCriticPolicy,
    observations: torch.Tensor,
    actions: torch.Tensor,
    seed: int,
    say: Callable[[str], None],
) -> tuple[ActorCriticPolicy, dict[str, float]]:
    """Return the policy of the best round, and each new task's share of its training data.

    tuned: the policy to train further; observations (M, O), actions (M, A): its training data; say: takes progress lines.
    """
    pools = _pools({task.name: recipe.easy.get(task.name, task) for task in new_tasks}, seed)
    rng = seeding.generator("introduce", recipe.name, seed)
    optimizer = network.actor_optimizer(tuned, _RATES[0])
    rates = np.geomspace(*_RATES, recipe.rounds)
    part = dict.fromkeys(pools, float(_FIRST))
    drawn = dict.fromkeys(pools, 0)
    new, miss = _measure(recipe, new_tasks, tuned)
    best, least, shares, chosen = network.clone(tuned), miss, dict.fromkeys(pools, 0.0), 0
    for number in range(1, recipe.rounds + 1):
        if least == 0.0:
            break
        lacking = [name for name in pools if new[name] < _ENOUGH]
        counts = {name: round(part[name]) for name in lacking}
        optimizer.param_groups[0]["lr"] = float(rates[number - 1])
        _train(tuned, optimizer, (observations, actions), {name: (pools[name], counts[name]) for name in lacking}, recipe.batch_size, rng)
        new, miss = _measure(recipe, new_tasks, tuned)
        for name in lacking:
            drawn[name] += _STEPS * counts[name]
            part[name] = min(part[name] * _GROWTH, _MOST) if new[name] < _ENOUGH else part[name] / 2
        if miss < least:
            total = recipe.epochs * len(observations) + number * _STEPS * recipe.batch_size + sum(drawn.values())
            best, least, chosen = network.clone(tuned), miss, number
            shares = {name: round(count / total, 6) for name, count in drawn.items()}
        if number % 5 == 0:
            say(f"round {number}: {len(lacking)} new tasks demonstrated, {miss:.3f} off the bars")
    say(f"kept round {chosen}, {least:.3f} off the bars")
    return best, shares


def _pools(tasks: Mapping[str, Task], seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    pools = {}
    for name, task in tasks.items():
        played = play_expert([Cell(task, Split.TRAIN, seed * 2**20 + np.arange(_POOL))], noise=ACTION_NOISE, keep=True)
        observations, actions, _ = played.pairs(played.success)
        pools[name] = torch.from_numpy(observations), torch.from_numpy(actions)
    return pools


def _train(
    tuned: ActorCriticPolicy,
    optimizer: torch.optim.Optimizer,
    skills: tuple[torch.Tensor, torch.Tensor],
    easy: dict[str, tuple[tuple[torch.Tensor, torch.Tensor], int]],
    batch_size: int,
    rng: np.random.Generator,
) -> None:
    tuned.train()
    for _ in range(_STEPS):
        parts = []
        for (observations, actions), count in [(skills, batch_size), *easy.values()]:
            index = torch.from_numpy(rng.integers(len(observations), size=count))
            parts.append((observations[index], actions[index]))
        loss = -network.log_likelihood(tuned, torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.actor_parameters(tuned), 1.0)
        optimizer.step()
    tuned.eval()


def _measure(recipe: Recipe, new_tasks: Sequence[Task], tuned: ActorCriticPolicy) -> tuple[dict[str, float], float]:
    """Return the sampled success of the new tasks, and the weighted sum of the distances of tasks and skills to their bars."""
    index = np.arange(_STARTS)
    skills = tuple(recipe.skills.values())
    cells = [*(Cell(task, Split.SELECT, index, "sampled") for task in new_tasks), *(Cell(task, Split.SELECT, index) for task in skills)]
    played = play_policy(tuned, cells)
    rates = [float(played.of(k).success.mean()) for k in range(len(cells))]
    new, old = rates[: len(new_tasks)], rates[len(new_tasks) :]
    miss = sum(max(_NEW[0] - rate, rate - _NEW[1], 0.0) for rate in new) + _WEIGHT * sum(max(_SKILL - rate, 0.0) for rate in old)
    return {task.name: rate for task, rate in zip(new_tasks, new, strict=True)}, miss
