"""Replay of a package: its policies play the published episodes and fresh starts.

On the machine, packages and versions of the record, published episodes must repeat row by row. Elsewhere some may end differently, but as many for the worse
as for the better, in every cell and in total (`trials`). Fresh starts come from the replayer's seed. They decide the rank, and success on published starts
may exceed that on fresh ones only by chance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.bases.base import Base
from razorbench.measures import probe_states
from razorbench.measures.episodes import Episodes
from razorbench.measures.success import retention, score
from razorbench.measures.summary import MODES
from razorbench.policy import network as policies
from razorbench.runs.spec import EvalSettings
from razorbench.statistics.base_success import NEARLY_SOLVED
from razorbench.statistics.comparison import Number
from razorbench.statistics.finished_runs import Run
from razorbench.statistics.suite_score import suite
from razorbench.store import provenance
from razorbench.store.estimate import Estimate, plain
from razorbench.store.folder import PACKED_EPISODES, POLICY, RECORD
from razorbench.submissions import trials
from razorbench.submissions.hostile import Faults
from razorbench.submissions.installed import Known
from razorbench.submissions.package import Package
from razorbench.submissions.rows import declared_rows, here
from razorbench.submissions.schema import Submission
from razorbench.submissions.trials import Played
from razorbench.submissions.weights import VISITED, read_policy
from razorbench.task import Split, Task, World
from razorbench.types import BoolArray, IntArray, Settings
from razorbench.world.rollout import Cell, play_policy

_FRESH = 2**20
"""Published starts lie below it; the fresh starts of each seed begin at its own multiple of it."""


@dataclass(frozen=True)
class Replayed:
    """Replay of a run's policy. exact: whether its rows had to repeat one by one; fresh: success rates on fresh starts by task, base and final.

    base_success: the base's success on the new task, from its card; cells: on published starts; whole: whether the cells cover all published starts.
    """

    task: str
    seed: int
    exact: bool
    fresh: dict[str, dict[str, float]]
    base_success: float
    cells: Sequence[Played] = ()
    whole: bool = False

    @property
    def score(self) -> float | None:
        """Score on fresh starts."""
        return fresh_score(self.task, self.fresh, self.base_success)

    def published(self, who: str = "replayed") -> dict[str, dict[str, float]]:
        """Return greedy success rates on published starts in the form of `fresh`, as replayed here or as declared."""
        return {cell.task: {"base": cell.base, "final": float(getattr(cell, who))} for cell in self.cells if cell.greedy}


def fresh_score(task: str, fresh: Mapping[str, Mapping[Any, float]], base_success: float) -> float | None:
    """Return a policy's score on fresh starts, None if undefined. fresh: success rates of the new task and the skills, by name, `base` and `final`."""
    return None if base_success > NEARLY_SOLVED else score(fresh[task]["final"], base_success, fresh_retention(task, fresh))


def fresh_retention(task: str, fresh: Mapping[str, Mapping[Any, float]]) -> float | None:
    """Return a policy's retention on fresh starts, None if undefined."""
    skills = [rates for name, rates in fresh.items() if name != task]
    return retention(np.array([rates["base"] for rates in skills]), np.array([rates["final"] for rates in skills]))


def share(runs: Sequence[Run], fraction: float, seed: int) -> list[Run]:
    """Return a random share of the runs in their order. seed: of the draw."""
    number = max(1, math.ceil(fraction * len(runs)))
    return [runs[k] for k in sorted(seeding.generator("replay", seed).choice(len(runs), number, replace=False))]


def replay(
    package: Package,
    submission: Submission,
    runs: Sequence[Run],
    known: Known,
    *,
    fresh_seed: int,
    episodes: int,
    faults: Faults,
    say: Callable[[str], None],
) -> list[Replayed]:
    """Play the policies of some runs of a valid package. Adds disagreements to the faults."""
    bases: dict[tuple[str, int], dict[str, BoolArray]] = {}
    played: list[Replayed] = []
    for number, run in enumerate(runs, 1):
        task, seed = known.tasks[run.task], run.seed
        base = known.base(submission.track.base, seed)
        say(f"{number} of {len(runs)}: {run.task}, seed {seed}")
        tuned = read_policy(package, f"{run.folder.as_posix()}/{POLICY}", base.policy, faults)
        if tuned is None:
            continue
        exact = same_place(run, task.world)
        with policies.one_thread():
            cells = _published(package, run, task, base, tuned, known.settings, episodes, exact, faults)
            if (key := (run.task, seed)) not in bases:
                bases[key] = _fresh(base.policy, task, base, fresh_seed, known.settings.episodes)
            final = _fresh(tuned, task, base, fresh_seed, known.settings.episodes)
        fresh = {name: {"base": float(bases[key][name].mean()), "final": float(success.mean())} for name, success in final.items()}
        played.append(Replayed(run.task, seed, exact, fresh, run.base_success, cells, episodes >= known.settings.episodes))
    trials.pooled([(each.task, each.cells) for each in played], faults)
    trials.against_fresh([(each.task, each.cells, each.fresh) for each in played], known.settings.episodes, faults)
    return played


def entry(package: Package, runs: Sequence[Replayed], fresh_seed: int, who: str, whole: bool, retrained: int | None) -> dict[str, Any]:
    """Return the board's level file of a replayed package: level, who, when, versions, digest, seed, and the scores on fresh starts.

    whole: whether all runs were replayed; otherwise the package stays `validated`. retrained: number of runs that repeated bit for bit in a retraining, None
    without one.
    """
    value = over({(one.task, one.seed): one.score for one in runs})
    return {
        "level": "validated" if not whole else "replayed" if retrained is None else "retrained",
        "package": package.digest,
        "who": who,
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "fresh_seed": fresh_seed,
        "exact": sum(one.exact for one in runs),
        "retrained_exact": retrained,
        "fresh": {
            "score": None if value is None else plain(value),
            "score_text": score_text(value),
            "runs": [{"task": one.task, "seed": one.seed, "score": one.score, "success": one.fresh} for one in runs],
        },
        "replayed": summary(runs) if whole and all(one.whole for one in runs) else None,
    }


def over(numbers: Mapping[tuple[str, int], float | None]) -> Estimate | None:
    """Return the mean over tasks of the means over seeds with its interval, over defined numbers; None if there are too few."""
    defined = {key: Number.exact(number) for key, number in numbers.items() if number is not None}
    value = suite(defined, sorted({task for task, _ in numbers})).value
    return value if isinstance(value, Estimate) else None


def score_text(value: Estimate | None) -> str:
    """Format a score for `replay`."""
    return "no interval: one run" if value is None else value.line()


def summary(runs: Sequence[Replayed], who: str = "replayed") -> dict[str, Settings | None]:
    """Return score, success and retention on the published starts over all runs, as replayed here or as declared."""
    rates = {(one.task, one.seed): (one, one.published(who)) for one in runs}
    parts = {
        "score": over({key: fresh_score(one.task, rate, one.base_success) for key, (one, rate) in rates.items()}),
        "success": over({key: rate[one.task]["final"] for key, (one, rate) in rates.items()}),
        "retention": over({key: fresh_retention(one.task, rate) for key, (one, rate) in rates.items()}),
    }
    return {name: None if value is None else plain(value) for name, value in parts.items()}


def rates(runs: Sequence[Replayed]) -> list[str]:
    """Return a table of declared, replayed and fresh success and retention, a line for each run."""

    def line(one: Replayed) -> str:
        sides = [one.published("declared"), one.published(), one.fresh]
        success = "  ".join(f"{side[one.task]['final']:8.2f}" for side in sides)
        retained = "  ".join("undefined" if (value := fresh_retention(one.task, side)) is None else f"{value:9.2f}" for side in sides)
        return f"{one.task + ', seed ' + str(one.seed):26}{success}  {retained}"

    return [f"{'':26}success on the new task        retention", f"{'':26}declared  replayed     fresh   declared   replayed      fresh", *map(line, runs)]


def same_place(run: Run, world: World) -> bool:
    """Whether results have to repeat to the last bit, see `rows.here`."""
    return here(run.record, world)


def _published(
    package: Package, run: Run, task: Task, base: Base, tuned: ActorCriticPolicy, settings: EvalSettings, episodes: int, exact: bool, faults: Faults
) -> list[Played]:
    """Play published starts, TEST in both modes and SELECT, and compare with the package's rows, and the divergence on the states that are visited."""
    starts = np.arange(min(episodes, settings.episodes))
    cells = [Cell(each, Split.TEST, starts, mode) for mode in MODES for each in (task, *base.skills)]
    cells.append(Cell(task, Split.SELECT, starts))
    ours = Episodes.of("final", cells, play_policy(tuned, cells))
    file = f"{run.folder.as_posix()}/{PACKED_EPISODES}"
    declared = declared_rows(package, file)
    other = next((row for row in ours.rows if declared[row[:5]] != row[5:]), None) if exact else None
    if other is not None:
        faults.add(file, ",".join(map(str, other[:5])), f"success and length {declared[other[:5]]}", f"{other[5:]}, as replayed on the record's own platform")
    played = []
    for cell in cells:
        about = cell.task.name, cell.split.value, cell.mode
        of_base, theirs = (np.array([declared[who, *about, int(start)][0] for start in starts], dtype=bool) for who in ("base", "final"))
        played.append(Played.of(about, of_base, theirs, ours.success("final", *about)))
    trials.single(file, played, faults)
    states = probe_states.choose_states(probe_states.visited(tuned, [task])[0].pairs()[0], "tuned", task.id)
    measured = probe_states.Ruler(base.policy, base.probes, task, base.skills).measure(tuned, states)
    for name, values in measured.items():
        theirs_there, ours_there = run.record.divergence[name][VISITED], values[VISITED]
        if abs(ours_there - theirs_there) > (1e-4 if exact else 0.1) * max(0.1, ours_there):
            faults.add(f"{run.folder.as_posix()}/{RECORD}", f"divergence.{name}.{VISITED}", theirs_there, f"{ours_there:.4g}, as replayed")
    return played


def fresh_starts(seed: int, episodes: int) -> IntArray:
    """Return unpublished TEST starts, (E,)."""
    return _FRESH * (seed + 1) + np.arange(episodes)


def _fresh(policy: ActorCriticPolicy, task: Task, base: Base, seed: int, episodes: int) -> dict[str, BoolArray]:
    cells = [Cell(each, Split.TEST, fresh_starts(seed, episodes)) for each in (task, *base.skills)]
    played = play_policy(policy, cells)
    return {cell.task.name: played.of(k).success for k, cell in enumerate(cells)}
