"""Goals of a skill in a scene that is not its own."""

from __future__ import annotations

from razorbench.envs import layout
from razorbench.envs.experts import UP
from razorbench.envs.physics import Readings
from razorbench.task import Goals
from razorbench.types import FloatArray

_AIR = ((0.40, -0.15, 0.12), (0.60, 0.15, 0.28))
"""Free region of the air for the tool and a carried object, m."""


def anywhere() -> Goals:
    """Return a function to goals (N, 4) near the object, above it, in the air, and at every fixture."""
    return _anywhere


def _anywhere(r: Readings, u: FloatArray) -> list[FloatArray]:
    places = [layout.nearby(r.object, u), r.object + 0.12 * UP, layout.spread(u[:, 13:16], *_AIR), r.handle, r.button, r.lever]
    return [layout.goals(place) for place in places]
