"""What a killed run goes on from: state at update boundaries, one file for each loop of its method.

A file holds tensors as safetensors and the rest as JSON in the header, so that both are there or neither. It is trusted
only by the code and the package versions that wrote it; with others the run begins anew.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from razorbench.errors import FileDamaged
from razorbench.store import RunFolder

log = logging.getLogger("razorbench")

_SHARE = 1 / 50
"""Of a run's time, what saving may take."""


class Checkpoints:
    """The states of one adaptation: kept in `<run>/<name>/`, numbered by loop.

    code: what wrote the states, compared before they are trusted. along(): called at each save, returns what the run itself
    needs to go on, as plain data.
    """

    def __init__(self, folder: RunFolder, name: str, code: Mapping[str, Any], along: Callable[[], Mapping[str, Any]]) -> None:
        self.name = name
        self._folder, self._code, self._along = folder, dict(code), along
        self._saved, self._cost = time.perf_counter(), 0.0

    def latest(self) -> Mapping[str, Any] | None:
        """Return what `along` returned at the last save, or None if there is none to trust; what cannot be trusted is removed."""
        try:
            loops = sorted((self._folder.path / self.name).glob("loop*.safetensors"), key=lambda path: int(path.stem[4:]))
            states = [read_state(path) for path in loops]
        except FileDamaged as error:
            log.warning("%s; the run begins anew", error)
            self.clear()
            return None
        if any(state["code"] != self._code for state in states):
            log.warning("what there is of this run was written by other code or package versions; the run begins anew")
            self.clear()
            return None
        if not states:
            return None
        log.info("continues after update %d of %d", states[-1]["update"], states[-1]["total"])
        along: Mapping[str, Any] = states[-1]["along"]
        return along

    def load(self, loop: int) -> Mapping[str, Any] | None:
        """Return the last state of a loop, or None."""
        path = self._folder.path / self._file(loop)
        return read_state(path) if path.exists() else None

    def save(self, loop: int, update: int, total: int, state: Callable[[], Mapping[str, Any]]) -> None:
        """Keep the state after an update, if it is the loop's last or if enough time has passed for its cost."""
        began = time.perf_counter()
        if update < total and began - self._saved < self._cost / _SHARE:
            return
        whole = {"code": self._code, "update": update, "total": total, "along": dict(self._along()), **state()}
        self._folder.write(self._file(loop), lambda path: write_state(whole, path))
        self._saved = time.perf_counter()
        self._cost = self._saved - began

    def clear(self) -> None:
        """Remove all states."""
        shutil.rmtree(self._folder.path / self.name, ignore_errors=True)

    def _file(self, loop: int) -> str:
        return f"{self.name}/loop{loop}.safetensors"


def write_state(state: Any, path: Path) -> None:
    """Write nested mappings, lists and tuples of tensors, arrays, numbers, words and None."""
    tensors: dict[str, torch.Tensor] = {}
    shape = _pack(state, tensors)
    # Not by save_file, which tells of a full disk by an error of its own.
    path.write_bytes(save(tensors, metadata={"state": json.dumps(shape)}))


def read_state(path: Path) -> Any:
    """Read what `write_state` wrote; raises FileDamaged if it is anything else."""
    try:
        with safe_open(path, framework="pt") as file:
            return _unpack(json.loads(file.metadata()["state"]), file.get_tensor)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise FileDamaged(f"checkpoint {path} cannot be read ({error}): it is damaged or cut short") from error


def _pack(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The JSON form of a node: what JSON lacks stands in a list, its kind first. Tensors are collected beside."""
    if isinstance(node, torch.Tensor | np.ndarray):
        name = str(len(tensors))
        # A copy, because safetensors refuses tensors that share memory.
        tensors[name] = node.detach().clone().contiguous() if isinstance(node, torch.Tensor) else torch.from_numpy(node.copy())
        # Fused optimisers walk through memory, so a parameter's moments must lie there as it does itself.
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
