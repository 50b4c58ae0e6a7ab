"""What a result was made with: package versions, machine, source revision."""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from razorbench.store.record import Plain
from razorbench.types import Identity

PACKAGES = ("razorbench", "mujoco", "torch", "stable-baselines3", "gymnasium", "numpy", "scipy", "hydra-core")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            from razorbench import __version__

            found[package] = __version__ if package == "razorbench" else "missing"
    return found


def code(method: object) -> Identity:
    """What unfinished work may be continued by: the same packages, source revision, and files of the method's class and its bases."""
    files = {inspect.getsourcefile(each) for each in type(method).__mro__ if each.__module__ != "builtins"}
    digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in sorted(filter(None, files))))
    revision = git()
    return {"versions": versions(), "revision": revision and revision["revision"], "method": digest.hexdigest()}


def machine() -> dict[str, Plain]:
    """Operating system, processor, its vector instructions and its count, without names of hosts or users."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "simd": _simd(),
        "cores": os.cpu_count(),
    }


@functools.cache
def git() -> dict[str, Plain] | None:
    """Revision of the checkout and whether it was changed; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"revision": revision, "changed": bool(changed.strip())}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _simd() -> str:
    """The widest vector instructions that numpy found: processors of one name differ in them, and so do the last bits of its functions."""
    config: Any = np.show_config(mode="dicts")
    extensions = config["SIMD Extensions"]
    return str([*extensions["baseline"], *extensions["found"]][-1])
