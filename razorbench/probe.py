"""Probe states, a fixed set per base policy and task, and the divergences between two policies on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.errors import FileDamaged
from razorbench.evaluate import Cell, Played, play_policy
from razorbench.policy import distribution
from razorbench.task import SPLIT_SIZES, Split, Task
from razorbench.types import FloatArray, IntArray

STATES = 1024
WHOLE_EPISODES = 32


@dataclass(frozen=True)
class Probe:
    """Where a base policy's divergences are measured for one task.

    states: (M, O), drawn without replacement from all decisions of the base's sampled episodes on the PROBE starts,
    M = 1024 or all there are. whole: (K, O), all decisions of the first 32 of these episodes; episode: (K,) which.
    """

    states: FloatArray
    whole: FloatArray
    episode: IntArray


def visited(policy: ActorCriticPolicy, tasks: Sequence[Task]) -> list[Played]:
    """Play a policy's sampled episodes on the PROBE starts of each task, with states."""
    index = np.arange(SPLIT_SIZES[Split.PROBE])
    return [play_policy(policy, [Cell(task, Split.PROBE, index, "sampled")], keep=True) for task in tasks]


def draw(policy: ActorCriticPolicy, tasks: Sequence[Task], name: str) -> dict[str, Probe]:
    """Draw the probe states of a base policy called `name`."""
    probes = {}
    for task, played in zip(tasks, visited(policy, tasks), strict=True):
        states, _, episode = played.pairs()
        first = episode < WHOLE_EPISODES
        probes[task.name] = Probe(choose_states(states, name, task.id), states[first], episode[first])
    return probes


def choose_states(states: FloatArray, *names: str) -> FloatArray:
    """Choose 1024 of the states (M, O) at random, or all if there are fewer, in their order."""
    rng = seeding.generator("probe", *names)
    chosen = rng.choice(len(states), min(STATES, len(states)), replace=False)
    return states[np.sort(chosen)]


def save(probes: Mapping[str, Probe], path: Path) -> None:
    """Write probe states as safetensors."""
    tensors = {}
    for name, probe in probes.items():
        tensors |= {f"{name}/states": probe.states, f"{name}/whole": probe.whole, f"{name}/episode": probe.episode.astype(np.int32)}
    save_file(tensors, path)


def load(path: Path) -> dict[str, Probe]:
    """Read what `save` wrote; raises FileDamaged if it is missing or anything else."""
    try:
        tensors = load_file(path)
        names = sorted({key.split("/")[0] for key in tensors})
        return {name: Probe(tensors[f"{name}/states"], tensors[f"{name}/whole"], tensors[f"{name}/episode"]) for name in names}
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise FileDamaged(f"probe states {path} cannot be read ({error}): restore the file or rebuild the base with `razorbench pretrain`") from error


def divergences(
    base: ActorCriticPolicy,
    policy: ActorCriticPolicy,
    probes: Mapping[str, Probe],
    task: Task,
    skills: Sequence[Task],
    tuned_states: FloatArray | None = None,
) -> dict[str, dict[str, float]]:
    """Return forward and reverse KL between base and policy on every state set, nats per decision.

    `new`: the base's states on the new task, with the mean part, the variance part and the version with the base's
    sigma in both, and the mean over episodes of the sum over their decisions (the KL of trajectories, by the chain
    rule). `new_instructed`: the same states, asked for each original skill's instruction other than the new task's
    own. `original`: the base's states on each original skill, averaged over skills. `new_tuned_states`: states
    (M, O) that the policy itself visits on the new task, if given.
    """
    probe = probes[task.name]
    instructed = _instructed(probe.states, task, skills)
    sets = {"new": probe.states, "new_instructed": instructed, "original": np.concatenate([probes[s.name].states for s in skills])}
    if tuned_states is not None:
        sets["new_tuned_states"] = tuned_states
    forward: dict[str, float] = {}
    reverse: dict[str, float] = {}
    for key, states in sets.items():
        p, q = distribution(base, states), distribution(policy, states)
        there, back = p.kl(q), q.kl(p)
        if key == "original":
            ends = np.cumsum([len(probes[s.name].states) for s in skills])[:-1]
            forward[key], reverse[key] = (float(np.mean([part.mean() for part in np.split(kl, ends)])) for kl in (there, back))
            continue
        forward[key], reverse[key] = float(there.mean()), float(back.mean())
        if key == "new":
            forward["new_mean_part"] = float(p.kl_mean_part(q).mean())
            forward["new_variance_part"] = float(p.kl_variance_part(q).mean())
            forward["new_common_sigma"] = float(p.kl_common_sigma(q).mean())
    whole = distribution(base, probe.whole).kl(distribution(policy, probe.whole))
    forward["new_episode_sum"] = float(whole.sum() / len(np.unique(probe.episode)))
    return {"kl_forward": forward, "kl_reverse": reverse}


def _instructed(states: FloatArray, task: Task, skills: Sequence[Task]) -> FloatArray:
    """States with the instruction replaced by each original skill's, other than the one that the task itself uses."""
    columns = task.world.instruction
    copies = []
    for slot in sorted({skill.slot for skill in skills} - {task.slot}):
        copy = states.copy()
        copy[:, columns] = 0.0
        copy[:, columns.start + slot] = 1.0
        copies.append(copy)
    return np.concatenate(copies)
