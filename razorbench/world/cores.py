"""Number of processors available to this process, by its affinity and its container's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path

from razorbench.errors import UsageError

_GRANTS = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
_CGROUP = Path("/sys/fs/cgroup")


def usable(cgroup: Path = _CGROUP) -> float:
    """Return the number of processors that this process may use, a fraction if its container has a fractional quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(float(allowed), _quota(cgroup))


def threads() -> int:
    """Return a run's number of threads: RAZORBENCH_THREADS, else one per usable processor, at most the scheduler's grant.

    The grant is OMP_NUM_THREADS (joblib and Ray set it for each worker, so that workers do not compete) or SLURM_CPUS_PER_TASK. Raises UsageError if
    RAZORBENCH_THREADS is not a positive whole number.
    """
    setting = os.environ.get("RAZORBENCH_THREADS", "")
    if not setting:
        granted = [int(word) for word in map(os.environ.get, _GRANTS) if word is not None and word.isdecimal() and int(word) > 0]
        return min([max(math.ceil(usable()), 1), *granted])
    if not setting.isdecimal() or int(setting) < 1:
        raise UsageError(f"RAZORBENCH_THREADS is {setting!r}: it must be a positive whole number; unset it to use all processors")
    return int(setting)


def _quota(cgroup: Path) -> float:
    """Return the number of processors that the control group (version 2 or 1) allows; infinite without a limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / file).read_text(encoding="ascii") for file in files).split()
            if quota not in ("max", "-1"):
                return int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return math.inf
