"""One run: adapt a base policy to a new task, measure along the way, write the record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.errors import Claimed, UsageError, saying_where
from razorbench.measures import probe_states
from razorbench.measures.drift import DriftRuler
from razorbench.measures.episodes import Episodes
from razorbench.measures.summary import Subject
from razorbench.method.data import Used
from razorbench.policy import network as policies
from razorbench.runs import base_cache, process
from razorbench.runs.adapting import adapted
from razorbench.runs.head import code, origin, versions
from razorbench.runs.history import Journal
from razorbench.runs.log import logging_to
from razorbench.runs.spec import RunSpec
from razorbench.store import provenance
from razorbench.store.checkpoint import Checkpoints
from razorbench.store.disk import exists, near
from razorbench.store.folder import LOG, POLICY, PROTOCOL, RECORD, STATE, RunFolder
from razorbench.store.lock import Claim
from razorbench.store.reading import read_run, read_snapshots
from razorbench.store.record import Budget, FinalSuccess, Hashes, Method, Moved, Record, Snapshot, Upstream
from razorbench.task import Split, promises
from razorbench.types import Settings
from razorbench.world.rollout import Cell, play_policy

log = logging.getLogger("razorbench")
_PATIENCE_S = 1.0
"""Seconds between looks whether another worker has finished."""


@dataclass(frozen=True)
class Outcome:
    """What a run left: its folder, its record, the snapshots of its curve, and whether any work was done."""

    path: Path
    record: Record
    curve: Sequence[Snapshot]
    worked: bool


@dataclass(frozen=True)
class Progress:
    """What a watcher is told after each update. left_s: seconds that the rest may take, None as long as nobody can say."""

    update: int
    total: int
    left_s: float | None
    used: Used
    success: float | None
    metrics: dict[str, float]


Watcher = Callable[[Progress], None]


def no_watcher(progress: Progress) -> None:
    """Watch nothing."""


def run(spec: RunSpec, results: Path, config: Settings, watch: Watcher = no_watcher, threads: int | None = None, *, with_policy: bool = False) -> Outcome:
    """Do a run, or find it done. with_policy: do a run that was kept without its policy once more; until that is done its record stays as it is.

    Raises Claimed while another worker does the same run, and a RazorbenchError on wrong use, an exceeded budget or
    numbers that are not finite; nothing that a later run would trust is left behind then.
    """
    folder = working = spec.folder(results)
    if with_policy and folder.finished() and not exists(folder.path / POLICY):
        _check_versions(read_run(folder.path / RECORD), folder)
        working = folder.again()
    upstream = None
    if (before := spec.upstream) is not None and not working.finished():
        theirs = {**config, "method": config["method"]["upstream"]}
        upstream = _patiently(lambda: run(before, results, theirs, watch, threads, with_policy=True))
    worked = carry_out(working, lambda claim: _Run(spec, working, config, telling(claim, watch), threads, upstream).carry_out())
    if working is not folder:
        folder.adopt(working)
    return Outcome(folder.path, read_run(folder.path / RECORD), read_snapshots(folder.path), worked)


def _check_versions(record: Record, folder: RunFolder) -> None:
    """Raise UsageError if a run that was kept without its policy would come to another one by now."""
    here = provenance.versions()
    for package in ("mujoco", "torch"):
        then = str(record.versions.get(package))
        if then.split(".")[:2] != here[package].split(".")[:2]:
            raise UsageError(
                f"{near(folder.path)} was kept without the {POLICY} that this run builds on, and was made with {package} {then}, here is {here[package]}: "
                "put the policy there, or choose another results folder with results=DIR"
            )


def carry_out(folder: RunFolder, work: Callable[[Claim], None]) -> bool:
    """Do a folder's work under a claim, with its log; False if there is a record already."""
    if not folder.finished():
        with folder.claimed() as claim, policies.one_thread(), logging_to(folder.path / LOG, claim):
            if claim.taken_from is not None:
                log.warning("takes over from %s", claim.taken_from)
            # Another worker may have finished it just before the claim.
            if not folder.finished():
                try:
                    work(claim)
                except KeyboardInterrupt:
                    log.info("stopped; the same command goes on from the last checkpoint")
                    raise
                finally:
                    process.give_back_memory()
                return True
    folder.tidy()
    return False


def telling(claim: Claim, watch: Watcher) -> Watcher:
    """Return a watcher that also leaves word with the claim, for `razorbench status`."""

    def told(progress: Progress) -> None:
        claim.progress = {"update": progress.update, "total": progress.total, "left_s": progress.left_s}
        watch(progress)

    return told


def _patiently(work: Callable[[], Outcome]) -> Outcome:
    """Do work that others may need too, waiting while one of them does it."""
    while True:
        try:
            return work()
        except Claimed:
            time.sleep(_PATIENCE_S)


class _Run:
    """The steps of one run, sharing the episodes and the curve that grow along it."""

    def __init__(self, spec: RunSpec, folder: RunFolder, config: Settings, watch: Watcher, threads: int | None, upstream: Outcome | None) -> None:
        self.spec, self.folder, self.config, self.watch, self.threads, self.upstream = spec, folder, config, watch, threads, upstream
        made = None if upstream is None else policies.load(upstream.path / "policy.safetensors", spec.base.policy)
        self.rng = seeding.generator("run", spec.task.id, spec.method_name, spec.seed)
        self.journal = Journal(folder, Snapshot, threads)
        promised = promises(spec.task.world)
        self.checkpoints = Checkpoints(folder, STATE, code(spec), self.journal.write) if "resumable" in promised else None
        self.handle = spec.handle(threads, self._on_update, made, self.checkpoints, self.rng)
        self.split = Split(spec.eval.split)
        skills = [skill.name for skill in spec.base.skills]
        self.subject = Subject(spec.task.id, skills, spec.method_name, spec.seed, spec.eval.split, "alone_equal" in promised)
        with self.journal.measuring():
            probes = spec.probes()
            self.ruler = probe_states.Ruler(spec.base.policy, probes, spec.task, spec.base.skills)
            self.drift = DriftRuler(spec.base.policy, probes, spec.task, spec.base.skills)
        self.states = probe_states.some(probes)
        self.schedule: set[int] = set()
        self.success: float | None = None

    def carry_out(self) -> None:
        spec = self.spec
        log.info("%s with %s from %s, seed %d, budget %s", spec.task.id, spec.method_name, spec.base.id, spec.seed, spec.budget.name)
        self.folder.write_text("config.yaml", yaml.safe_dump(self.config, sort_keys=False))
        if self.checkpoints is not None and self.journal.resume(self.checkpoints):
            self.success = self.journal.curve[-1].select_success
        else:
            with self.journal.measuring():
                self.journal.episodes += self._base_episodes()
                self._snapshot(spec.base.policy, 0, "base")
        tuned = self._as_filed(adapted(spec, spec.base.policy, self.handle, self.rng))
        with self.journal.measuring():
            success, moved = self._final(tuned)
        self.folder.write("policy.safetensors", lambda path: policies.save(tuned, path))
        self.journal.write()
        record = self._record(success, moved)
        self.folder.write_record(record)
        log.info("done in %.1f s, %.1f s of it measuring", record.wall_s, record.measuring_s)

    def _on_update(self, policy: ActorCriticPolicy, update: int, total: int, metrics: dict[str, float]) -> None:
        if not self.schedule:
            self.schedule = snapshot_schedule(total, self.spec.eval.snapshots)
        if update in {*self.schedule, total} and self.journal.curve[-1].update < update:
            with self.journal.measuring(), saying_where(f"measuring after update {update}"):
                filed = self._as_filed(policy)
                self._snapshot(filed, update, f"update{update}")
                self.folder.write(f"checkpoints/{update}.safetensors", lambda path: policies.save(filed, path))
        left_s = self.journal.left_s(update, total, sum(each > update for each in self.schedule))
        self.watch(Progress(update, total, left_s, self.handle.used, self.success, metrics))

    def _as_filed(self, policy: ActorCriticPolicy) -> ActorCriticPolicy:
        """Return what is left of a policy in its file, which is what is measured."""
        return policies.as_filed(policy, self.spec.base.policy, self.states)

    def _cells(self, mode: Any = "greedy", *, skill_episodes: int, select: bool) -> list[Cell]:
        """TEST episodes of the new task and of every skill, and SELECT episodes of the new task; in a run for tuning SELECT takes the place of TEST."""
        spec, whole = self.spec, np.arange(self.spec.eval.episodes)
        cells = [Cell(spec.task, self.split, whole, mode)]
        cells += [Cell(skill, self.split, np.arange(skill_episodes), mode) for skill in spec.base.skills]
        return cells + ([Cell(spec.task, Split.SELECT, whole, mode)] if select and self.split is not Split.SELECT else [])

    def _play(self, policy: ActorCriticPolicy, label: str, cells: list[Cell]) -> Episodes:
        return Episodes.of(label, cells, play_policy(policy, cells, threads=self.threads))

    def _both_modes(self) -> list[Cell]:
        n = self.spec.eval.episodes
        return self._cells(skill_episodes=n, select=True) + self._cells("sampled", skill_episodes=n, select=False)

    def _base_episodes(self) -> Episodes:
        """The base's episodes: the same for every run from it on this machine, so they are kept beside the runs."""
        spec = self.spec
        identity = {
            "protocol": PROTOCOL,
            "base": spec.base.sha256,
            "tasks": [task.fingerprint() for task in (spec.task, *spec.base.skills)],
            "episodes": spec.eval.episodes,
            "split": spec.eval.split,
            "versions": versions(spec.task.world),
            "machine": provenance.machine(),
        }
        cells = self._both_modes()
        return base_cache.episodes(self.folder, f"{spec.base.id}-{spec.task.name}", identity, cells, lambda: self._play(spec.base.policy, "base", cells))

    def _snapshot(self, policy: ActorCriticPolicy, update: int, label: str) -> None:
        """Measure greedy success and divergences, and add a point to the curve."""
        n = self.spec.eval.skill_episodes
        if label != "base":
            self.journal.episodes += self._play(policy, label, self._cells(skill_episodes=n, select=True))
        success = self.subject.snapshot(self.journal.episodes, label, n)
        moved = Moved(divergence=self.ruler.measure(policy), drift=self.drift.measure(policy))
        snapshot = Snapshot(update=update, **asdict(self.handle.used), **dict(success), **dict(moved))
        self.journal.curve.append(snapshot)
        # What is watched while a run goes on may sway a person's choices, so it is SELECT, never TEST.
        self.success, kept = snapshot.select_success, snapshot.retention.value
        log.info(
            "update %d: new task (SELECT) %.2f, retention %s, forward KL %.3f",
            update,
            self.success,
            "undefined" if kept is None else f"{kept:.2f}",
            snapshot.forward_kl,
        )

    def _final(self, tuned: ActorCriticPolicy) -> tuple[FinalSuccess, Moved]:
        """Measure the final policy in full."""
        task = self.spec.task
        self.journal.episodes += self._play(tuned, "final", self._both_modes())
        states = probe_states.choose_states(probe_states.visited(tuned, [task])[0].pairs()[0], "tuned", task.id)
        moved = Moved(divergence=self.ruler.measure(tuned, states), drift=self.drift.measure(tuned))
        return self.subject.final(self.journal.episodes), moved

    def _record(self, success: FinalSuccess, moved: Moved) -> Record:
        spec, method = self.spec, self.spec.method
        costs = {**asdict(self.handle.used), "uncounted": self.handle.counts.uncounted}
        return Record(
            **dict(origin(spec, self.config)),
            **dict(self.journal.conditions()),
            **dict(success),
            **dict(moved),
            task=spec.task.id,
            method=Method(name=spec.method_name, family=method.family, version=method.version, code=spec.code, demos=spec.demos),
            budget=Budget(name=spec.budget.name, **costs, caps=asdict(spec.budget), old_task_data=method.old_task_data),
            upstream=self._upstream(),
            notes=dict(self.handle.notes),
            hashes=Hashes(run=self.folder.hash, task_spec=spec.task.fingerprint(), base_policy=spec.base.sha256, probe=spec.base.probe_sha256),
        )

    def _upstream(self) -> Upstream | None:
        """What making the method's data cost: by the run that it builds on, and by sampling from a policy."""
        spec, used = self.spec, asdict(self.handle.counts.upstream)
        if self.upstream is None or spec.upstream is None:
            return Upstream(**used) if any(used.values()) else None
        before = self.upstream.record
        total = {cost: amount + getattr(before.budget, cost) for cost, amount in used.items()}
        return Upstream(method=spec.upstream.method_name, run=before.hashes.run, **total)


def snapshot_schedule(total: int, count: int) -> set[int]:
    """Update numbers to measure at: `count` of them, or all, geometric from the first update to the last."""
    updates = [1]
    while len(updates) < min(count, total):
        here, left = updates[-1], min(count, total) - len(updates)
        updates.append(max(here + 1, round(here * (total / here) ** (1 / left))))
    return {*updates, total}
