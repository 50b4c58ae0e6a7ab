"""Named randomness: every draw is a pure function of names and counters, so nothing depends on order or batch."""

from __future__ import annotations

import hashlib

import numpy as np

from razorbench.types import FloatArray, IntArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def key(*names: object) -> np.uint64:
    """Return a 64-bit key for a path of names, from SHA-256."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little"))


def generator(*names: object) -> np.random.Generator:
    """Return a fresh generator that belongs to a path of names."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def uniforms(stream: np.uint64 | IntArray, index: IntArray, count: int) -> FloatArray:
    """Draw uniforms in (0, 1) by counter, SplitMix64 (Steele, Lea and Flood 2014) over (stream, index, column).

    stream: one key or (N,) keys; index: (N,) non-negative; returns (N, count). A row depends on its own key and index only.
    """
    row = _mix(stream ^ _mix(np.asarray(index, dtype=np.uint64) + _GAMMA))
    column = np.arange(1, count + 1, dtype=np.uint64) * _GAMMA
    bits = _mix(row[:, None] + column[None, :]) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
