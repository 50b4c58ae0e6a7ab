"""Sentences about unknown names, unknown keys and unreadable yaml files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from razorbench.errors import UsageError, among
from razorbench.identity.catalog import unsound
from razorbench.registry.folders import Folders
from razorbench.registry.overrides import key, no_such_key
from razorbench.store.disk import near

CHOSEN = ("task", "sequence", "method", "base", "budget", "study", "suite")
"""Groups from which a run or a command chooses by name."""
TOP = ("task", "sequence", "method", "base", "budget", "seed", "demos", "log_std", "results", "track", "eval")
"""Keys of a run."""
_EXTRAS = {"submitit_slurm": "slurm", "submitit_local": "slurm", "ray": "ray", "ray_aws": "ray", "optuna": "optuna"}
"""Extra of this package that installs a Hydra plugin, by the plugin's name."""


def sentence(folders: Folders, error: Exception, overrides: Sequence[str]) -> str:
    """Return the sentence for an error of Hydra about yaml files or overrides."""
    if isinstance(error, UnicodeDecodeError):
        return f"{folders.undecodable()} is not UTF-8 text: save it as UTF-8"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return unsound(error, str(near(Path(error.problem_mark.name))))
    text = str(error)
    unknown = re.search(r"Could not (?:find|load) '([^']+)/([^'/]*)'", text)
    if unknown:
        group, name = unknown.groups()
        extra = f"; it comes with pip install 'razorbench[{_EXTRAS[name]}]'" if name in _EXTRAS else ""
        suites = folders.names("suite") if f"task={name}" in overrides else []
        also = f"; with -m also the suites {', '.join(suites)}" if suites else ""
        return f"{group}={name}: no such {group}{among(name, folders.names(group), suites)}{also}{extra}"
    typo = re.search(r"Could not override '([^']*)'", text) or re.search(r"Key '([^']*)' is not in struct", text)
    if typo:
        return unknown_key(folders, typo.group(1), overrides)
    return " ".join(text.split()).rstrip(".") + ": write overrides as key=value"


def unknown_key(folders: Folders, wrong: str, overrides: Sequence[str]) -> str:
    """Return the sentence for an unknown key, with the known ones. The other overrides choose the groups, if they can be composed."""
    choosing = [override for override in overrides if key(override).partition("@")[0] in CHOSEN or key(override).startswith("hydra/")]
    try:
        composed = compose("config", overrides=folders.finding + choosing, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException):
        composed = compose("config", return_hydra_config=True)
    plain: Any = OmegaConf.to_container(composed)
    return no_such_key(wrong, {**dict.fromkeys(TOP), **plain}, composed.hydra.runtime.choices)


def refuse_unused(folders: Folders, composed: DictConfig, overrides: Sequence[str]) -> None:
    """Raise UsageError for a key of `+KEY=VALUE` that nothing reads: it chooses from no group, and no other value refers to it."""
    for override in overrides:
        top = key(override).partition(".")[0]
        if override.startswith("+") and top in composed and top not in (*TOP, "hydra", *composed.hydra.runtime.choices):
            if f"${{{top}" not in OmegaConf.to_yaml(composed):
                raise UsageError(unknown_key(folders, key(override), overrides))
