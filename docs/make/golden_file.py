"""Writes golden trajectories of all registered tasks of MuJoCo models: `python docs/make/golden_file.py`."""

from __future__ import annotations

from paths import ROOT

from razorbench.registry.config import registry
from razorbench.world.golden import write


def main() -> None:
    """Write golden trajectories of all registered tasks of MuJoCo models."""
    with registry() as registered:
        write(registered.modeled_tasks(), ROOT / "envs" / "golden.npz")


if __name__ == "__main__":
    main()
