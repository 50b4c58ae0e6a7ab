"""Provenance of a result: package versions, machine, source revision."""

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
    """Return the versions of Python and of the packages that affect results."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            from razorbench import __version__

            installed[package] = __version__ if package == "razorbench" else "missing"
    return installed


def code(method: object) -> Identity:
    """Identify the code that writes a checkpoint: packages, source revision, and files of the method's class and its bases. A run resumes only with it."""
    files = {inspect.getsourcefile(parent) for parent in type(method).__mro__ if parent.__module__ != "builtins"}
    digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in sorted(filter(None, files))))
    revision = git()
    return {"versions": versions(), "revision": revision and revision["revision"], "method": digest.hexdigest()}


def machine() -> dict[str, Plain]:
    """Return the operating system, the processor, its vector instructions and the number of cores, without names of hosts or users."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "simd": _simd(),
        "cores": os.cpu_count(),
    }


@functools.cache
def git() -> dict[str, Plain] | None:
    """Return the revision of the checkout and whether it was changed; None outside a checkout."""
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
    """Return the widest vector instructions that numpy found. Processors of the same name may differ in them, which changes last bits of results."""
    config: Any = np.show_config(mode="dicts")
    extensions = config["SIMD Extensions"]
    return str([*extensions["baseline"], *extensions["found"]][-1])
