"""Restoring of the process after a run: generators, torch settings, environment variables, working folder and memory."""

from __future__ import annotations

import ctypes
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from razorbench.errors import RazorbenchError


class MethodExit(RazorbenchError):
    """A method called `sys.exit`."""


def give_back_memory() -> None:
    """Return freed memory to the system on Linux.

    Engines of many sizes fragment the memory: without this a worker grows by one or two megabytes per run.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


@contextmanager
def lent(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch for the block, and restore the process after it.

    It restores these generators, torch's gradient mode, default dtype, default device and threads, numpy's error state, warning filters, environment
    variables and the working folder. Raises MethodExit if the block calls `sys.exit`.
    """
    with ExitStack() as back:
        _keep_generators(back)
        _keep_torch(back)
        _keep_folder_and_environment(back)
        back.enter_context(np.errstate())
        back.enter_context(warnings.catch_warnings())
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        except SystemExit as error:
            raise MethodExit(f"the method called sys.exit({error.code!r}): it must return the tuned policy, or raise an error") from error


def _keep_generators(back: ExitStack) -> None:
    back.callback(random.setstate, random.getstate())
    back.callback(np.random.set_state, np.random.get_state())
    back.callback(torch.set_rng_state, torch.get_rng_state())


def _keep_torch(back: ExitStack) -> None:
    back.callback(torch.set_num_threads, torch.get_num_threads())
    device = torch.get_default_device()

    def restore() -> None:
        # Setting a default device slows every call down, even if it is the CPU.
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)

    back.callback(restore)
    back.callback(torch.set_default_dtype, torch.get_default_dtype())
    back.callback(torch.set_grad_enabled, torch.is_grad_enabled())


def _keep_folder_and_environment(back: ExitStack) -> None:
    environment = dict(os.environ)

    def restore() -> None:
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)

    back.callback(restore)
    back.callback(os.chdir, os.getcwd())
