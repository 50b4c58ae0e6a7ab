"""Composed configurations as plain data."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from razorbench.errors import UsageError
from razorbench.registry.overrides import resolvers
from razorbench.types import Settings


def plain_config(config: DictConfig) -> Settings:
    """Return the run's part of a configuration as plain data. Raises UsageError for a broken reference and for a resolver, which may differ between jobs."""
    ours = OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"])
    if (place := resolvers(OmegaConf.to_container(ours))) is not None:
        raise UsageError(f"{place}: the value of ${{name:...}} may differ between jobs; write the value itself, or give it on the command line")
    try:
        plain = OmegaConf.to_container(ours, resolve=True)
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {str(error.msg or error).splitlines()[0]}; write a value, or the dotted path of another setting") from error
    return {str(name): value for name, value in plain.items()}  # type: ignore[union-attr]


def results_of(config: DictConfig) -> Path:
    """Return the absolute path of the results folder."""
    return Path(str(config.results)).absolute()
