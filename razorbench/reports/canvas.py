"""Matplotlib's settings for every picture here: its own defaults, whatever the environment and its files say. No picture needs a window or pyplot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib

_PLAIN: Any = {"text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False}
"""A name with a dollar is no formula."""


@contextmanager
def style(settings: Mapping[str, Any]) -> Iterator[None]:
    """Draw in Matplotlib's own defaults, without the upper and right spine, and these settings; what was set before comes back after the block."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_PLAIN | dict(settings))
        yield
