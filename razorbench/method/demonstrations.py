"""Demonstration files, recorded from a scripted expert or made elsewhere, and checked before use."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as tensors_to_bytes

from razorbench import seeding
from razorbench.errors import FileDamaged, UsageError
from razorbench.method.data import ACTION_NOISE, Demonstrations
from razorbench.store import bounded
from razorbench.store.disk import near
from razorbench.task import Split, Task
from razorbench.world.rollout import Cell, play_expert

SUFFIX = ".safetensors"
_TENSORS = {"observations": torch.float32, "actions": torch.float32, "episode": torch.int64, "start": torch.int64}


def record(task: Task, style: str, episodes: int, seed: int, threads: int | None = None) -> Demonstrations:
    """Play noisy episodes of a scripted expert on TRAIN starts and return the successes, numbered from 0. Raises UsageError if there are none."""
    starts = int(seeding.generator("demos", task.id, style, seed).integers(2**31)) * 2**20 + np.arange(episodes)
    return successes([Cell(task, Split.TRAIN, starts)], style, threads)


def successes(cells: list[Cell], style: str | None, threads: int | None) -> Demonstrations:
    """Play noisy expert episodes and return the successes, numbered from 0. Raises UsageError if there are none."""
    played = play_expert(cells, style, noise=ACTION_NOISE, keep=True, threads=threads)
    if not played.success.any():
        raise UsageError(f"demos={style}: none of {len(played.success)} demonstrations of {cells[0].task.id} succeeded; choose another style")
    observations, actions, episode = played.pairs(played.success)
    # Number the successes without gaps.
    number = np.cumsum(played.success) - 1
    return Demonstrations(torch.from_numpy(observations), torch.from_numpy(actions), number[episode], played.start[played.success])


def choose(demos: Demonstrations, episodes: int, rng: np.random.Generator) -> Demonstrations:
    """Return a random subset of the episodes. episodes: their number. Raises UsageError if there are fewer."""
    recorded = len(demos.start)
    if episodes > recorded:
        raise UsageError(f"demos has {recorded} episodes, the method needs {episodes}: record more, or set budget.demo_episodes={recorded}")
    chosen = np.sort(rng.choice(recorded, episodes, replace=False))
    rows = np.flatnonzero(np.isin(demos.episode, chosen))
    index = torch.from_numpy(rows)
    return Demonstrations(demos.observations[index], demos.actions[index], np.searchsorted(chosen, demos.episode[rows]), demos.start[chosen])


def save(demos: Demonstrations, task: Task, style: str, path: Path) -> None:
    """Write demonstrations of a task as safetensors."""
    tensors = {"episode": torch.from_numpy(demos.episode), "start": torch.from_numpy(demos.start)}
    tensors |= {"observations": demos.observations, "actions": demos.actions}
    tensors = {name: tensors[name].to(kind).contiguous() for name, kind in _TENSORS.items()}
    path.write_bytes(tensors_to_bytes(tensors, {"task": task.id, "spec": task.fingerprint(), "style": style}))


def from_arrays(path: Path, task: Task) -> Demonstrations:
    """Read episodes of a task from a NumPy file with observations (M, O), actions (M, A) and episode (M,). Raises FileDamaged if they do not fit."""
    try:
        arrays = bounded.arrays(bounded.read(path))
        tensors = {name: torch.from_numpy(arrays[name]).to(kind) for name, kind in _TENSORS.items() if name != "start"}
    except (ValueError, KeyError, TypeError) as error:
        raise FileDamaged(f"--from {near(path)}: it cannot be read ({error}); write it with numpy.savez, with observations, actions and episode") from error
    tensors["start"] = torch.arange(len(tensors["episode"].unique()))
    if fault := _fault(tensors, task):
        raise FileDamaged(f"--from {near(path)}: {fault}")
    return Demonstrations(tensors["observations"], tensors["actions"], tensors["episode"].numpy(), tensors["start"].numpy())


def load(path: Path, task: Task) -> tuple[Demonstrations, str]:
    """Read demonstrations of a task, and the SHA-256 of their file.

    Raises FileDamaged if the file is missing, is not a safetensors file or has wrong shapes or values, UsageError if it belongs to another task or
    another version of it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            about = file.metadata() or {}
    except FileNotFoundError as error:
        raise FileDamaged(f"demos={near(path)}: there is no such file; record one with `razorbench demos`") from error
    except (SafetensorError, OSError) as error:
        raise FileDamaged(f"demos={near(path)}: not a safetensors file ({error}); record one with `razorbench demos`") from error
    if about.get("task") != task.id:
        raise UsageError(
            f"demos={near(path)}: it holds demonstrations of {about.get('task', 'no task that it names')}, the run is of {task.id}; give a file of this task"
        )
    if about.get("spec") != task.fingerprint():
        raise UsageError(f"demos={near(path)}: it was recorded with other physics, starts or success of {task.id}; record it again with `razorbench demos`")
    if fault := _fault(tensors, task):
        raise FileDamaged(f"demos={near(path)}: {fault}; record one with `razorbench demos`")
    episode, start = tensors["episode"].numpy(), tensors["start"].numpy()
    return Demonstrations(tensors["observations"], tensors["actions"], episode, start), hashlib.sha256(path.read_bytes()).hexdigest()


def _fault(tensors: dict[str, torch.Tensor], task: Task) -> str | None:
    """Return the fault of a file's tensors, or None."""
    dtypes = {name: tensor.dtype for name, tensor in tensors.items()}
    if dtypes != _TENSORS:
        return f"it holds {_kinds(dtypes)}, where {_kinds(_TENSORS)} are needed"
    decisions = len(tensors["observations"])
    episodes = len(tensors["start"])
    wanted = {
        "observations": (decisions, task.world.observation_size),
        "actions": (decisions, task.world.action_size),
        "episode": (decisions,),
        "start": (episodes,),
    }
    for name, shape in wanted.items():
        if tuple(tensors[name].shape) != shape:
            return f"{name} has shape {tuple(tensors[name].shape)}, where {shape} is needed"
    for name in ("observations", "actions"):
        if not torch.isfinite(tensors[name]).all():
            return f"{name} holds NaN or infinite values"
    if tensors["actions"].abs().max() > 1.0:
        return f"actions reach {float(tensors['actions'].abs().max()):.3g}, and they must lie in [-1, 1]"
    if tensors["episode"].unique().tolist() != list(range(episodes)):
        return f"episode must number decisions by the {episodes} episodes of start, 0 to {episodes - 1}"
    return None


def _kinds(kinds: dict[str, torch.dtype]) -> str:
    return ", ".join(f"{name} ({str(kind).removeprefix('torch.')})" for name, kind in sorted(kinds.items())) or "nothing"
