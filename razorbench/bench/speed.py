"""Speed on this machine, relative to the raw rate of the physics.

Each round measures all rates, and ratios are taken within a round, because machines drift. Raw is `mujoco.rollout` with the same model, batch and
threads and with precomputed controls.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
import numpy as np
import stable_baselines3
from mujoco.batch import Batch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv

from razorbench.bench import peers, rates
from razorbench.bench.phases import Phases, Timed
from razorbench.errors import RazorbenchError, UsageError
from razorbench.measures import drift, probe_states
from razorbench.policy import answers, network
from razorbench.runs import run as runs
from razorbench.runs.spec import RunSpec
from razorbench.store import provenance
from razorbench.task import Split, Task
from razorbench.types import Measurements
from razorbench.world import cores
from razorbench.world import rollout as evaluate
from razorbench.world.rollout import Cell, play_expert, play_policy

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
WIDTHS = (64, 128, 256, 512)
PEER_SECONDS = 3.0
Say = Callable[[str], None]


def bench(spec: RunSpec, num_envs: int, rounds: int, peers_python: str | None, say: Say) -> Measurements:
    """Measure rates in rounds, one whole run by phase, and the growth of cost with batch, threads, skills, tasks and network.

    spec: the run to profile, with a method on Stable-Baselines3's PPO. peers_python: the Python of an environment with the peers. say: takes progress
    lines. Raises UsageError if this Python lacks the peers.
    """
    if peers_python is not None:
        check_peers(peers_python)
    with network.one_thread():
        table = _rounds(spec, num_envs, rounds, peers_python, say)
        say("one whole run, by phase")
        whole = _whole_run(spec)
        say("cost against batch, threads, skills, tasks and network")
        growth = _medians([_growth(spec) for _ in range(rounds)])
    return {
        "num_envs": num_envs,
        "rounds": rounds,
        "threads": cores.threads(),
        "usable_cores": joblib.cpu_count(),
        "machine": provenance.machine(),
        "versions": provenance.versions(),
        **table,
        "run": whole,
        "growth": growth,
    }


def check_peers(python: str) -> None:
    """Raise UsageError with the command that installs them if a Python is missing or lacks the peers."""
    names = ", ".join(map(repr, peers.NEEDED))
    code = f"from importlib.util import find_spec\nprint(*(name for name in ({names}) if find_spec(name) is None))"
    way = f"`python -m venv peers && peers/bin/pip install torch=={provenance.versions()['torch'].partition('+')[0]} {' '.join(peers.NEEDED.values())}`"
    try:
        missing = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"--peers {python}: no such Python; install the peers with {way} and give peers/bin/python") from error
    if missing:
        raise UsageError(
            f"--peers {python}: this Python lacks {', '.join(missing)}; they need another MuJoCo than RazorBench, so make a separate environment "
            f"with {way} and give --peers peers/bin/python"
        )


def _rounds(spec: RunSpec, num_envs: int, rounds: int, peers_python: str | None, say: Say) -> Measurements:
    """Return each row's rate and ratios, medians over rounds, and the seconds of an evaluation and of `--help`."""
    task, threads = spec.task, cores.threads()
    tape = rates.recorded(spec, num_envs, threads)
    rows: dict[str, Callable[[], float]] = {
        "raw mujoco.rollout": lambda: rates.raw(task, tape, threads),
        "bare mujoco.batch": lambda: rates.bare(task, tape, threads),
        "engine": lambda: rates.engine(task, tape, threads),
        "engine for SB3": lambda: rates.sb3(task, tape, threads),
        f"{spec.method_name}, update included": lambda: rates.method(spec, threads),
    }
    for key, (title, _) in peers.PEERS.items() if peers_python is not None else ():
        rows[title] = lambda key=key: _peer(str(peers_python), key)  # type: ignore[misc]
    measured: dict[str, list[float]] = {name: [] for name in rows}
    seconds: dict[str, list[float]] = {"evaluation": [], "help": []}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, measure in rows.items():
            measured[name].append(measure())
        seconds["evaluation"].append(_evaluation(spec, [*spec.base.skills], 100, threads))
        seconds["help"].append(_help())
    raw, engine = np.array(measured["raw mujoco.rollout"]), np.array(measured["engine"])
    return {
        "rates": {
            name: {
                "per_s": float(np.median(values)),
                "over_raw": float(np.median(np.array(values) / raw)),
                "engine_over_this": float(np.median(engine / np.array(values))),
                "rounds": values,
            }
            for name, values in measured.items()
        },
        "seconds": {name: float(np.median(values)) for name, values in seconds.items()},
    }


def _peer(python: str, peer: str) -> float:
    """Return a peer's steps per second under the fastest of Stable-Baselines3's vectorizations. Raises RazorbenchError if the peer fails."""
    most = cores.threads()
    settings = [("dummy", 1), ("subproc", most), ("subproc", 2 * most)]
    speeds = []
    for vectorisation, num_envs in settings:
        command = [python, "-P", peers.__file__, peer, vectorisation, str(num_envs), str(PEER_SECONDS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RazorbenchError(f"{peer} under {vectorisation} failed in {python}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
        speeds.append(float(done.stdout.split()[-1]))
    return max(speeds)


def _evaluation(spec: RunSpec, skills: Sequence[Task], episodes: int, threads: int) -> float:
    """Return the seconds that greedy TEST episodes of the new task and of each skill take. episodes: per task."""
    cells = [Cell(task, Split.TEST, np.arange(episodes)) for task in (spec.task, *skills)]
    began = time.perf_counter()
    play_policy(spec.base.policy, cells, threads=threads)
    return time.perf_counter() - began


def _help() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "razorbench", "--help"], capture_output=True, check=True)
    return time.perf_counter() - began


def _whole_run(spec: RunSpec) -> Measurements:
    """Return the seconds of one run from its start to its record, by scope and phase."""
    functions = [
        *(Timed(Batch, name, phase="physics") for name in ("step", "reset", "forward")),
        Timed(type(spec.method), "adapt", scope="training", phase="method"),
        *(Timed(runs._Run, name, scope="measuring") for name in ("_snapshot", "_final", "_base_episodes")),
        Timed(evaluate, "play", phase="environment"),
        Timed(ActorCriticPolicy, "forward", phase="policy"),
        Timed(answers, "distribution", phase="policy"),
        *(Timed(ruler, name, phase="divergence") for ruler in (probe_states.Ruler, drift.DriftRuler) for name in ("__init__", "measure")),
        Timed(VecEnv, "step", phase="environment"),
        *(Timed(RolloutBuffer, name, phase="buffer") for name in ("add", "compute_returns_and_advantage")),
        Timed(stable_baselines3.PPO, "collect_rollouts", phase="SB3's loop"),
        Timed(BaseCallback, "on_rollout_end", phase="critic"),
        Timed(stable_baselines3.PPO, "train", phase="update"),
    ]
    phases = Phases()
    with tempfile.TemporaryDirectory() as folder, phases.timing(functions):
        record = runs.run(spec, Path(folder), {}).record
    parts = {scope: phases.of(scope) for scope in ("training", "measuring", "rest")}
    return {
        "budget": spec.budget.name,
        "wall_s": record.wall_s,
        "seconds": parts,
        "training_us_per_env_step": {phase: 1e6 * s / max(record.budget.env_steps, 1) for phase, s in parts["training"].items()},
        "peak_memory_gb": _peak_memory_gb(),
    }


def _peak_memory_gb() -> float:
    """Return the peak resident memory of this process, GB; NaN where the system does not report it."""
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (30 if sys.platform == "darwin" else 20)


def _growth(spec: RunSpec) -> dict[str, list[dict[str, float]]]:
    """Return rates and seconds as one factor at a time grows."""
    task, most = spec.task, cores.threads()
    growth: dict[str, list[dict[str, float]]] = {"batch": [], "threads": [], "skills": [], "tasks": [], "width": []}
    for size in BATCHES:
        tape = rates.recorded(spec, size, most, decisions=max(rates.DECISIONS // 4, min(10 * rates.DECISIONS, 4096 // size)))
        growth["batch"].append({"num_envs": size, "raw_per_s": rates.raw(task, tape, most), "engine_per_s": rates.engine(task, tape, most)})
    tape = rates.recorded(spec, 128, most)
    for threads in sorted({1, 2, most // 2 or 1, most, 2 * most}):
        growth["threads"].append({"threads": threads, "raw_per_s": rates.raw(task, tape, threads), "engine_per_s": rates.engine(task, tape, threads)})
    for count in (0, 1, 2, 4, len(spec.base.skills)):
        growth["skills"].append({"skills": count, "evaluation_s": _evaluation(spec, spec.base.skills[:count], 50, most)})
    everything = [task, *spec.base.skills]
    for count in (1, 3, len(everything)):
        cells = [Cell(skill, Split.SELECT, np.arange(450 // count)) for skill in everything[:count]]
        began = time.perf_counter()
        played = play_expert(cells, threads=most)
        growth["tasks"].append({"tasks": count, "per_s": float(played.length.sum() / (time.perf_counter() - began))})
    observation_space, action_space = spec.base.policy.observation_space, spec.base.policy.action_space
    for width in WIDTHS:
        base = network.build(observation_space, action_space, [width] * 3)  # type: ignore[arg-type]
        growth["width"].append({"width": width, "training_per_s": rates.method(spec, most, base)})
    return growth


def _medians(rounds: Sequence[dict[str, list[dict[str, float]]]]) -> dict[str, list[dict[str, float]]]:
    """Return the medians over rounds, point by point."""
    return {
        name: [{key: float(np.median([values[name][place][key] for values in rounds])) for key in point} for place, point in enumerate(points)]
        for name, points in rounds[0].items()
    }
