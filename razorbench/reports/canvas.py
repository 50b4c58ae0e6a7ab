"""Matplotlib settings of all pictures: its defaults, regardless of the environment and of matplotlibrc files. No picture needs a window or pyplot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib

_PLAIN: Any = {"text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False}
"""A dollar in a name must not start a formula."""


@contextmanager
def style(settings: Mapping[str, Any]) -> Iterator[None]:
    """Draw with Matplotlib's defaults, without the upper and right spine, and with these settings; restore the previous settings after the block."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_PLAIN | dict(settings))
        yield
