"""`razorbench doctor`: check the installation and print a line for each part, with the way out if something is wrong.

Each check imports its packages itself, so a missing or broken package fails only its own line.
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
"""Disk space of a run with the default base, in megabytes."""


class _Wrong(RazorbenchError):
    """A part does not work."""


class _Hint(RazorbenchError):
    """A part works, or few commands need it, and there is advice about it."""


def command(arguments: Sequence[str]) -> int:
    """Check every part of the installation. Returns 1 if one does not work."""
    parser = Parser(prog="razorbench doctor", description="Check this installation, a line for each part. Exit code 1: a part does not work.")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder for runs (results)")
    parser.add_argument("--config-dir", help="your own conf folder, to check its files too")
    options = parser.parse_args(arguments)
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
    return 0 if all([_works(name, check) for name, check in parts.items()]) else 1


def _works(name: str, check: Callable[[], str]) -> bool:
    """Check a part, print its line, and return whether it works."""
    try:
        mark, text = "ok", check()
    except _Hint as hint:
        mark, text = "note", str(hint)
    except RazorbenchError as wrong:
        mark, text = "wrong", str(wrong)
    except Exception as error:
        mark, text = "wrong", f"{type(error).__name__}: {error}; install RazorBench's packages again, as in README"
    print(f"{mark:<6}{name:<11}{' '.join(text.split())}", flush=True)
    return mark != "wrong"


def _python() -> str:
    version = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info < _OLDEST:
        raise _Wrong(f"{version}: it must be {'.'.join(map(str, _OLDEST))} or newer; make a virtual environment with a newer one")
    return version


def _torch() -> str:
    import torch

    if (built := torch.version.cuda or torch.version.hip) is not None:
        raise _Hint(
            f"{torch.__version__}, built for graphics cards ({built}): it works, but takes gigabytes that no run uses; "
            f"`pip install --force-reinstall torch=={torch.__version__.partition('+')[0]} --index-url {CPU_INDEX}` installs the CPU build"
        )
    return f"{torch.__version__}, CPU build"


def _mujoco() -> str:
    import mujoco

    if int(mujoco.__version__.partition(".")[0]) < 4:
        raise _Wrong(f"{mujoco.__version__}: it must be 4 or newer; `pip install 'mujoco>=4'`")
    return str(mujoco.__version__)


def _cores() -> str:
    import joblib

    from razorbench.world import cores

    return f"{cores.threads()} for a run, of {joblib.cpu_count()} that this process may use"


def _writable(results: Path) -> str:
    existing = next(place for place in (results.absolute(), *results.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise _Wrong(f"{results}: cannot write there ({error.strerror}); choose a writable folder with results=DIR") from error
    free = shutil.disk_usage(existing).free / 1e6
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
        others = f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise _Wrong(f"{wrong[0]}{others}: results here would differ from published ones; install the versions in constraints.txt")
    with np.load(file, allow_pickle=False) as trajectories:
        exact = str(trajectories["platform"]) == golden.platform()
    return f"{len(tasks)} tasks move as in their golden trajectories, {'to the last bit' if exact else 'as closely as another processor or MuJoCo allows'}"


def _pictures() -> str:
    from razorbench.registry import config
    from razorbench.world import camera

    with config.registry() as registry:
        task = registry.item("skill", registry.names("skill")[0])
    try:
        camera.Camera(task).close()
    except RazorbenchError as error:
        raise _Hint(f"{error}; only `razorbench video` needs it") from error
    return "OpenGL draws here"
