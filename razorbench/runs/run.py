"""One run: adapt a base policy to a new task, measure snapshots, write the record."""

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
from razorbench.task import Split, resumes
from razorbench.types import Settings
from razorbench.world.rollout import Cell, play_policy

log = logging.getLogger("razorbench")
_PATIENCE_S = 1.0
"""Seconds between checks whether another worker has finished."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run: its folder, record and curve. worked: whether this call did the run."""

    path: Path
    record: Record
    curve: Sequence[Snapshot]
    worked: bool


@dataclass(frozen=True)
class Progress:
    """Progress of a run after an update. left_s: estimated seconds left, None without an estimate; success: latest SELECT success on the new task."""

    update: int
    total: int
    left_s: float | None
    used: Used
    success: float | None
    metrics: dict[str, float]


Watcher = Callable[[Progress], None]


def no_watcher(progress: Progress) -> None:
    """Ignore the progress."""


def run(spec: RunSpec, results: Path, config: Settings, watch: Watcher = no_watcher, threads: int | None = None, *, with_policy: bool = False) -> Outcome:
    """Do a run, or return its finished outcome. with_policy: repeat a finished run whose policy was not kept; its record stays until the repetition is done.

    Raises Claimed if another worker does the run, and RazorbenchError for wrong use, an exceeded budget or non-finite numbers; a failed run leaves nothing
    that a later run would trust.
    """
    folder = working = spec.folder(results)
    if with_policy and folder.finished() and not exists(folder.path / POLICY):
        _check_versions(read_run(folder.path / RECORD), folder)
        working = folder.again()
    upstream = None
    if (upstream_spec := spec.upstream) is not None and not working.finished():
        upstream_config = {**config, "method": config["method"]["upstream"]}
        upstream = _patiently(lambda: run(upstream_spec, results, upstream_config, watch, threads, with_policy=True))
    worked = carry_out(working, lambda claim: _Run(spec, working, config, telling(claim, watch), threads, upstream).carry_out())
    if working is not folder:
        folder.adopt(working)
    return Outcome(folder.path, read_run(folder.path / RECORD), read_snapshots(folder.path), worked)


def _check_versions(record: Record, folder: RunFolder) -> None:
    """Raise UsageError if the versions here would give another policy than those of a run whose policy was not kept."""
    installed = provenance.versions()
    for package in ("mujoco", "torch"):
        recorded = str(record.versions.get(package))
        if recorded.split(".")[:2] != installed[package].split(".")[:2]:
            raise UsageError(
                f"{near(folder.path)} lacks the {POLICY} that this run builds on, and was made with {package} {recorded}, installed is {installed[package]}: "
                "put the policy there, or choose another results folder with results=DIR"
            )


def carry_out(folder: RunFolder, work: Callable[[Claim], None]) -> bool:
    """Do a folder's work under a claim, with a log. Returns False if the folder already has a record."""
    if not folder.finished():
        with folder.claimed() as claim, policies.one_thread(), logging_to(folder.path / LOG, claim):
            if claim.taken_from is not None:
                log.warning("takes over from %s", claim.taken_from)
            # Another worker may have finished just before the claim.
            if not folder.finished():
                try:
                    work(claim)
                except KeyboardInterrupt:
                    log.info("stopped; the same command continues from the last checkpoint")
                    raise
                finally:
                    process.give_back_memory()
                return True
    folder.tidy()
    return False


def telling(claim: Claim, watch: Watcher) -> Watcher:
    """Return a watcher that also writes the progress to the claim, for `razorbench status`."""

    def watch_and_tell(progress: Progress) -> None:
        claim.progress = {"update": progress.update, "total": progress.total, "left_s": progress.left_s}
        watch(progress)

    return watch_and_tell


def _patiently(work: Callable[[], Outcome]) -> Outcome:
    """Do shared work, or wait while another worker does it."""
    while True:
        try:
            return work()
        except Claimed:
            time.sleep(_PATIENCE_S)


class _Run:
    """Steps of one run, with its growing episodes and curve."""

    def __init__(self, spec: RunSpec, folder: RunFolder, config: Settings, watch: Watcher, threads: int | None, upstream: Outcome | None) -> None:
        self.spec, self.folder, self.config, self.watch, self.threads, self.upstream = spec, folder, config, watch, threads, upstream
        upstream_policy = None if upstream is None else policies.load(upstream.path / "policy.safetensors", spec.base.policy)
        self.rng = seeding.generator("run", spec.task.id, spec.method_name, spec.seed)
        self.journal = Journal(folder, Snapshot, threads)
        self.checkpoints = Checkpoints(folder, STATE, code(spec), self.journal.write) if resumes(spec.task.world) else None
        self.handle = spec.handle(threads, self._on_update, upstream_policy, self.checkpoints, self.rng)
        self.split = Split(spec.eval.split)
        self.subject = Subject.of(spec.task, spec.base.skills, spec.method_name, spec.seed, spec.eval.split)
        with self.journal.measuring():
            probes = spec.base.probes_with(spec.task)
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
        left_s = self.journal.left_s(update, total, sum(planned > update for planned in self.schedule))
        self.watch(Progress(update, total, left_s, self.handle.used, self.success, metrics))

    def _as_filed(self, policy: ActorCriticPolicy) -> ActorCriticPolicy:
        """Return the policy as its file stores it; only this one is measured."""
        return policies.as_filed(policy, self.spec.base.policy, self.states)

    def _cells(self, mode: Any = "greedy", *, skill_episodes: int, select: bool) -> list[Cell]:
        """Return cells of TEST episodes of the new task and all skills, and of SELECT episodes of the new task. A tuning run has SELECT instead of TEST."""
        spec, starts = self.spec, np.arange(self.spec.eval.episodes)
        cells = [Cell(spec.task, self.split, starts, mode)]
        cells += [Cell(skill, self.split, np.arange(skill_episodes), mode) for skill in spec.base.skills]
        return cells + ([Cell(spec.task, Split.SELECT, starts, mode)] if select and self.split is not Split.SELECT else [])

    def _play(self, policy: ActorCriticPolicy, label: str, cells: list[Cell]) -> Episodes:
        return Episodes.of(label, cells, play_policy(policy, cells, threads=self.threads))

    def _both_modes(self) -> list[Cell]:
        n = self.spec.eval.episodes
        return self._cells(skill_episodes=n, select=True) + self._cells("sampled", skill_episodes=n, select=False)

    def _base_episodes(self) -> Episodes:
        """Return the base's episodes. All runs from a base on one machine have the same, so they are cached in the results folder."""
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
        # Progress may affect a person's choices, so it shows SELECT success, never TEST.
        self.success, retention = snapshot.select_success, snapshot.retention.value
        log.info(
            "update %d: new task (SELECT) %.2f, retention %s, forward KL %.3f",
            update,
            self.success,
            "undefined" if retention is None else f"{retention:.2f}",
            snapshot.forward_kl,
        )

    def _final(self, tuned: ActorCriticPolicy) -> tuple[FinalSuccess, Moved]:
        """Measure the final policy on all episodes, divergences and drift."""
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
            estimator=policies.distribution(spec.base.policy, self.states[:1]).estimator,
            notes=dict(self.handle.notes),
            hashes=Hashes(run=self.folder.hash, task_spec=spec.task.fingerprint(), base_policy=spec.base.sha256, probe=spec.base.probe_sha256),
        )

    def _upstream(self) -> Upstream | None:
        """Return the costs of making the method's data: those of its upstream run, and those of sampling from a policy."""
        spec, used = self.spec, asdict(self.handle.counts.upstream)
        if self.upstream is None or spec.upstream is None:
            return Upstream(**used) if any(used.values()) else None
        record = self.upstream.record
        total = {cost: amount + getattr(record.budget, cost) for cost, amount in used.items()}
        return Upstream(method=spec.upstream.method_name, run=record.hashes.run, **total)


def snapshot_schedule(total: int, count: int) -> set[int]:
    """Return the updates to measure at: `count` of them, or all, spaced geometrically from the first to the last."""
    updates = [1]
    while len(updates) < min(count, total):
        here, left = updates[-1], min(count, total) - len(updates)
        updates.append(max(here + 1, round(here * (total / here) ** (1 / left))))
    return {*updates, total}
