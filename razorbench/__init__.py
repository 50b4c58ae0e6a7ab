"""RazorBench: how much do robot policies forget, and can it be predicted?

Importing this package registers every task with Gymnasium by string, `RazorBench/PickPlace-v1`, and imports neither
torch nor mujoco.
"""

import os
from importlib.resources import files
from pathlib import Path

import gymnasium

__version__ = "0.1.0"

# torch's threads wait for one another by spinning, which makes training ten times slower as soon as another process is busy. OpenMP reads this when torch
# is loaded, so it has to be set before.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# In a checkout envs/, baselines/ and conf/ lie beside this package; in a wheel they are inside it.
_ROOT = Path(__file__).resolve().parents[1]
if (_ROOT / "pyproject.toml").is_file() and (_ROOT / "envs").is_dir():
    __path__.append(str(_ROOT))


def _register() -> None:
    """Register what the configuration's task and skill files name."""
    for group in ("task", "skill"):
        for file in files("razorbench.conf").joinpath(group).iterdir():
            keys = dict(line.split(": ", 1) for line in file.read_text(encoding="utf-8").splitlines() if ": " in line)
            name, _, version = keys["id"].rpartition("-")
            gymnasium.register(
                f"RazorBench/{name.title().replace('_', '')}-{version}",
                entry_point="razorbench.faces:TaskEnv",
                vector_entry_point="razorbench.faces:TaskVectorEnv",
                kwargs={"target": keys["_target_"], "task_id": keys["id"]},
            )


_register()
