"""RazorBench: how much do robot policies forget, and can it be predicted?

Importing this package registers every task with Gymnasium by string, `RazorBench/PickPlace-v1`, and imports neither
torch nor mujoco.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

import gymnasium

from razorbench.errors import UsageError
from razorbench.identity.catalog import Catalog

__version__ = "0.1.0"

# torch's threads wait for one another by spinning, which makes training ten times slower as soon as another process is busy. OpenMP reads this when torch
# is loaded, so it has to be set before.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# In a checkout envs/, baselines/ and conf/ lie beside this package; in a wheel they are inside it.
_ROOT = Path(__file__).resolve().parents[1]
if (_ROOT / "pyproject.toml").is_file() and (_ROOT / "envs").is_dir():
    __path__.append(str(_ROOT))


def _register() -> None:
    """Register what the configuration's task and skill files name. Those that are broken are passed over: a command that needs one says what is wrong."""
    catalog = Catalog()
    for group in ("task", "skill"):
        for name in catalog.names(group):
            with suppress(UsageError):
                keys = catalog.entry(group, name).keys
                named = re.fullmatch(r"([A-Za-z]\w*)-(v\d+)", str(keys.get("id")))
                id = named and f"RazorBench/{named[1].title().replace('_', '')}-{named[2]}"
                if id and id not in gymnasium.registry and "_target_" in keys:
                    gymnasium.register(
                        id,
                        entry_point="razorbench.world.gym_envs:TaskEnv",
                        vector_entry_point="razorbench.world.gym_envs:TaskVectorEnv",
                        kwargs={"target": keys["_target_"], "task_id": keys["id"]},
                    )


_register()
