"""Small packages and the registry that they are held against, for the tests of submissions and for fuzzing."""

from dataclasses import replace

from conftest import compose

from razorbench.registry import config
from razorbench.runs.run import run
from razorbench.runs.spec import EvalSettings
from razorbench.runs.suggest import sweep
from razorbench.statistics.finished_runs import read_runs
from razorbench.submissions import installed
from razorbench.submissions.pack import pack

ABOUT = {"name": "SFT, once more", "authors": ["A. Nonymous"], "description": "Maximum likelihood.", "licence": "MIT", "code": None, "paper": None}
RUN = "runs/stack/seed0"
RECORD, CURVE, EPISODES, POLICY = (f"{RUN}/{file}" for file in ("record.json", "curve.jsonl.xz", "episodes.columns.xz", "policy.safetensors"))
SETTINGS = {"snapshots": 8, "episodes": 10, "skill_episodes": 4}


def small_known():
    """What is registered, with suites of one run and of two, and little to measure."""
    with config.registry() as registry:
        found = installed.known(registry)
        nodes = {(group, name): registry.node(group, name) for group, name in (("task", "stack"), ("base", "mlp"))}
    suites = {**found.suites, "one": (["stack"], [0]), "two": (["stack"], [0, 1])}
    return replace(found, suites=suites, settings=EvalSettings(**SETTINGS), node=lambda group, name: nodes[group, name])


def small_runs(folder):
    """Runs of the size that the checks expect."""
    for overrides in (["method=sft", "seed=0"], ["method=frozen", "seed=0"], ["method=frozen", "seed=1"]):
        spec, plain = compose("task=stack", "budget=quick", *(f"eval.{key}={value}" for key, value in SETTINGS.items()), *overrides)
        run(spec, folder, plain)
    return folder


def packed(results, known, out, arm="sft", suite="one", **about):
    runs = read_runs(results, {name: tuple(task.experts) for name, task in known.tasks.items()})
    return pack(runs, arm, suite, "mlp", "quick", {**ABOUT, **about}, known, out, sweep(results, "quick", None))
