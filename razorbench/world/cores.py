"""Number of threads of a run."""

from __future__ import annotations

import os

import joblib

from razorbench.errors import UsageError

_GRANTS = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")


def threads() -> int:
    """Return a run's number of threads: RAZORBENCH_THREADS, else one per processor that this process may use, at most the scheduler's grant.

    The grant is OMP_NUM_THREADS (joblib and Ray set it for each worker, so that workers do not compete) or SLURM_CPUS_PER_TASK. Affinity and the
    container's quota count. Raises UsageError if RAZORBENCH_THREADS is not a positive whole number.
    """
    setting = os.environ.get("RAZORBENCH_THREADS", "")
    if not setting:
        granted = [int(word) for word in map(os.environ.get, _GRANTS) if word is not None and word.isdecimal() and int(word) > 0]
        return min([joblib.cpu_count(), *granted])
    if not setting.isdecimal() or int(setting) < 1:
        raise UsageError(f"RAZORBENCH_THREADS is {setting!r}: it must be a positive whole number; unset it to use all processors")
    return int(setting)
