"""Live metrics of a run for TensorBoard or Weights & Biases. Both are extras, and no result depends on them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from razorbench.errors import UsageError, among
from razorbench.runs.run import Progress, Watcher
from razorbench.store.output import harmless, once_harmless
from razorbench.types import Settings

Write = Callable[[int, Mapping[str, float]], None]
"""Stores values by name: (update, values)."""


def check(names: object) -> Sequence[str]:
    """Return the names of trackers as a list. names: one name, a list, or None. Raises UsageError for an unknown tracker."""
    trackers: Sequence[object] = [] if names is None else list(names) if isinstance(names, list | tuple) else [names]
    for name in trackers:
        if name not in TRACKERS:
            raise UsageError(f"track={name}: no such tracker{among(str(name), TRACKERS)}, and lists of them")
    return [str(name) for name in trackers]


@contextmanager
def tracking(names: object, folder: Path, title: str, config: Settings) -> Iterator[Watcher]:
    """Yield a watcher that writes a run's metrics to the named trackers.

    folder: the run's folder, whose name identifies a resumed run. Raises UsageError for a tracker that is unknown or not installed.
    """
    with ExitStack() as stack:
        writers = [stack.enter_context(TRACKERS[name](folder, title, config)) for name in check(names)]

        def watch(progress: Progress) -> None:
            values = {**progress.metrics, **{f"used/{cost}": float(amount) for cost, amount in asdict(progress.used).items()}}
            if progress.success is not None:
                values["success on SELECT"] = progress.success
            for write in writers:
                write(progress.update, values)

        yield once_harmless(watch, "tracking")


@contextmanager
def _tensorboard(folder: Path, title: str, config: Settings) -> Iterator[Write]:
    writer: Any = None

    def write(update: int, values: Mapping[str, float]) -> None:
        nonlocal writer
        if writer is None:
            # Delete what a killed run wrote after this update.
            writer = _imported("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(folder / "tensorboard"), purge_step=update)
        for name, value in values.items():
            writer.add_scalar(name, value, update)

    _imported("torch.utils.tensorboard", "tensorboard")
    try:
        yield write
    finally:
        if writer is not None:
            with harmless("closing TensorBoard's file"):
                writer.close()


@contextmanager
def _wandb(folder: Path, title: str, config: Settings) -> Iterator[Write]:
    wandb = _imported("wandb", "wandb")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run = wandb.init(project="razorbench", name=title, id=folder.name, resume="allow", dir=str(folder), config=dict(config))
    except Exception as error:
        raise UsageError(f"track=wandb failed ({' '.join(str(error).split())}): log in with `wandb login`, or set WANDB_MODE=offline") from error
    try:
        yield lambda update, values: run.log(dict(values), step=update)
    finally:
        with harmless("ending the run of Weights & Biases"):
            run.finish()


def _imported(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"track={extra} needs a missing package ({error}): pip install 'razorbench[{extra}]'") from error


TRACKERS = {"tensorboard": _tensorboard, "wandb": _wandb}
