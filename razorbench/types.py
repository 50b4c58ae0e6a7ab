"""Array types used in signatures; shapes and units stand in each docstring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
Settings = Mapping[str, Any]
"""Plain data of a configuration, by key."""
State = Mapping[str, Any]
"""All that a part needs to resume: nested mappings, lists and tuples of tensors, arrays, numbers, words and None."""
Identity = Mapping[str, Any]
"""All that makes two things the same, as plain data: what a hash is taken of."""
Measurements = Mapping[str, Any]
"""Rates and times of `razorbench bench`, by name, as its JSON file holds them."""
Info = dict[str, Any]
"""Gymnasium's `info`."""
