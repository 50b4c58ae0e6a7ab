"""What a stranger may try with a package, by kind: what is changed, and what has to be said of it. Checksums are made right, and where it helps all sums."""

# The look-alikes are meant.

import json
import lzma
import struct
from pathlib import Path

import numpy as np
import torch
from attacks_files import FILES, SAID, on, writing
from packages import CURVE, EPISODES, POLICY, RECORD, RUN
from safetensors.torch import load_file, save_file
from test_submission import edit, setting

from razorbench.measures.episodes import Episodes
from razorbench.measures.summary import Subject
from razorbench.statistics.finished_runs import Run
from razorbench.store.packing import xz
from razorbench.store.record import Record, Snapshot
from razorbench.submissions.package import Package
from razorbench.submissions.rows import declared_rows
from razorbench.submissions.validate import scores

SKILLS = ("reach", "push", "lift", "carry", "drawer_open", "drawer_close", "button_press", "lever_pull")
ELSEWHERE = setting("machine.processor", "Another One")


def rows(change):
    """Change the table of episodes: a function of (policy, task, split, mode, start, solved, length) that returns the last two."""

    def on(text):
        header, *lines = text.splitlines()
        return "\n".join([header, *(",".join([*words[:5], *map(str, change(*words))]) for words in (line.split(",") for line in lines))]) + "\n"

    return lambda package: edit(package, EPISODES, on)


def agreeing(*changes, elsewhere=True):
    """Change rows, and then all that follows from them: only what the shipped base or the weights know is left to find it."""

    def on(package, known):
        for change in changes:
            change(package)
        declared = declared_rows(Package(package), EPISODES)
        episodes = Episodes(tuple((*key, *end) for key, end in declared.items()))
        record = json.loads((package / RECORD).read_text())
        base = known.base("mlp", 0)
        subject = Subject("stack-v1", [skill.name for skill in base.skills], record["method"]["name"], 0, "test")
        record |= subject.final(episodes).plain()
        if elsewhere:
            ELSEWHERE(record)
        (package / RECORD).write_text(json.dumps(record))
        points = [json.loads(line) for line in lzma.decompress((package / CURVE).read_bytes()).splitlines()]
        for point in points:
            point |= subject.snapshot(episodes, "base" if point["update"] == 0 else f"update{point['update']}", known.settings.skill_episodes).plain()
        (package / CURVE).write_bytes(xz("".join(json.dumps(point) + "\n" for point in points).encode()))
        totals = scores([Run(Record.model_validate(record), list(map(Snapshot.model_validate, points)), ("direct",), Path(RUN))], ["stack"])
        edit(
            package,
            "submission.json",
            lambda declared: declared["scores"].update({name: None if value is None else value.model_dump() for name, value in totals.items()}),
        )

    return on


def failing(who, task, mode="greedy", split="test", solved="0"):
    """Episodes of one cell all end so."""

    def change(policy, name, of, how, start, was, length):
        if (policy, name, of, how) != (who, task, split, mode) or was == solved:
            return was, length
        return (solved, length) if solved == "1" else (solved, HORIZONS[name])

    return rows(change)


HORIZONS: dict[str, int] = {}
"""Of tasks by name, filled in by the tests."""


def last(path, value):
    return on(CURVE, lambda points: setting(path, value)(points[-1]))


def weights(change):
    return on(POLICY, change)


def scaled(factor):
    return weights(lambda tensors: {name: tensor if name == "log_std" else tensor * factor for name, tensor in tensors.items()})


def overflowing(tensors):
    """Finite weights, none of them above 1e30, whose actions are not."""
    return {name: torch.full_like(tensor, 1e30) if name == "action_net.bias" else tensor for name, tensor in tensors.items()}


BASE = {
    **{
        f"the base's {skill} made worse, {mode}": (agreeing(failing("base", skill, mode)), f"number of episodes of {skill}, test, {mode} that end otherwise")
        for skill in SKILLS
        for mode in ("greedy", "sampled")
    },
    "the base's new task made better, greedy": (
        agreeing(failing("base", "stack", solved="1")),
        "of stack, test, greedy that end otherwise than with the shipped base",
    ),
    "the base's new task made better, sampled": (agreeing(failing("base", "stack", "sampled", solved="1")), "of stack, test, sampled that end otherwise"),
    "the base's SELECT made better": (agreeing(failing("base", "stack", split="select", solved="1")), "of stack, select, greedy that end otherwise"),
    "all old skills made worse": (agreeing(*(failing("base", skill) for skill in SKILLS)), "that end otherwise than with the shipped base"),
    "one episode of the base on the record's own machine": (
        agreeing(
            rows(lambda who, task, split, mode, start, solved, length: (solved, length) if (who, task, start) != ("base", "reach", "3") else (solved, "1")),
            elsewhere=False,
        ),
        "as the shipped base does it",
    ),
}

SNAPSHOTS = {
    "a last snapshot that keeps more": (
        agreeing(
            rows(lambda who, task, split, mode, start, solved, length: ("1", length) if who.startswith("update") and task in SKILLS else (solved, length)),
            elsewhere=False,
        ),
        "as the final policy does it",
    ),
    "SELECT of every snapshot made better": (
        agreeing(
            rows(lambda who, task, split, mode, start, solved, length: ("1", length) if who.startswith("update") and split == "select" else (solved, length))
        ),
        "as the final policy does it",
    ),
    **{
        f"divergences of the last snapshot: {path}": (last(path, value), f"line 9: {path} is {value}, expected")
        for path, value in (
            ("divergence.kl_forward.new", 0.01),
            ("divergence.kl_reverse.original", 0.5),
            ("divergence.w2.new", 0.01),
            ("drift.weights.l2", 0.1),
        )
    },
    "divergences of the base from itself": (
        on(CURVE, setting("0.divergence.kl_forward.new", 1.0)),
        f"{CURVE}, line 1: divergence.kl_forward.new is 1.0, expected 0.0",
    ),
    "a divergence less": (on(CURVE, lambda points: points[3]["divergence"].pop("js")), f"{CURVE}, line 4: divergence.js is missing, expected there"),
    "a state set less": (on(CURVE, lambda points: points[3]["divergence"]["tv"].pop("new")), f"{CURVE}, line 4: divergence.tv.new is missing, expected there"),
    "a divergence more": (on(CURVE, setting("3.divergence.mine", {"new": 0.1})), f"{CURVE}, line 4: divergence.mine is there, expected nothing"),
    "a measure more": (on(CURVE, setting("3.mine", 1)), f"{CURVE}, line 4: mine is 1, expected nothing"),
    "steps of a snapshot beyond the record's": (
        on(CURVE, setting("8.gradient_steps", 10**6)),
        f"{CURVE}: gradient_steps is 1000000, expected no more than the record's",
    ),
    "two hundred thousand snapshots": (writing(CURVE, xz(b"{}\n" * 200_000)), f"{CURVE}: number of lines is 200000, expected at most 200"),
}

_PLACES = (
    (CURVE, "4.divergence.kl_forward.new"),
    (CURVE, "4.divergence.moved.random"),
    (CURVE, "4.drift.weights.rank"),
    (CURVE, "4.drift.activations.new.cka"),
    (CURVE, "4.retention.value"),
    (CURVE, "4.new_task.select.rate"),
    (CURVE, "4.update"),
    (CURVE, "4.env_steps"),
    (RECORD, "divergence.tv.new_tuned_states"),
    (RECORD, "drift.activations.original.l1"),
    (RECORD, "wall_s"),
    (RECORD, "threads"),
    (RECORD, "method.version"),
    (RECORD, "machine.cores"),
    (RECORD, "new_task.final.greedy.ci95"),
)
_WRONG = {"a word": "0.1", "a list": [0.1, 0.2], "1e29": 1e29, "true": True, "a mapping": {"value": 0.1}, "below 0": -5}
KINDS = {
    f"{name} as {path} of {Path(file).name}": (on(file, setting(path, value)), path.partition(".")[2] if file == CURVE else path)
    for file, path in _PLACES
    for name, value in _WRONG.items()
} | {
    "1e308": (on(RECORD, setting("wall_s", 1e308)), f"{RECORD}: "),
    "NaN": (on(RECORD, setting("score", float("nan"))), f"{RECORD}: JSON is NaN is not an allowed number"),
    "an infinity": (on(RECORD, setting("wall_s", float("inf"))), f"{RECORD}: JSON is Infinity is not an allowed number"),
    "a rank above all": (on(CURVE, setting("4.divergence.js.new", 0.9)), "js.new is 0.9, above 0.7"),
    "a total variation of 2": (on(RECORD, setting("divergence.tv.new_tuned_states", 2.0)), "tv.new_tuned_states is 2, above 1"),
    "a measuring longer than the run": (on(RECORD, setting("measuring_s", 1e6)), "measuring_s is 1e+06, more than wall_s"),
    "a note of a thousand lists": (on(RECORD, setting("notes", {"x": [[0]] * 1000})), f"{RECORD}: notes.x"),
    "a hash that climbs": (on(RECORD, setting("hashes.run", "/../../../etc")), f"{RECORD}: hashes.run is /../../../etc, expected"),
    "a part more": (on(RECORD, setting("prize", 1)), f"{RECORD}: prize is 1, expected nothing"),
    "a cost more": (on(RECORD, setting("budget.coffee", 1)), f"{RECORD}: budget.coffee is 1, expected nothing"),
}

CONFIG = {
    "another number of decisions of the base": (on(RECORD, setting("config.base.episodes", 9)), "config.base.episodes is 9, expected 1200"),
    "a folder of one's own for the base": (
        on(RECORD, setting("config.base.directory", "/home/me/bases")),
        "config.base.directory is /home/me/bases, expected no path of a machine",
    ),
    "a place in a note": (
        on(RECORD, setting("notes", {"from": "/home/me/data/demos.npz"})),
        "notes.from is /home/me/data/demos.npz, expected no path of a machine",
    ),
    "a place on Windows": (on(RECORD, setting("notes", {"from": "C:\\Users\\me"})), "expected no path of a machine"),
    "a skill that is code": (
        on(RECORD, setting("config.base.skills.reach", {"_target_": "os.system", "command": "id"})),
        "config.base.skills.reach._target_ is os.system",
    ),
    "a task that is code": (on(RECORD, setting("config.task", {"_target_": "os.system", "command": "id"})), "config.task._target_ is os.system, expected"),
    "a base that is code": (on(RECORD, setting("config.base", {"_target_": "os.system"})), "config.base._target_ is os.system, expected"),
    "a shaped reward": (on(RECORD, setting("config.task.reward", "shaped")), "config.task.reward is shaped, expected sparse"),
    "an easier task": (on(RECORD, setting("config.task.easy", True)), "config.task.easy is True, expected False"),
    "a larger budget": (on(RECORD, setting("config.budget.demo_episodes", 10**6)), "config.budget.demo_episodes is 1000000, expected"),
    "another seed": (on(RECORD, setting("config.seed", 7)), "config.seed is 7, expected 0"),
    "a frozen log-std": (on(RECORD, setting("config.log_std", "frozen")), "config.log_std is frozen, expected trained"),
    "fewer skills measured": (on(RECORD, setting("config.eval.skill_episodes", 1)), "config.eval.skill_episodes is 1, expected 4"),
    "tuning's starts": (on(RECORD, setting("config.eval.split", "select")), "config.eval.split is select, expected test"),
    "demonstrations of another style": (on(RECORD, setting("config.demos", "turned")), "config.demos is turned, expected"),
    "a setting more": (on(RECORD, setting("config.extra", 1)), "config.extra is there, expected nothing"),
    "no base": (on(RECORD, lambda record: record["config"].pop("base")), "config.base is missing, expected something"),
    "no configuration": (on(RECORD, setting("config", None)), f"{RECORD}: config is None, expected a mapping"),
    "no method": (on(RECORD, lambda record: record["config"].pop("method")), "config.method is missing"),
    "a method of a list": (on(RECORD, setting("config.method", [1])), "config.method is [1], expected a mapping"),
    "another protocol": (on(RECORD, setting("protocol", 3)), f"{RECORD}: protocol is 3, expected"),
    "a family of one's own": (on(RECORD, setting("method.family", "ours")), "method.family is ours, expected offline supervised"),
    "another name of the method": (on(RECORD, setting("method.name", "ppo")), "method.name is ppo, expected sft"),
    "demonstrations from nowhere": (on(RECORD, setting("method.demos", "sha256:1234")), "method.demos is sha256:1234, expected"),
    "data of old tasks, unsaid in the track": (on(RECORD, setting("budget.old_task_data", True)), "budget.old_task_data is True, expected False"),
}

WEIGHTS = {
    "weights that overflow": (weights(overflowing), f"{POLICY}: divergence"),
    "weights a thousandth larger": (scaled(1.001), f"{RECORD}: divergence.kl_forward.new is"),
    "the base's own weights": (
        lambda package, known: save_file(known.base("mlp", 0).policy.state_dict(), package / POLICY),
        f"{RECORD}: divergence.kl_forward.new is",
    ),
    "NaN among the weights": (scaled(float("nan")), f"{POLICY}: "),
    "halves instead of floats": (weights(lambda tensors: {name: tensor.half() for name, tensor in tensors.items()}), f"{POLICY}: "),
    "a tensor turned": (
        weights(lambda tensors: {name: tensor.T.contiguous() if tensor.ndim == 2 else tensor for name, tensor in tensors.items()}),
        f"{POLICY}: ",
    ),
    "a tensor left out": (
        weights(lambda tensors: {name: tensor for name, tensor in tensors.items() if name != "log_std"}),
        f"{POLICY}: log_std is missing, expected there",
    ),
    "a header of four gigabytes": (writing(POLICY, struct.pack("<Q", 2**32) + b"{}"), f"{POLICY}: header length is"),
    "a pickle": (writing(POLICY, b"\x80\x04\x95" + bytes(100)), f"{POLICY}: header length is"),
    "nine megabytes": (writing(POLICY, bytes(9_000_000)), f"{POLICY}: size is 9000000 bytes, expected at most 8000000 bytes"),
}


def pair(change):
    """A change of the second run's record of a package of two."""
    return lambda package, known: edit(package, "runs/stack/seed1/record.json", change)


PAIRS = {
    "two methods": (pair(setting("config.method._target_", "mine.Other")), "as in runs/stack/seed0: a package has one setting"),
    "a setting in one run alone": (pair(setting("config.method.rate", 0.5)), "config.method.rate is there, expected nothing, as in runs/stack/seed0"),
    "two versions of the method": (pair(setting("method.version", 2)), "method.version is 2, expected 1, as in runs/stack/seed0"),
    "two families": (pair(setting("method.family", "ours")), "method.family is ours, expected"),
    "two MuJoCos": (pair(setting("versions.mujoco", "3.1.0")), "versions.mujoco is 3.1, expected"),
    "two torches": (pair(setting("versions.torch", "1.0")), "versions.torch is 1.0, expected"),
    "no MuJoCo": (pair(lambda record: record["versions"].pop("mujoco")), "versions.mujoco is missing, expected"),
    "upstream in one run alone": (
        pair(setting("upstream", {"method": "ppo", "run": None, "env_steps": 1, "demo_episodes": 0, "expert_queries": 0, "gradient_steps": 0})),
        "upstream.method is ppo, expected None, as in",
    ),
}

PACKAGES = {"the base's numbers": BASE, "snapshots": SNAPSHOTS, "kinds": KINDS, "config": CONFIG, "weights": WEIGHTS, "files": FILES, "submission.json": SAID}


def moved(package, base, by=1e-7):
    """Someone else's weights, each that was trained moved by so much."""
    path, rng = package / POLICY, np.random.default_rng(0)
    noise = {name: by * torch.from_numpy(rng.normal(size=tuple(tensor.shape)).astype(np.float32)) for name, tensor in base.items()}
    save_file({name: tensor + noise[name] * (tensor != base[name]) for name, tensor in load_file(path).items()}, path)
