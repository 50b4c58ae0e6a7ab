"""Probe states, a fixed set per base policy and task, and the divergences between two policies on them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.errors import FileDamaged
from razorbench.measures.divergence import PER_STATE, tv_and_js
from razorbench.policy.distributions import Gaussian
from razorbench.policy.network import BLOCK, distribution
from razorbench.store.folder import content
from razorbench.task import SPLIT_SIZES, Split, Task, asking, has_other_slots, other_slots
from razorbench.types import FloatArray
from razorbench.world.rollout import Cell, Played, play_policy

STATES = 1024
DRAWS = 2**14
"""Draws per policy, over all states of a set, for the divergences without a closed form."""


@dataclass(frozen=True)
class Probe:
    """Probe states of a base policy and a task, float32 rounded to half precision.

    states: (M, O), drawn without replacement from all decisions of the base's sampled episodes on the PROBE starts,
    M = 1024 or all of them if there are fewer. episode_length: mean decisions of these episodes.
    """

    states: FloatArray
    episode_length: float


def visited(policy: ActorCriticPolicy, tasks: Sequence[Task]) -> list[Played]:
    """Play a policy's sampled episodes on the PROBE starts of each task, with states."""
    index = np.arange(SPLIT_SIZES[Split.PROBE])
    return [play_policy(policy, [Cell(task, Split.PROBE, index, "sampled")], keep=True) for task in tasks]


def draw(policy: ActorCriticPolicy, tasks: Sequence[Task], name: str) -> dict[str, Probe]:
    """Draw the probe states of a base policy called `name`."""
    probes = {}
    for task, played in zip(tasks, visited(policy, tasks), strict=True):
        states = played.pairs()[0].astype(np.float16).astype(np.float32)
        probes[task.name] = Probe(choose_states(states, name, task.id), float(played.length.mean()))
    return probes


def choose_states(states: FloatArray, *names: str) -> FloatArray:
    """Choose 1024 of the states (M, O) at random, or all if there are fewer, in their order."""
    rng = seeding.generator("probe", *names)
    chosen = rng.choice(len(states), min(STATES, len(states)), replace=False)
    return states[np.sort(chosen)]


def some(probes: Mapping[str, Probe]) -> FloatArray:
    """Return a block of each task's probe states, (M, O): enough to tell whether two policies are equal."""
    return np.concatenate([probe.states[:BLOCK] for probe in probes.values()])


def save(probes: Mapping[str, Probe], path: Path) -> None:
    """Write probe states as gzipped safetensors in half precision, the same bytes for the same states."""
    tensors: dict[str, FloatArray] = {}
    for name, probe in sorted(probes.items()):
        tensors |= {f"{name}/states": probe.states.astype(np.float16), f"{name}/episode_length": np.array(probe.episode_length)}
    path.write_bytes(gzip.compress(safetensors.numpy.save(tensors), mtime=0))


def load(path: Path) -> dict[str, Probe]:
    """Read probe states from `save`. Raises FileDamaged if the file is missing or malformed."""
    try:
        tensors = safetensors.numpy.load(content(path))
        names = sorted({key.split("/")[0] for key in tensors})
        return {name: Probe(tensors[f"{name}/states"].astype(np.float32), float(tensors[f"{name}/episode_length"])) for name in names}
    except (SafetensorError, KeyError, ValueError) as error:
        raise FileDamaged(f"probe states {path} cannot be read ({error}): restore the file or rebuild the base with `razorbench pretrain`") from error


class Ruler:
    """Measures the divergence of a policy from its base on the state sets of one new task.

    `new`: the base's states on the new task. For Gaussians also the KL's mean part, its variance part, and the KL with the base's sigma in both.
    `new_episode_sum`: the KL per episode (of trajectories, by the chain rule), which is the mean over decisions times the mean episode length.
    `new_instructed`: the same states under each original skill's instruction that differs from the new task's.
    `random`: the same states plus noise of standard deviation 1 on every entry, each under one such instruction. Like `new_instructed` it needs only
    the instructions of the old tasks. Both are missing if no original skill has another instruction than the new task.
    `original`: the base's states on each original skill, averaged over skills.
    `new_tuned_states`: states that the fine-tuned policy visits on the new task, if given.
    """

    def __init__(self, base: ActorCriticPolicy, probes: Mapping[str, Probe], task: Task, skills: Sequence[Task]) -> None:
        self._base, self._probe, self._action_size = base, probes[task.name], task.world.action_size
        self._sets = {
            "new": self._probe.states,
            "original": np.concatenate([probes[skill.name].states for skill in skills]),
        }
        if has_other_slots(task, skills):
            self._sets |= {"new_instructed": _instructed(self._probe.states, task, skills), "random": _random(self._probe.states, task, skills)}
        self._ends = np.cumsum([len(probes[skill.name].states) for skill in skills])[:-1]
        self._distributions = {key: distribution(base, states) for key, states in self._sets.items()}
        self._uniforms = {key: _uniforms(key, len(states), task.world.action_size) for key, states in self._sets.items()}

    def measure(self, policy: ActorCriticPolicy, tuned_states: FloatArray | None = None) -> dict[str, dict[str, float]]:
        """Return every divergence between base and policy on every state set. tuned_states: (M, O).

        `kl_forward`, `kl_reverse`, `js`: nats per decision. `tv`: total variation. `w2`: root mean squared 2-Wasserstein distance. `action_mse`: mean
        squared difference of the greedy actions per dimension; both in action units, box [-1, 1]. `moved`: share of states whose greedy action moves
        by more than 0.3.
        """
        pairs = {key: (p, distribution(policy, self._sets[key])) for key, p in self._distributions.items()}
        uniforms = dict(self._uniforms)
        if tuned_states is not None:
            pairs["new_tuned_states"] = (distribution(self._base, tuned_states), distribution(policy, tuned_states))
            uniforms["new_tuned_states"] = _uniforms("new_tuned_states", len(tuned_states), self._action_size)
        base, tuned = pairs["new"]
        measured: dict[str, dict[str, float]] = {name: {} for name in ("kl_forward", "kl_reverse", "js", "tv", "w2", "action_mse", "moved")}
        measured["kl_forward"]["new_episode_sum"] = float(base.kl(tuned).mean()) * self._probe.episode_length
        if isinstance(base, Gaussian) and isinstance(tuned, Gaussian):
            measured["kl_forward"]["new_mean_part"] = float(base.kl_mean_part(tuned).mean())
            measured["kl_forward"]["new_variance_part"] = float(base.kl_variance_part(tuned).mean())
            measured["kl_forward"]["new_common_sigma"] = float(base.kl_common_sigma(tuned).mean())
        for key, (base, tuned) in pairs.items():
            tv, js = tv_and_js(base, tuned, uniforms[key])
            for name, per_state in PER_STATE.items():
                measured[name][key] = self._mean(key, per_state(base, tuned))
            measured["js"][key] = self._mean(key, js)
            measured["tv"][key] = self._mean(key, tv)
            measured["w2"][key] = self._mean(key, base.w2_squared(tuned)) ** 0.5
        return measured

    def _mean(self, key: str, values: FloatArray) -> float:
        """Return the mean over states; on `original` every skill has the same weight."""
        parts = np.split(values, self._ends) if key == "original" else [values]
        return float(np.mean([part.mean() for part in parts]))


def _uniforms(key: str, states: int, actions: int) -> FloatArray:
    """Return a state set's uniforms (S, states, actions), fixed and shared by all policies (common random numbers)."""
    draws = max(1, DRAWS // states)
    stream = seeding.key("draws", key)
    return seeding.uniforms(stream, np.arange(draws * states), actions).reshape(draws, states, actions)


def _instructed(states: FloatArray, task: Task, skills: Sequence[Task]) -> FloatArray:
    """Return the states under each original skill's instruction that differs from the task's, (K M, O)."""
    slots = other_slots(task, skills)
    return asking(task, np.tile(states, (len(slots), 1)), np.repeat(slots, len(states)))


def _random(states: FloatArray, task: Task, skills: Sequence[Task]) -> FloatArray:
    """Return noisy states, far from any that a policy visits, each under a random original skill's instruction, (M, O)."""
    rng = seeding.generator("random states", task.name)
    slots = rng.choice(other_slots(task, skills), len(states))
    return asking(task, states + rng.normal(size=states.shape).astype(np.float32), slots)
