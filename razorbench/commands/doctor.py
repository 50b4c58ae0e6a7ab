"""`razorbench doctor`: whether this installation works, a line for each part of it, with the way out where something is wrong.

What a part needs is imported when its turn comes, so that a package which is missing or broken costs its own line alone.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from razorbench import __version__
from razorbench.commands.parser import Parser
from razorbench.errors import RazorbenchError
from razorbench.identity.catalog import Catalog

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_OLDEST = (3, 11)
_RUN_MB = 17
"""What a run with the default base leaves on disk."""


class _Wrong(RazorbenchError):
    """A part does not work."""


class _Hint(RazorbenchError):
    """A part works, or is needed by few, and there is something to say about it."""


def command(arguments: Sequence[str]) -> int:
    """Look at every part of the installation; 1 if one does not work."""
    made = Parser(prog="razorbench doctor", description="Say whether this installation works, a line for each part. Exit code 1: something does not.")
    made.add_argument("--results", type=Path, default=Path("results"), help="folder that runs are to be kept in (results)")
    made.add_argument("--config-dir", help="your own conf folder, whose files are looked at too")
    options = made.parse_args(arguments)
    parts: dict[str, Callable[[], str]] = {
        "RazorBench": lambda: f"{__version__}, {Path(__file__).parents[1]}",
        "Python": _python,
        "torch": _torch,
        "MuJoCo": _mujoco,
        "cores": _cores,
        "results": lambda: _writable(options.results),
        "settings": lambda: _settings(options.config_dir),
        "bases": lambda: _bases(options.config_dir),
        "physics": _physics,
        "pictures": _pictures,
    }
    return 0 if all([_told(name, look) for name, look in parts.items()]) else 1


def _told(name: str, look: Callable[[], str]) -> bool:
    """Print a part's line; returns whether it works."""
    try:
        mark, text = "ok", look()
    except _Hint as hint:
        mark, text = "note", str(hint)
    except RazorbenchError as wrong:
        mark, text = "wrong", str(wrong)
    except Exception as error:
        mark, text = "wrong", f"{type(error).__name__}: {error}; install RazorBench's packages again, as README says"
    print(f"{mark:<6}{name:<11}{' '.join(text.split())}", flush=True)
    return mark != "wrong"


def _python() -> str:
    found = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info < _OLDEST:
        raise _Wrong(f"{found}: it must be {'.'.join(map(str, _OLDEST))} or newer; make a virtual environment with one that is")
    return found


def _torch() -> str:
    import torch

    if (built := torch.version.cuda or torch.version.hip) is not None:
        raise _Hint(
            f"{torch.__version__}, built for graphics cards ({built}): it works, and takes gigabytes that no run uses; "
            f"`pip install --force-reinstall torch=={torch.__version__.partition('+')[0]} --index-url {CPU_INDEX}` brings the CPU build"
        )
    return f"{torch.__version__}, CPU build"


def _mujoco() -> str:
    import mujoco

    if int(mujoco.__version__.partition(".")[0]) < 4:
        raise _Wrong(f"{mujoco.__version__}: it must be 4 or newer; `pip install 'mujoco>=4'`")
    return str(mujoco.__version__)


def _cores() -> str:
    from razorbench.world import cores

    return f"{cores.threads()} for a run, of {cores.usable():g} that this process may use"


def _writable(results: Path) -> str:
    there = next(place for place in (results.absolute(), *results.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise _Wrong(f"{results}: cannot write there ({error.strerror}); choose a writable folder with results=DIR") from error
    free = shutil.disk_usage(there).free / 1e6
    text = f"{results.absolute()} can be written; {free / 1e3:.1f} GB free, about {free / _RUN_MB:,.0f} runs"
    if free < 10 * _RUN_MB:
        raise _Hint(f"{text}; free some space")
    return text


def _settings(config_dir: str | None) -> str:
    catalog = Catalog(config_dir)
    counted = {group: catalog.names(group) for group in ("task", "skill", "method", "base", "budget")}
    for group, names in counted.items():
        for name in names:
            catalog.entry(group, name)
    return f"{', '.join(f'{len(names)} {group}s' for group, names in counted.items())}; every file can be read"


def _bases(config_dir: str | None) -> str:
    from razorbench.bases import base
    from razorbench.registry import config

    loaded = []
    with config.registry(config_dir) as registry:
        for name in registry.names("base"):
            recipe = registry.item("base", name)
            shipped = recipe.directory is None  # so there must be one
            loaded += [base.load(recipe, seed).id for seed in range(len(recipe.seeds()) or shipped)]
    return f"{len(loaded)} base policies fit their cards and today's skills"


def _physics() -> str:
    import numpy as np

    from razorbench.registry import config
    from razorbench.world import golden

    with config.registry() as registry:
        tasks = registry.modeled_tasks()
    file = Path(str(files("razorbench.envs").joinpath("golden.npz")))
    wrong = [f"{task.id}: {sentence}" for task in tasks if (sentence := golden.difference(task, file)) is not None]
    if wrong:
        others = f"; and so {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise _Wrong(f"{wrong[0]}{others}: results here would not be those of others; install the versions in constraints.txt")
    with np.load(file, allow_pickle=False) as kept:
        exact = str(kept["platform"]) == golden.platform()
    return f"{len(tasks)} tasks move as in their golden trajectories, {'to the last bit' if exact else 'as closely as another processor or MuJoCo allows'}"


def _pictures() -> str:
    from razorbench.registry import config
    from razorbench.world import camera

    with config.registry() as registry:
        task = registry.item("skill", registry.names("skill")[0])
    try:
        camera.Camera(task).close()
    except RazorbenchError as error:
        raise _Hint(f"{error}; `razorbench video` alone needs it") from error
    return "OpenGL draws here"
