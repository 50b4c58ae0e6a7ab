"""History of a run: its episodes, curve and times. Each checkpoint writes them, so a killed run resumes with them."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from razorbench.errors import FileDamaged, Unreadable
from razorbench.measures.episodes import Episodes, Row
from razorbench.store import provenance
from razorbench.store.checkpoint import Checkpoints
from razorbench.store.disk import near
from razorbench.store.folder import CURVE, EPISODES, RunFolder
from razorbench.store.reading import read_points
from razorbench.store.record import Conditions, Costs, Plain
from razorbench.types import State
from razorbench.world import cores

log = logging.getLogger("razorbench")


Point = TypeVar("Point", bound=Costs)


class Journal(Generic[Point]):
    """Episodes and curve of a run or a sequence, with its times and machines.

    kind: type of the curve's points; threads: number of physics threads, None for the number of processors of this machine.
    """

    def __init__(self, folder: RunFolder, kind: type[Point], threads: int | None) -> None:
        self.episodes = Episodes()
        self.curve: list[Point] = []
        self._folder, self._kind = folder, kind
        self._threads = cores.threads() if threads is None else threads
        self._machine = {**provenance.machine(), "threads": self._threads}
        self._elsewhere: list[dict[str, Plain]] = []
        self._began, self._measuring = time.perf_counter(), 0.0
        self._earlier: State = {"wall_s": 0.0, "measuring_s": 0.0}
        self._written, self._digest = (0, 0), ""
        self._first: tuple[float, float, int, int] | None = None

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Count the block's time as measuring time."""
        began = time.perf_counter()
        yield
        self._measuring += time.perf_counter() - began

    def conditions(self) -> Conditions:
        """Return the threads, the other machines and the seconds so far."""
        return Conditions(
            threads=self._threads,
            resumed_elsewhere=self._elsewhere,
            wall_s=round(self._earlier["wall_s"] + time.perf_counter() - self._began, 1),
            measuring_s=round(self._earlier["measuring_s"] + self._measuring, 1),
        )

    def left_s(self, update: int, total: int, snapshots: int) -> float | None:
        """Estimate the seconds left after an update. snapshots: number still to come. Returns None until there is an estimate.

        Snapshots are denser at the beginning, so the time per update alone would mislead.
        """
        now, points = time.perf_counter(), len(self.curve)
        if self._first is None:
            self._first = now, self._measuring, update, points
        began, measured, first, earlier = self._first
        if update == first:
            return None
        measuring = self._measuring - measured
        per_update, per_snapshot = (now - began - measuring) / (update - first), measuring / max(points - earlier, 1)
        return per_update * (total - update) + per_snapshot * snapshots

    def write(self) -> State:
        """Write episodes and curve, and return the state for `resume`."""
        size = len(self.episodes.rows), len(self.curve)
        if size != self._written:
            self._folder.write(EPISODES, self.episodes.write)
            self._folder.write_text(CURVE, "".join(json.dumps(point.plain()) + "\n" for point in self.curve))
            self._written, self._digest = size, _digest(self.episodes.rows, self.curve)
        return {**self.conditions().plain(), "episodes": size[0], "points": size[1], "digest": self._digest, "machine": self._machine}

    def resume(self, checkpoints: Checkpoints) -> bool:
        """Resume from the latest checkpoint. Returns False if there is no valid one."""
        state = checkpoints.latest()
        if state is None:
            return False
        try:
            rows, curve = Episodes.read(self._folder.path / EPISODES).rows[: state["episodes"]], read_points(self._folder.path, self._kind)[: state["points"]]
            if _digest(rows, curve) != state["digest"]:
                raise FileDamaged(f"episodes and curve in {near(self._folder.path)} do not match the checkpoint")
        except Unreadable:
            raise
        except FileDamaged as error:
            checkpoints.distrust(str(error))
            return False
        self.episodes, self.curve = Episodes(rows), curve
        self._earlier, self._elsewhere = state, list(state["resumed_elsewhere"])
        if state["machine"] != self._machine:
            self._elsewhere.append(state["machine"])
            log.warning("continues with another processor or number of threads: the record will say so")
        return True


def _digest(rows: Sequence[Row], points: Sequence[Costs]) -> str:
    return hashlib.sha256(json.dumps([rows, [point.plain() for point in points]]).encode()).hexdigest()
