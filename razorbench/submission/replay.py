"""Do the policies of a package do what its rows say, and what do they do on starts that nobody could prepare for?

The published episodes are played again from the weights. On the machine, the packages and the versions of the record they have to be
the same, row by row; elsewhere each rate has to lie within three standard errors of a difference of two such rates. Then the
policies play fresh starts, drawn by a seed of the replayer's: these rank.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import policy as policies
from razorbench import probe, provenance, seeding
from razorbench.base import Base
from razorbench.compare import Number
from razorbench.episodes import Episodes
from razorbench.evaluate import Cell, play_policy
from razorbench.metrics import Estimate, retention, score
from razorbench.results import Run
from razorbench.spec import EvalSettings
from razorbench.starts import NEARLY_SOLVED
from razorbench.store import PACKED_EPISODES
from razorbench.submission import hostile
from razorbench.submission.check_run import VISITED, read_policy
from razorbench.submission.hostile import Faults
from razorbench.submission.known import Known
from razorbench.submission.schema import SUMS, Submission
from razorbench.suite import suite
from razorbench.summary import MODES
from razorbench.task import Split, Task
from razorbench.types import BoolArray, IntArray

ERRORS = 3.0
"""Standard errors that a rate may be off on another machine."""
_FRESH = 2**20
"""Published starts lie below it; a seed's fresh ones at its own multiple above."""


@dataclass(frozen=True)
class Replayed:
    """What a run's policy did. exact: whether its rows were to agree one by one; fresh: success rates on fresh starts by task, base and final.

    base_success: of the base on the new task, by its card.
    """

    task: str
    seed: int
    exact: bool
    fresh: dict[str, dict[str, float]]
    base_success: float

    @property
    def score(self) -> float | None:
        """The score on fresh starts."""
        return fresh_score(self.task, self.fresh, self.base_success)


def fresh_score(task: str, fresh: Mapping[str, Mapping[Any, float]], base_success: float) -> float | None:
    """Return a policy's score on fresh starts, None where undefined. fresh: success rates by task, of the new one and of skills, `base` and `final`."""
    skills = [rates for name, rates in fresh.items() if name != task]
    kept = retention(np.array([rates["base"] for rates in skills]), np.array([rates["final"] for rates in skills]))
    return None if base_success > NEARLY_SOLVED else score(fresh[task]["final"], base_success, kept)


def digest(root: Path) -> str:
    """Return what tells a package from every other: the SHA-256 of its checksums."""
    return hostile.sha256(hostile.read(root, SUMS, hostile.MOST_FILE, Faults()) or b"")


def share(runs: Sequence[Run], fraction: float, seed: int) -> list[Run]:
    """Return a share of the runs, drawn by a seed, in their order."""
    number = max(1, math.ceil(fraction * len(runs)))
    return [runs[k] for k in sorted(seeding.generator("replay", seed).choice(len(runs), number, replace=False))]


def replay(
    root: Path,
    submission: Submission,
    runs: Sequence[Run],
    known: Known,
    *,
    fresh_seed: int,
    episodes: int,
    faults: Faults,
    say: Callable[[str], None],
) -> list[Replayed]:
    """Play the policies of some of a valid package's runs; disagreements are added to the faults."""
    bases: dict[tuple[str, int], dict[str, BoolArray]] = {}
    found = []
    for number, run in enumerate(runs, 1):
        task, seed = known.tasks[run.task], int(run.record["seed"])
        base = known.base(submission.track.base, seed)
        say(f"{number} of {len(runs)}: {run.task}, seed {seed}")
        tuned = read_policy(root, f"{run.folder.as_posix()}/policy.safetensors", base.policy, faults)
        if tuned is None:
            continue  # changed since it was found valid
        exact = same_place(run)
        with policies.one_thread():
            _published(root, run, task, base, tuned, known.settings, episodes, exact, faults)
            if (key := (run.task, seed)) not in bases:
                bases[key] = _fresh(base.policy, task, base, fresh_seed, known.settings.episodes)
            final = _fresh(tuned, task, base, fresh_seed, known.settings.episodes)
        rates = {name: {"base": float(bases[key][name].mean()), "final": float(solved.mean())} for name, solved in final.items()}
        found.append(Replayed(run.task, seed, exact, rates, run.base_success))
    return found


def entry(root: Path, found: Sequence[Replayed], fresh_seed: int, who: str, whole: bool, retrained: int | None) -> dict[str, Any]:
    """Return the board's entry of a package that was replayed: level, who, when, versions, digest, seed, and the scores on fresh starts.

    whole: whether that were all runs; a package of which a share was replayed stays `validated`, as rank needs all. retrained: how many repeated to the bit
    when they were trained again; None if they were not.
    """
    numbers = {(one.task, one.seed): Number.exact(number) for one in found if (number := one.score) is not None}
    value = suite(numbers, sorted({one.task for one in found})).value
    return {
        "level": "validated" if not whole else "replayed" if retrained is None else "retrained",
        "package": digest(root),
        "who": who,
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "fresh_seed": fresh_seed,
        "exact": sum(one.exact for one in found),
        "retrained_exact": retrained,
        "fresh": {
            "score": {"value": value.value, "ci95": [value.low, value.high]} if isinstance(value, Estimate) else None,
            "score_text": f"{value.value:.3f}  95% {value.low:.2f} to {value.high:.2f}" if isinstance(value, Estimate) else "no interval: one run",
            "runs": [{"task": one.task, "seed": one.seed, "score": one.score, "success": one.fresh} for one in found],
        },
    }


def same_place(run: Run) -> bool:
    """Whether results have to repeat to the last bit: same processor, system and versions, and never made on two machines."""
    record: dict[str, Any] = dict(run.record)
    return (record["machine"], record["versions"], record["resumed_elsewhere"]) == (provenance.machine(), provenance.versions(), [])


def _published(
    root: Path, run: Run, task: Task, base: Base, tuned: ActorCriticPolicy, settings: EvalSettings, episodes: int, exact: bool, faults: Faults
) -> None:
    """Play published TEST starts in both modes, and compare with the package's rows, and the divergence on the states that are visited."""
    starts = np.arange(min(episodes, settings.episodes))
    cells = [Cell(each, Split.TEST, starts, mode) for mode in MODES for each in (task, *base.skills)]
    here = Episodes.of("final", cells, play_policy(tuned, cells))
    there = Episodes.read(root / run.folder / PACKED_EPISODES)
    file = f"{run.folder.as_posix()}/{PACKED_EPISODES}"
    told = {row[:5]: row[5:] for row in there.rows}
    other = next((row for row in here.rows if told[row[:5]] != row[5:]), None) if exact else None
    if other is not None:
        faults.add(file, ",".join(map(str, other[:5])), f"success and length {told[other[:5]]}", f"{other[5:]}, as replayed on the record's own platform")
    for cell in cells:
        key = cell.task.name, Split.TEST.value, cell.mode
        ours, theirs = here.success("final", *key), there.success("final", *key, first=len(starts))
        allowed = ERRORS * _error(ours, theirs)
        if abs(ours.mean() - theirs.mean()) > allowed:
            faults.add(file, f"success on {key[0]}, {key[2]}", f"{theirs.mean():.2f}", f"{ours.mean():.2f} give or take {allowed:.2f}, as replayed")
    states = probe.choose_states(probe.visited(tuned, [task])[0].pairs()[0], "tuned", task.id)
    ours_kl = probe.Ruler(base.policy, base.probes, task, base.skills).measure(tuned, states)["kl_forward"][VISITED]
    theirs_kl = run.record["divergence"]["kl_forward"][VISITED]
    if abs(ours_kl - theirs_kl) > (1e-4 if exact else 0.1) * max(0.1, ours_kl):
        faults.add(f"{run.folder.as_posix()}/record.json", f"divergence.kl_forward.{VISITED}", theirs_kl, f"{ours_kl:.4g}, as replayed")


def _error(here: BoolArray, there: BoolArray) -> float:
    """Standard error of a difference of two rates, two successes and two failures added (Agresti and Caffo 2000 add half as many)."""
    n = len(here) + len(there) + 4
    p = (here.sum() + there.sum() + 2) / n
    return float(np.sqrt(p * (1 - p) * (1 / (len(here) + 2) + 1 / (len(there) + 2))))


def fresh_starts(seed: int, episodes: int) -> IntArray:
    """Return TEST starts (E,) that are published nowhere."""
    return _FRESH * (seed + 1) + np.arange(episodes)


def _fresh(policy: ActorCriticPolicy, task: Task, base: Base, seed: int, episodes: int) -> dict[str, BoolArray]:
    cells = [Cell(each, Split.TEST, fresh_starts(seed, episodes)) for each in (task, *base.skills)]
    played = play_policy(policy, cells)
    return {cell.task.name: played.of(k).success for k, cell in enumerate(cells)}
