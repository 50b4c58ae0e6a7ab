"""One sequence: a policy learns several tasks in turn; after each stage all tasks and original skills are measured."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.errors import UsageError, saying_where
from razorbench.measures import probe_states, transfer
from razorbench.measures.episodes import Episodes, rate
from razorbench.measures.success import forgetting_and_retention
from razorbench.measures.summary import UNSOLVED
from razorbench.method.handle import TaskHandle
from razorbench.policy import network as policies
from razorbench.runs.adapting import adapted
from razorbench.runs.head import code, origin
from razorbench.runs.history import Journal
from razorbench.runs.run import Progress, Watcher, carry_out, log, no_watcher, snapshot_schedule, telling
from razorbench.runs.spec import RunSpec
from razorbench.store.checkpoint import Checkpoints
from razorbench.store.disk import near
from razorbench.store.estimate import Estimate, Undefined
from razorbench.store.folder import STATE, SequenceFolder, digest
from razorbench.store.reading import read_points, read_sequence, read_snapshots
from razorbench.store.record import Divergence, Snapshot, Splits
from razorbench.store.sequence_record import SequenceBudget, SequenceHashes, SequenceMethod, SequenceRecord, StageCosts, StageSnapshot
from razorbench.task import Split, Task, pairs_episodes, resumes
from razorbench.types import BoolArray, FloatArray, Settings
from razorbench.world.rollout import Cell, play_policy

_ALONE = Undefined("a sequence of one task has none")


@dataclass(frozen=True)
class SequenceSpec:
    """Tasks in order, each as a single run; the runs differ in task and style only. A task may occur more than once. Raises UsageError if impossible."""

    name: str
    runs: tuple[RunSpec, ...]

    def __post_init__(self) -> None:
        if not self.runs:
            raise UsageError(f"sequence={self.name} has no tasks: give it at least one under sequence.tasks")
        if self.first.eval.split != Split.TEST.value:
            raise UsageError(f"sequence={self.name} with eval.split={self.first.eval.split}: tuning is done on single tasks; leave eval.split out")
        if self.first.upstream is not None:
            raise UsageError(
                f"method={self.first.method_name} builds on a run of another method from the base, which a sequence does not have; choose another method"
            )

        for task in self.tasks:
            if task.fingerprint() != self.distinct[task.name].fingerprint():
                raise UsageError(f"sequence={self.name} has {task.name} with different settings: a repeated task must keep its settings")

    @property
    def distinct(self) -> dict[str, Task]:
        """Distinct tasks by name."""
        return {task.name: task for task in self.tasks}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks in order."""
        return tuple(run.task for run in self.runs)

    @property
    def first(self) -> RunSpec:
        """The first run, which has the settings that all runs share."""
        return self.runs[0]

    def folder(self, results: Path) -> SequenceFolder:
        """Return the sequence's folder in a results folder."""
        identity = {"sequence": [run.identity() for run in self.runs]}
        return SequenceFolder(results, self.name, self.first.method_name, self.first.seed, digest(identity))


@dataclass(frozen=True)
class SequenceOutcome:
    """Outcome of a sequence: its folder and record. worked: whether this call did the sequence."""

    path: Path
    record: SequenceRecord
    worked: bool


def run_sequence(spec: SequenceSpec, results: Path, config: Settings, watch: Watcher = no_watcher, threads: int | None = None) -> SequenceOutcome:
    """Do a sequence, or return its finished outcome. Raises as `razorbench.runs.run.run`."""
    folder = spec.folder(results)
    worked = carry_out(folder, lambda claim: _Sequence(spec, folder, config, telling(claim, watch), threads).carry_out())
    return SequenceOutcome(folder.path, read_sequence(folder.path / folder.file), worked)


class _Sequence:
    """Stages of one sequence, with its growing episodes and curve. Stage 0 is the base; stage i learns task i."""

    def __init__(self, spec: SequenceSpec, folder: SequenceFolder, config: Settings, watch: Watcher, threads: int | None) -> None:
        self.spec, self.folder, self.config, self.watch, self.threads = spec, folder, config, watch, threads
        self.base = spec.first.base
        self.journal = Journal(folder, StageSnapshot, threads)
        self.code = code(spec.first)
        self.stages = Checkpoints(folder, STATE, self.code, self.journal.write)
        self.used: list[StageCosts] = []
        self.divergence: list[Divergence] = []

    def carry_out(self) -> None:
        self.folder.write_text("config.yaml", yaml.safe_dump(self.config, sort_keys=False))
        policy = self.base.policy
        if not self.journal.resume(self.stages):
            self._measure_all(policy, 0)
        for stage, run in enumerate(self.spec.runs, 1):
            policy = self._stage(policy, stage, run)
        self._save(policy, "policy.safetensors")
        self.journal.write()
        self.folder.write_record(self._record())

    def _stage(self, policy: ActorCriticPolicy, stage: int, run: RunSpec) -> ActorCriticPolicy:
        """Learn a task and measure everything, or load the finished stage."""
        if (state := self.stages.load(stage - 1)) is not None:
            tuned = policies.clone(policy).eval()
            tuned.load_state_dict(state["policy"])
            self.used, self.divergence = [StageCosts(**used) for used in state["used"]], state["divergence"]
            return tuned
        tuned = self._as_filed(self._learn(policy, stage, run))
        self._measure_all(tuned, stage)
        with self.journal.measuring():
            ruler = probe_states.Ruler(self.base.policy, self.base.probes_with(run.task), run.task, self.base.skills)
            self.divergence.append(ruler.measure(tuned))
        self._save(tuned, f"checkpoints/stage{stage}.safetensors")
        self.stages.save(stage - 1, 1, 1, lambda: {"policy": tuned.state_dict(), "used": [used.plain() for used in self.used], "divergence": self.divergence})
        return tuned

    def _as_filed(self, policy: ActorCriticPolicy) -> ActorCriticPolicy:
        return policies.as_filed(policy, self.base.policy, probe_states.some(self.base.probes))

    def _save(self, policy: ActorCriticPolicy, name: str) -> None:
        self.folder.write(name, lambda path: policies.save(policy, path))

    def _learn(self, policy: ActorCriticPolicy, stage: int, run: RunSpec) -> ActorCriticPolicy:
        """Adapt the policy to one task, as a single run adapts the base."""
        log.info("stage %d of %d: %s", stage, len(self.spec.runs), run.task.id)
        schedule: set[int] = set()
        success: float | None = None

        def on_update(policy: ActorCriticPolicy, update: int, total: int, metrics: dict[str, float]) -> None:
            nonlocal success
            if not schedule:
                schedule.update(snapshot_schedule(total, run.eval.snapshots))
            if update in {*schedule, total} and self.journal.curve[-1].update < update:
                with self.journal.measuring(), saying_where(f"measuring after update {update} of stage {stage}"):
                    success = self._snapshot(self._as_filed(policy), stage, run, update, handle)
            done, whole = round(1000 * (stage - 1 + update / total)), 1000 * len(self.spec.runs)
            snapshots = sum(planned > update for planned in schedule) + (len(self.spec.runs) - stage) * len(schedule)
            self.watch(Progress(done, whole, self.journal.left_s(done, whole, snapshots), handle.used, success, metrics))

        # A repeated task gets new random numbers.
        repetition = sum(task.name == run.task.name for task in self.spec.tasks[: stage - 1])
        rng = seeding.generator("run", run.task.id, run.method_name, run.seed, *([repetition] if repetition else []))
        stored = Checkpoints(self.folder, f"{self.stages.name}/stage{stage}", self.code, self.journal.write)
        checkpoints = stored if resumes(run.task.world) else None
        handle = run.handle(self.threads, on_update, checkpoints=checkpoints, rng=rng)
        if checkpoints is None or not self.journal.resume(checkpoints):
            with self.journal.measuring():
                self._snapshot(policy, stage, run, 0, handle)
        tuned = adapted(run, policy, handle, rng)
        self.used.append(StageCosts(**asdict(handle.used), uncounted=handle.counts.uncounted))
        return tuned

    def _snapshot(self, policy: ActorCriticPolicy, stage: int, run: RunSpec, update: int, handle: TaskHandle) -> float:
        """Measure greedy success on the stage's task, add a point to the curve, and return the SELECT rate."""
        label, starts = f"stage{stage}-update{update}", np.arange(run.eval.episodes)
        cells = [Cell(run.task, split, starts) for split in (Split.TEST, Split.SELECT)]
        self.journal.episodes += Episodes.of(label, cells, play_policy(policy, cells, threads=self.threads))
        success = {split: rate(self.journal.episodes.success(label, run.task.name, split)) for split in ("test", "select")}
        self.journal.curve.append(StageSnapshot(stage=stage, task=run.task.name, update=update, **asdict(handle.used), new_task=Splits(**success)))
        return success["select"].rate

    def _measure_all(self, policy: ActorCriticPolicy, stage: int) -> None:
        """Play greedy TEST episodes of all tasks of the sequence and all original skills."""
        starts = np.arange(self.spec.first.eval.episodes)
        cells = [Cell(task, Split.TEST, starts) for task in (*self.spec.distinct.values(), *self.base.skills)]
        with self.journal.measuring():
            self.journal.episodes += Episodes.of(f"stage{stage}", cells, play_policy(policy, cells, threads=self.threads))

    def _solved(self, stage: int, task: str) -> BoolArray:
        return self.journal.episodes.success(f"stage{stage}", task, "test")

    def _record(self) -> SequenceRecord:
        spec, first = self.spec, self.spec.first
        stages = range(len(spec.runs) + 1)
        rng = seeding.generator("bootstrap", spec.name, first.method_name, first.seed)
        outcomes = np.stack([np.stack([self._solved(stage, task.name) for task in spec.tasks]) for stage in stages])
        skills = [skill.name for skill in self.base.skills]
        base = {skill: self._solved(0, skill) for skill in skills}
        tuned = [{skill: self._solved(stage, skill) for skill in skills} for stage in stages[1:]]
        paired = pairs_episodes(first.task.world)
        measures = [forgetting_and_retention(base, success, rng, paired=paired) for success in tuned]
        method, styles = first.method, [run.style for run in spec.runs]
        return SequenceRecord(
            **dict(origin(first, self.config)),
            **dict(self.journal.conditions()),
            sequence=spec.name,
            tasks=[task.id for task in spec.tasks],
            method=SequenceMethod(name=first.method_name, family=method.family, version=method.version, code=first.code, demos=styles),
            budget=SequenceBudget(name=first.budget.name, caps=asdict(first.budget), used=self.used, old_task_data=method.old_task_data),
            hashes=SequenceHashes(
                run=self.folder.hash,
                task_spec=[task.fingerprint() for task in spec.tasks],
                base_policy=self.base.sha256,
                probe=self.base.probe_sha256,
            ),
            success={name: [rate(self._solved(stage, name)) for stage in stages] for name in [*spec.distinct, *skills]},
            original_skills=skills,
            forgetting_of_skills=[forgot or UNSOLVED for forgot, _ in measures],
            retention=[retained or UNSOLVED for _, retained in measures],
            divergence=self.divergence,
            transfer={name: value or _ALONE for name, value in transfer.estimates(outcomes, rng, paired=paired).items()},
        )


def forward_transfer_auc(spec: SequenceSpec, results: Path) -> Estimate | Undefined:
    """Return a finished sequence's forward transfer: mean over the tasks after the first, compared to the same runs from the base in the results folder."""
    if len(spec.runs) < 2:
        return _ALONE
    alone = [(run.task.name, run.folder(results)) for run in spec.runs[1:]]
    missing = list(dict.fromkeys(name for name, folder in alone if not folder.finished()))
    if missing:
        first = spec.first
        wanted = f"task={','.join(missing)} method={first.method_name} seed={first.seed} base={first.base.id.rpartition('-s')[0]} budget={first.budget.name}"
        command = f"python -m razorbench -m {wanted} {shlex.quote(f'results={near(results)}')}"
        return Undefined(
            f"it needs the same runs from the base: run `{command}`, with the sequence's other settings if there are any, then repeat this command"
        )
    path = spec.folder(results).path
    curve, episodes = read_points(path, StageSnapshot), Episodes.of_run(path)
    areas = []
    for stage, (name, folder) in enumerate(alone, 2):
        inside = _areas([point for point in curve if point.stage == stage], episodes, name, f"stage{stage}-update0", f"stage{stage}-")
        areas.append((inside, _areas(read_snapshots(folder.path), Episodes.of_run(folder.path), name, "base", "")))
    rng = seeding.generator("bootstrap", "forward transfer", spec.name, spec.first.method_name, spec.first.seed)
    return transfer.forward_transfer_auc_estimate(areas, rng, paired=pairs_episodes(spec.first.task.world)) or Undefined(
        "a task is solved before the first update without the sequence"
    )


def _areas(curve: Sequence[Snapshot | StageSnapshot], episodes: Episodes, task: str, first: str, prefix: str) -> FloatArray:
    """Return the mean success over a task's updates on each TEST start, (E,)."""
    updates = [point.update for point in curve]
    labels = [first if update == 0 else f"{prefix}update{update}" for update in updates]
    solved = np.stack([episodes.success(label, task, "test") for label in labels], axis=-1)
    return transfer.area([update / max(updates[-1], 1) for update in updates], solved.astype(float))
