"""Launching of runs by Hydra's launchers and sweepers. A guarded job never raises."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from razorbench.errors import Claimed, TakenOver
from razorbench.registry.config import registry, spec
from razorbench.registry.folders import finding
from razorbench.registry.overrides import literal
from razorbench.registry.plain import plain_config, results_of
from razorbench.runs.sequence import SequenceSpec
from razorbench.runs.spec import RunSpec
from razorbench.store.output import lenient, warn
from razorbench.types import Settings

Job = Callable[[RunSpec | SequenceSpec, Path, Settings, bool, str | None], Any]
"""A launcher's job: (run, results folder, plain configuration, whether the job has the terminal for itself, the user's own conf folder)."""


def launch(job: Job, combinations: Sequence[list[str]], searchpath: str | None) -> None:
    """Do the job for every combination with Hydra's launcher: the basic one, or the one in the overrides. A single run needs no launcher.

    Calls the launcher like Hydra's own sweeper, but with the runs that are left instead of a full grid. Each failure is written to the run's folder.
    """
    with registry(searchpath) as known:
        if len(combinations) == 1 and not any(override.startswith("hydra") for override in combinations[0]):
            composed = known.whole(combinations[0])
            HydraConfig.instance().set_config(composed)
            _guarded(job, searchpath)(composed)
            return
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        # The shared overrides configure the launcher; the others belong to the jobs.
        shared = [override for override in combinations[0] if override.startswith(("hydra", "results="))]
        config = hydra.compose_config("config", [*finding(searchpath), *shared], RunMode.MULTIRUN)
        context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
        launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=_guarded(job, searchpath), config=config)
        launcher.launch([[override for override in combination if not override.startswith("hydra")] for combination in combinations], initial_job_idx=0)


def hand_over(job: Job, overrides: list[str], searchpath: str | None) -> None:
    """Do a multirun by Hydra itself, for sweepers that choose runs from earlier results."""
    overrides = literal(["results=results", *overrides], multirun=True)
    with registry(searchpath) as known:
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        with known.explaining(overrides):
            hydra.multirun("config", _guarded(job, searchpath), [*finding(searchpath), *overrides])


def allow_processes() -> None:
    """Let a method start processes, such as a DataLoader's workers, also inside a joblib worker, which by default can start only its own kind."""
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method(None, force=True)


def _guarded(job: Job, searchpath: str | None) -> Callable[[DictConfig], Any]:
    @functools.wraps(job)
    def guarded(config: DictConfig) -> Any:
        allow_processes()
        run, results = spec(config), results_of(config)
        alone = HydraConfig.get().runtime.choices.get("hydra/launcher") in (None, "basic")
        with lenient():
            try:
                return job(run, results, plain_config(config), alone, searchpath)
            except TakenOver as error:
                warn(str(error))
                return None
            except Claimed:
                return None  # the other worker writes the record
            except Exception as error:
                # On a full disk this fails too; then the run has no record and no reason.
                with suppress(OSError):
                    run.folder(results).write_failure(error)
                return None

    return guarded
