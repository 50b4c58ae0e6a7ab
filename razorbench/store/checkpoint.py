"""Checkpoints, from which a killed run resumes: the state at update boundaries, one file for each loop of its method.

A file holds a seal (the run's hash, and a digest of all that follows), a line of JSON, and tensors as safetensors. A run trusts only checkpoints of the
same run, code and package versions. It sets others aside and starts again.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from razorbench.errors import FileDamaged, Unreadable
from razorbench.store.disk import exists, near, seal, unseal
from razorbench.store.folder import RunFolder
from razorbench.types import State

log = logging.getLogger("razorbench")

_SHARE = 1 / 50
"""Largest share of a run's time that saving may take."""


class Checkpoints:
    """The states of one adaptation, in `<run>/<name>/`, numbered by loop.

    code: identity of the code that writes the states; a run loads only states of the same code. along(): returns the run's own state as plain data; called
    at each save.
    """

    def __init__(self, folder: RunFolder, name: str, code: State, along: Callable[[], State]) -> None:
        self.name = name
        self._folder, self._code, self._along = folder, dict(code), along
        self._saved, self._cost = time.perf_counter(), 0.0

    def latest(self) -> State | None:
        """Return the run's own state from the newest valid checkpoint, or None. Sets invalid checkpoints aside.

        Raises Unreadable if the file system cannot read a file: the file may be intact.
        """
        try:
            states = [read_state(self._path(loop), self._folder.hash) for loop in self._loops()]
        except Unreadable:
            raise
        except FileDamaged as error:
            self.distrust(str(error))
            return None
        if any(state["code"] != self._code for state in states):
            self.distrust("other code or package versions wrote this run's checkpoints")
            return None
        if not states:
            return None
        log.info("continues after update %d of %d", states[-1]["update"], states[-1]["total"])
        along: State = states[-1]["along"]
        return along

    def load(self, loop: int) -> State | None:
        """Return the last state of a loop, or None."""
        return read_state(self._path(loop), self._folder.hash) if exists(self._path(loop)) else None

    def save(self, loop: int, update: int, total: int, state: Callable[[], State]) -> None:
        """Save the state after an update, if it is the loop's last or if saving stays within its share of the time."""
        began = time.perf_counter()
        if update < total and began - self._saved < self._cost / _SHARE:
            return
        whole = {"code": self._code, "update": update, "total": total, "along": dict(self._along()), **state()}
        self._folder.write(self._path(loop), lambda path: write_state(whole, path, self._folder.hash))
        self._saved = time.perf_counter()
        self._cost = self._saved - began

    def distrust(self, why: str) -> None:
        """Set all states aside and log why."""
        log.warning("%s; the checkpoints are set aside, and the run starts again", why)
        self._folder.set_aside(self.name)

    def _loops(self) -> list[int]:
        """Return the numbers of the loops with a state, in order, and ignore other files. Raises FileDamaged if one is missing."""
        if not exists(self._folder.path / self.name):
            return []
        matches = (re.fullmatch(r"loop(0|[1-9]\d{0,8})\.state", name) for name in os.listdir(self._folder.path / self.name))
        loops = sorted(int(match[1]) for match in matches if match)
        if loops != list(range(len(loops))):
            raise FileDamaged(f"{near(self._folder.path / self.name)} lacks the state of a loop before loop {loops[-1]}")
        return loops

    def _path(self, loop: int) -> Path:
        return self._folder.path / self.name / f"loop{loop}.state"


def write_state(state: Any, path: Path, owner: str) -> None:
    """Write nested mappings, lists and tuples of tensors, arrays, numbers, strings and None. owner: one word that identifies the owner of the state."""
    tensors: dict[str, torch.Tensor] = {}
    shape = json.dumps(_pack(state, tensors))
    # save_file would report a full disk by an error of its own.
    path.write_bytes(seal(shape.encode() + b"\n" + save(tensors), owner))


def read_state(path: Path, owner: str) -> Any:
    """Read a file of `write_state`. Raises FileDamaged if it is not one or has another owner, Unreadable if the file system cannot read it."""
    shape, _, tensors = unseal(path, owner).partition(b"\n")
    try:
        return _unpack(json.loads(shape), load(tensors).__getitem__)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise FileDamaged(f"{near(path)} is not a checkpoint of this version ({error})") from error


def _pack(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the JSON form of a node. A type that JSON lacks becomes a list of its kind and its content; tensors are added to `tensors`."""
    if isinstance(node, torch.Tensor | np.ndarray):
        name = str(len(tensors))
        # A copy, because safetensors refuses tensors that share memory.
        tensors[name] = node.detach().clone().contiguous() if isinstance(node, torch.Tensor) else torch.from_numpy(node.copy())
        # Fused optimizers go through memory in order, so a parameter's moments need the parameter's strides.
        return ["tensor", [name, torch.empty_like(node).stride()]] if isinstance(node, torch.Tensor) else ["array", name]
    if isinstance(node, Mapping):
        return ["mapping", [[key, _pack(value, tensors)] for key, value in node.items()]]
    if isinstance(node, list | tuple):
        return [type(node).__name__, [_pack(value, tensors) for value in node]]
    if node is None or isinstance(node, bool | int | float | str):
        return node
    if isinstance(node, np.generic):
        return node.item()
    raise TypeError(f"a checkpoint cannot hold {type(node).__name__}: give tensors, arrays, numbers, words, or mappings and lists of these")


def _unpack(node: Any, tensor: Callable[[str], torch.Tensor]) -> Any:
    if not isinstance(node, list):
        return node
    kind, content = node
    if kind == "array":
        return tensor(content).numpy()
    if kind == "tensor":
        stored, strides = tensor(content[0]), content[1]
        return torch.empty_strided(stored.shape, strides, dtype=stored.dtype).copy_(stored)
    if kind == "mapping":
        return {key: _unpack(value, tensor) for key, value in content}
    values = [_unpack(value, tensor) for value in content]
    return tuple(values) if kind == "tuple" else values
