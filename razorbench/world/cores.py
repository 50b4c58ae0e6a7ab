"""How many processors this process may use: its affinity, and the quota of its container."""

from __future__ import annotations

import math
import os
from pathlib import Path

from razorbench.errors import UsageError

_GRANTS = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
_CGROUP = Path("/sys/fs/cgroup")


def usable(cgroup: Path = _CGROUP) -> float:
    """Return the processors that this process may use, a fraction where a container's quota says so."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(float(allowed), _quota(cgroup))


def threads() -> int:
    """Threads of a run: RAZORBENCH_THREADS, or as many as keep every usable processor busy, but no more than a scheduler grants.

    What a scheduler grants stands in OMP_NUM_THREADS (set by joblib and by Ray for each of their workers, so that these do
    not fight) and in SLURM_CPUS_PER_TASK. Raises UsageError if RAZORBENCH_THREADS is anything but a positive whole number.
    """
    asked = os.environ.get("RAZORBENCH_THREADS", "")
    if not asked:
        granted = [int(word) for word in map(os.environ.get, _GRANTS) if word is not None and word.isdecimal() and int(word) > 0]
        return min([max(math.ceil(usable()), 1), *granted])
    if not asked.isdecimal() or int(asked) < 1:
        raise UsageError(f"RAZORBENCH_THREADS is {asked!r}: it must be a positive whole number; unset it to use all processors")
    return int(asked)


def _quota(cgroup: Path) -> float:
    """Processors that the control group allows, version 2 or 1; infinite without a limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / file).read_text(encoding="ascii") for file in files).split()
            if quota not in ("max", "-1"):
                return int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return math.inf
