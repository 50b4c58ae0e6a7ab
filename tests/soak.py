"""Many small runs in one process, as a worker of a sweep does them; prints its memory in MB after each as JSON. python soak.py FOLDER METHOD NUMBER"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from conftest import TINY, TINY_METHOD
from hydra.core.hydra_config import HydraConfig
from small import shrink

from razorbench.commands.run import _job
from razorbench.registry import config
from razorbench.registry.launching import _guarded


def memory() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(place: Path, method: str, number: int) -> None:
    shrink(setattr)
    found = []
    for k in range(number):
        # One base for all: other weights are other memory.
        overrides = ["task=pick_place", f"method={method}", f"seed={3 * k}", f"results={place}", *TINY, *TINY_METHOD[method]]
        with config.registry() as known, contextlib.redirect_stdout(io.StringIO()):
            composed = known.whole(overrides)
            HydraConfig.instance().set_config(composed)
            _guarded(_job, None)(composed)
        found.append(round(memory(), 1))
        print(k + 1, found[-1], file=sys.stderr, flush=True)
    assert len(list(place.rglob("record.json"))) == number
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
