"""A composed configuration as plain data."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from razorbench.errors import UsageError
from razorbench.registry.overrides import resolvers
from razorbench.types import Settings


def plain_config(config: DictConfig) -> Settings:
    """Return the run's part of the configuration as plain data. Raises UsageError for a value that refers to nothing, or would differ from job to job."""
    ours = OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"])
    if (place := resolvers(OmegaConf.to_container(ours))) is not None:
        raise UsageError(f"{place}: what ${{name:...}} gives may differ from job to job; write the value itself, or give it on the command line")
    try:
        plain = OmegaConf.to_container(ours, resolve=True)
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {str(error.msg or error).splitlines()[0]}; write a value, or the dotted path of another setting") from error
    return {str(name): value for name, value in plain.items()}  # type: ignore[union-attr]


def results_of(config: DictConfig) -> Path:
    """Return the results folder asked for."""
    return Path(str(config.results)).absolute()
