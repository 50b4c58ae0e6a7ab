"""Pretraining of a base policy: maximum likelihood on noisy demonstrations of the original skills, then its card and probe states."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.bases.base import CARD_SCHEMA, Recipe, sha256
from razorbench.bases.easy_rounds import introduce
from razorbench.errors import UsageError
from razorbench.measures import probe_states
from razorbench.measures.episodes import rate
from razorbench.method import demonstrations
from razorbench.method.data import ACTION_NOISE
from razorbench.policy import network
from razorbench.store.provenance import versions
from razorbench.task import SPLIT_SIZES, Split, Task, spaces
from razorbench.types import Settings
from razorbench.world.rollout import Cell, play_expert, play_policy

Say = Callable[[str], None]


def pretrain(recipe: Recipe, new_tasks: Sequence[Task], seed: int, folder: Path, say: Say) -> Settings:
    """Pretrain base `<name>-s<seed>` into a folder and return its card.

    Writes `<id>.safetensors`, `<id>-probe.safetensors.gz` and, last, `<id>.json`. new_tasks: tasks to measure in addition to the skills. say: takes
    progress lines. TEST success is only reported in the card; it selects nothing.
    """
    with network.one_thread():
        return _pretrain(recipe, new_tasks, seed, folder, say)


def _pretrain(recipe: Recipe, new_tasks: Sequence[Task], seed: int, folder: Path, say: Say) -> Settings:
    began = time.perf_counter()
    id = f"{recipe.name}-s{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    observations, actions = _demonstrations(recipe, seed)
    say(f"{len(observations)} decisions demonstrated in {time.perf_counter() - began:.0f} s")
    tuned = _fit(recipe, observations, actions, seed, say)
    shares: dict[str, float] = dict(recipe.shares)
    if recipe.rounds:
        tuned, shares = introduce(recipe, new_tasks, tuned, observations, actions, seed, say)
    weights, states = folder / f"{id}.safetensors", folder / f"{id}-probe.safetensors.gz"
    network.save(tuned, weights)
    skills = tuple(recipe.skills.values())
    tasks = (*skills, *new_tasks)
    probe_states.save(probe_states.draw(tuned, tasks, id), states)
    trained_s = time.perf_counter() - began
    say(f"trained in {trained_s:.0f} s; measuring on held-out starts")
    card = {
        "schema": CARD_SCHEMA,
        "id": id,
        "architecture": {"size": recipe.size, "actor": list(network.SIZES[recipe.size]), "critic": list(network.CRITIC), "head": recipe.head},
        "recipe": {
            "seed": seed,
            "episodes_per_skill": recipe.episodes,
            "easy_shares": shares,
            "action_noise": ACTION_NOISE,
            "epochs": recipe.epochs,
            "batch_size": recipe.batch_size,
            "learning_rate": recipe.learning_rate,
            "rounds": recipe.rounds,
            **({"demos": {skill: sha256(Path(file)) for skill, file in recipe.demos.items()}} if recipe.demos else {}),
        },
        "sha256": {"policy": sha256(weights), "probe": sha256(states)},
        "tasks": {task.name: task.fingerprint() for task in tasks},
        "success": {split.value: success(tuned, tasks, split) for split in (Split.SELECT, Split.TEST)},
        "versions": versions(),
        "trained_s": round(trained_s, 1),
    }
    (folder / f"{id}.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return card


def success(tuned: ActorCriticPolicy, tasks: Sequence[Task], split: Split) -> dict[str, dict[str, Settings]]:
    """Return the success of each task and mode over a whole split, with Wilson intervals."""
    index = np.arange(SPLIT_SIZES[split])
    cells = [Cell(task, split, index, mode) for task in tasks for mode in ("greedy", "sampled")]
    played = play_policy(tuned, cells)
    rates: dict[str, dict[str, Settings]] = {task.name: {} for task in tasks}
    for k, cell in enumerate(cells):
        rates[cell.task.name][cell.mode] = rate(played.of(k).success).plain()
    return rates


def _demonstrations(recipe: Recipe, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return observations (M, O) and actions (M, A) of successful noisy demonstrations: all skills, and without rounds also the shares of easy variants.

    A skill with a file is demonstrated by all episodes of that. Raises UsageError for a skill with neither a file nor a scripted expert.
    """
    if unknown := sorted(set(recipe.demos) - set(recipe.skills)):
        raise UsageError(f"base.demos names {', '.join(unknown)}: no such skill of {recipe.name}; there are {', '.join(recipe.skills)}")
    offset = seed * 2**20
    scripted = {name: task for name, task in recipe.skills.items() if name not in recipe.demos}
    if mute := [name for name, task in scripted.items() if not task.experts]:
        raise UsageError(f"base={recipe.name}: {', '.join(mute)} has no scripted expert; give files of demonstrations under `demos` in the base's yaml")
    filed = [demonstrations.load(Path(file), recipe.skills[name])[0] for name, file in recipe.demos.items()]
    cells = [Cell(task, Split.TRAIN, offset + np.arange(recipe.episodes)) for task in scripted.values()]
    for name, task in () if recipe.rounds else recipe.easy.items():
        count = round(recipe.shares[name] * recipe.episodes * len(recipe.skills))
        cells.append(Cell(task, Split.TRAIN, offset + np.arange(count)))
    parts = [(demos.observations, demos.actions) for demos in filed]
    if cells:
        played = play_expert(cells, noise=ACTION_NOISE, keep=True)
        observations, actions, _ = played.pairs(played.success)
        parts.append((torch.from_numpy(observations), torch.from_numpy(actions)))
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _fit(recipe: Recipe, observations: torch.Tensor, actions: torch.Tensor, seed: int, say: Say) -> ActorCriticPolicy:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        observation_space, action_space = spaces(next(iter(recipe.skills.values())))
        model = network.build(observation_space, network.native_space(recipe.head, action_space), network.SIZES[recipe.size])
    rng = seeding.generator("pretrain", recipe.name, seed)
    per_epoch = len(observations) // recipe.batch_size
    optimizer = network.actor_optimizer(model, recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=recipe.epochs * per_epoch, pct_start=0.1)
    for epoch in range(recipe.epochs):
        order = torch.from_numpy(rng.permutation(len(observations)))
        for index in order[: per_epoch * recipe.batch_size].split(recipe.batch_size):
            loss = -network.log_likelihood(model, observations[index], actions[index]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.actor_parameters(model), 1.0)
            optimizer.step()
            schedule.step()
        if (epoch + 1) % 10 == 0:
            say(f"epoch {epoch + 1} of {recipe.epochs}: negative log-likelihood {loss.item():.3f} nats per decision")
    return model.eval()
