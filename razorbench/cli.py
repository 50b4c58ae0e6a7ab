"""The command line: sub-commands, and runs through Hydra."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NoReturn

from razorbench import __version__
from razorbench.disk import trouble
from razorbench.errors import RazorbenchError, UsageError
from razorbench.output import lenient, warn

HELP = """\
RazorBench: how much do robot policies forget, and can it be predicted?

Adapt the shipped policy to a new task and measure what is left of its original skills:
  python -m razorbench task=pick_place method=ppo
  python -m razorbench task=pick_place method=sft demos=detour seed=1 budget=quick
  python -m razorbench -m task=core method=ppo,sft seed=0,1,2           (a sweep over a suite of tasks)
  python -m razorbench -m +experiment=razor_core --hours 2.5            (the next portion of a reference study)
  python -m razorbench sequence=core6 method=ppo                        (one policy learns task after task)
  python -m razorbench study=parity                                     (a controlled study: parity on images, or projection)

Keys:     task=NAME or sequence=NAME, method=NAME [base=mlp] [budget=quick|standard|long] [seed=0] [demos=STYLE]
          [results=results] [eval.snapshots=24], and every setting of these, as in method.learning_rate=3e-5
Options:  -m, --multirun     run every combination of comma-separated values
          --hours H          stop in time; the same command goes on where it was (as after Ctrl-C, a kill or a power cut)
  --config-dir DIR   find your own task/NAME.yaml and method/NAME.yaml in DIR

Other commands (each has --help):
  razorbench list        what there is: tasks, suites, sequences, skills, methods, bases, budgets
  razorbench pretrain    make a base policy anew and compare it with the shipped one
  razorbench check       what is wrong with a task, also one of your own
  razorbench demos       demonstrations of a task as a file, for demos=FILE.safetensors
  razorbench tune        the search that methods' defaults come from, the same for each
  razorbench report      one page over finished runs: scores, Pareto frontiers, the law and its rivals, every run
  razorbench compare     two methods over all tasks and seeds that both have: does one keep more?
  razorbench claims      what the runs say about the paper's claims: more, less, same or undecided, at both stops
  razorbench status      which runs of a sweep are done, running, failed or missing, and the time left
  razorbench pack        a method's runs over a suite as a package for the leaderboard
  razorbench validate    whether such a package is what it says
  razorbench replay      whether its policies do what it says, and how they do on fresh starts
  razorbench leaderboard the board as a static site, from packages and their levels
  razorbench video       films of base and tuned policy, from a run's folder; or a gallery of all tasks
  razorbench bench       speed on this machine, against the raw rate of the physics

Exit codes: 0 good, 1 a run failed, 2 wrong use. `python -m razorbench` and `razorbench` are the same program.
"""


_ELSEWHERE = {
    **dict.fromkeys(("report", "compare", "claims"), "analysis"),
    "status": "status",
    **dict.fromkeys(("pack", "validate", "replay", "leaderboard"), "submission.command"),
}
"""Commands that are functions of the same name in a module of their own, imported when asked for."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the program and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    before = signal.signal(signal.SIGTERM, _terminated)
    # Nothing here is drawn in a window, and a window's backend that is not installed would keep Matplotlib from drawing at all.
    os.environ.pop("MPLBACKEND", None)
    with lenient():
        try:
            code = _dispatch(arguments)
        except RazorbenchError as error:
            warn(str(error))
            code = error.exit_code
        except KeyboardInterrupt:
            warn("stopped; give the same command again, and runs go on where they were")
            code = 1
        except OSError as error:
            if (said := trouble(error)) is None:
                raise
            warn(said)
            code = 1
        finally:
            signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _terminated(*_: Any) -> NoReturn:
    """What ends a job on a cluster ends it as Ctrl-C does."""
    raise KeyboardInterrupt


def _dispatch(arguments: list[str]) -> int:
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the folder that the command was given in is gone; change to another") from error
    if arguments and arguments[0] in ("-h", "--help"):
        print(HELP, end="")
        return 0
    if not arguments:
        print(HELP, end="", file=sys.stderr)
        return 2
    commands = {
        "list": _list,
        "pretrain": _pretrain,
        "check": _check,
        "demos": _demos,
        "tune": _tune,
        "video": _video,
        "bench": _bench,
    }
    if arguments[0] in commands:
        return commands[arguments[0]](arguments[1:])
    if arguments[0] in _ELSEWHERE:
        command = getattr(importlib.import_module(f"razorbench.{_ELSEWHERE[arguments[0]]}"), arguments[0])
        return int(command(arguments[1:], _Parser))
    if any(argument.startswith("study=") for argument in arguments):
        return _study(arguments)
    if "=" not in arguments[0] and not arguments[0].startswith("-"):
        raise UsageError(f"{arguments[0]}: no such command; there are {', '.join([*commands, *_ELSEWHERE])}, or give task=NAME method=NAME")
    return _run(arguments)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; see {self.prog} --help")


def _run(arguments: list[str]) -> int:
    if sys.stdout is not None and sys.stdout.isatty():
        # The packages take seconds, and nothing on the screen would look as if it hung.
        print(f"RazorBench {__version__}: loading ...", flush=True)
    from razorbench.running import run_all

    return run_all(arguments, _Parser)


def _study(arguments: list[str]) -> int:
    """Do a controlled study and keep what it finds in RESULTS/studies/NAME."""
    parser = _Parser(prog="razorbench study=NAME", description="Do a controlled study; its settings are study.KEY=VALUE.", allow_abbrev=False)
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE", help="study=NAME, its settings such as study.seed=1, and results=DIR")
    parser.add_argument("--config-dir", help="your own conf folder, with study/NAME.yaml")
    options = parser.parse_args(arguments)
    name = next(override.removeprefix("study=") for override in options.overrides if override.startswith("study="))
    for override in options.overrides:
        if not override.lstrip("+").startswith(("study=", "study.", "results=")):
            raise UsageError(f"{override}: a study is no run and takes study.KEY=VALUE and results=DIR only")

    from razorbench import config, show
    from razorbench.store import make_writable
    from razorbench.studies.findings import ControlledStudy

    with config.registry(options.config_dir) as registry:
        study, results = registry.study(options.overrides)
    if not isinstance(study, ControlledStudy):
        raise UsageError(f"study={name} is no controlled study: its command is `{show.use(study, name)}`")
    folder = results / "studies" / name
    make_writable(folder, f"results={results}", "results=DIR")
    findings = study.run(lambda text: print(text, file=sys.stderr))
    findings.save(folder, study)
    show.markdown(findings.text)
    print(f"report.md, tables and figures are in {folder}")
    return 0


def _list(arguments: list[str]) -> int:
    parser = _Parser(prog="razorbench list", description="List what is registered.")
    parser.add_argument("--keys", action="store_true", help="print the whole default configuration instead")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_args(arguments)
    from omegaconf import OmegaConf

    from razorbench import config, show

    with config.registry(options.config_dir) as registry:
        if options.keys:
            composed = registry.compose(["task=pick_place", "method=ppo"])
            print(OmegaConf.to_yaml(OmegaConf.create(config.plain_config(composed))), end="")
        else:
            show.listing(registry)
    return 0


def _pretrain(arguments: list[str]) -> int:
    parser = _Parser(prog="razorbench pretrain", description="Make a base policy anew, measure it, and say how it compares with the shipped one.")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="base=mlp seed=0 results=results, and settings such as base.epochs=30")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_args(arguments)

    from razorbench import config, show
    from razorbench.building import build
    from razorbench.pretrain import pretrain

    with config.registry(options.config_dir) as registry:
        composed = registry.compose(options.overrides)
        recipe = build(config.plain_config(composed)["base"], "base")
        tasks = [registry.item("task", name) for name in registry.names("task")]
    folder = config.results_of(composed) / "policies"
    card = pretrain(recipe, tasks, int(composed.seed), folder, print)
    return show.pretrained(card, folder, recipe)


def _demos(arguments: list[str]) -> int:
    parser = _Parser(prog="razorbench demos", description="Record a scripted expert's noisy demonstrations of a task, successes only, as safetensors.")
    parser.add_argument("task", help="name of a new task")
    parser.add_argument("--style", help="demonstration style, by default the task's first")
    parser.add_argument("--episodes", type=int, default=500, help="episodes to play")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the file, by default TASK-STYLE.safetensors here")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_args(arguments)
    if options.episodes < 1 or options.seed < 0:
        raise UsageError(f"--episodes {options.episodes} --seed {options.seed}: episodes must be 1 or more, the seed 0 or more")

    from razorbench import config, demos
    from razorbench.store import make_writable

    with config.registry(options.config_dir) as registry:
        task = registry.task_or_skill(options.task)
    style = next(iter(task.experts)) if options.style is None else options.style
    if style not in task.experts:
        raise UsageError(f"--style {style}: {task.id} has the demonstration styles {', '.join(task.experts)}; choose one of them")
    out = options.out if options.out is not None else Path(f"{task.name}-{style}{demos.SUFFIX}")
    if out.suffix != demos.SUFFIX:
        raise UsageError(f"--out {out}: the file's name must end in {demos.SUFFIX}")
    make_writable(out.parent, f"--out {out}", "--out FILE")
    recorded = demos.record(task, style, options.episodes, options.seed)
    demos.save(recorded, task, style, out)
    print(f"{len(recorded.start)} episodes of {task.id}, {len(recorded.actions)} decisions: {out}")
    return 0


def _tune(arguments: list[str]) -> int:
    parser = _Parser(prog="razorbench tune", description="Try every configuration that a study declares for a method, and rank them by mean score on SELECT.")
    parser.add_argument("method", nargs="*", help="methods, by default all that the study declares; KEY=VALUE goes to the runs, as in hydra/launcher=joblib")
    parser.add_argument("--study", default="tuning", help="name of the study's yaml in conf/study")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder for the runs; those done are not done again")
    parser.add_argument("--config-dir", help="your own conf folder, with study/NAME.yaml for --study NAME")
    options = parser.parse_intermixed_args(arguments)
    overrides = [word for word in options.method if "=" in word]

    from razorbench import config, show, tuning
    from razorbench.walk import read_records

    with config.registry(options.config_dir) as registry:
        study = registry.item("study", options.study)
    if not isinstance(study, tuning.Study):
        raise UsageError(f"--study {options.study} is no search over runs: its command is `{show.use(study, options.study)}`")
    methods = [word for word in options.method if "=" not in word] or list(study.grids)
    finding = ["--config-dir", options.config_dir] if options.config_dir else []
    sweeps = [sweep for method in methods for sweep in study.sweeps(method)]
    code = max(_run(["-m", *sweep, f"results={options.results}", *overrides, *finding]) for sweep in sweeps)
    if code:
        return code
    records = read_records(options.results)
    for method in methods:
        show.ranked(method, tuning.ranking(study, method, records))
    return 0


def _video(arguments: list[str]) -> int:
    parser = _Parser(prog="razorbench video", description="Film base and tuned policy side by side, on the new task and on the most-forgotten skill.")
    parser.add_argument("run", type=Path, nargs="?", help="a run's folder, as printed at its end")
    parser.add_argument("--gallery", action="store_true", help="instead, film the experts of every task and style, and draw one contact sheet")
    parser.add_argument("--out", type=Path, default=Path("results/gallery"), help="folder for the gallery")
    parser.add_argument("--format", choices=("mp4", "gif"), default="mp4")
    parser.add_argument("--episodes", type=int, default=3, help="episodes of each task, one after the other")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_args(arguments)
    if options.episodes < 1:
        raise UsageError(f"--episodes is {options.episodes}: it must be 1 or more")

    if options.gallery == (options.run is not None):
        raise UsageError("video needs a run's folder, or --gallery, and not both: as in `razorbench video results/pick_place/ppo/seed0-...`")

    from razorbench import config
    from razorbench.gallery import gallery
    from razorbench.store import make_writable
    from razorbench.video import film

    with config.registry(options.config_dir) as registry:
        if options.gallery:
            make_writable(options.out, f"--out {options.out}", "--out DIR")
            paths = gallery(registry.all_tasks(), options.out, options.format)
        else:
            paths = film(options.run, registry.recorded, options.format, options.episodes)
    for path in paths:
        print(path)
    return 0


def _check(arguments: list[str]) -> int:
    parser = _Parser(prog="razorbench check", description="Say what is wrong with a task, a sentence per fault: shapes, starts, success, experts, physics.")
    parser.add_argument("task", help="name of a new task or an original skill, or `all`")
    parser.add_argument("--config-dir", help="your own conf folder")
    parser.add_argument("--golden", type=Path, metavar="FILE", help="also compare with the golden trajectories in this .npz file, written if there is none yet")
    options = parser.parse_args(arguments)

    from razorbench import config, golden
    from razorbench.checks import check_shipped, check_task
    from razorbench.identity import shipped
    from razorbench.store import make_writable

    with config.registry(options.config_dir) as registry:
        chosen = None if options.task == "all" else registry.task_or_skill(options.task)
        everything, skills = registry.all_tasks(), registry.names("skill")
    wanted = everything if chosen is None else [chosen]
    compare = options.golden is not None and options.golden.exists()
    if options.golden is not None and not compare:
        make_writable(options.golden.parent, str(options.golden), "--golden")
    good = []
    for task in wanted:
        found = check_task(task, everything)
        if not found and task.id in shipped("task"):
            ours = [other for other in everything if other.id in shipped("task")]
            with as_file(files("razorbench.envs").joinpath("golden.npz")) as file:
                found = check_shipped(task, ours, skills, file, Path(__file__).parents[1] / "docs" / "tasks.md")
        if compare and not found and (difference := golden.difference(task, options.golden)):
            found = [difference]
        for sentence in found:
            print(f"{task.id}: {sentence}")
        if not found:
            good.append(task)
            print(f"{task.id}: conforms")
    if options.golden is not None and not compare and good:
        golden.write(good, options.golden)
    return 0 if len(good) == len(wanted) else 1


def _bench(arguments: list[str]) -> int:
    parser = _Parser(prog="razorbench bench", description="Measure speed on this machine against the raw rate of mujoco.rollout; takes some minutes.")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="the run to take apart, by default task=pick_place method=ppo")
    parser.add_argument("--num-envs", type=int, default=128, help="environments in the batch")
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take medians over")
    parser.add_argument("--peers", nargs="?", const=sys.executable, metavar="PYTHON", help="also measure other benchmarks, with the Python that has them")
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="folder for bench.json and bench.png")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_intermixed_args(arguments)
    if options.num_envs < 1 or options.rounds < 1:
        raise UsageError(f"--num-envs is {options.num_envs} and --rounds is {options.rounds}: both must be 1 or more")

    from razorbench import bench_report, config, show
    from razorbench.bench import bench
    from razorbench.spec import RunSpec
    from razorbench.store import make_writable

    with config.registry() as registry:
        composed = registry.compose(["task=pick_place", "method=ppo", *options.overrides])
        spec = config.spec(composed, composed.hydra.runtime.choices)
    if not isinstance(spec, RunSpec):
        raise UsageError(f"bench takes one run apart, and {spec.name} is a sequence of them: give task=NAME")
    make_writable(options.out, f"--out {options.out}", "--out DIR")
    measured = bench(spec, options.num_envs, options.rounds, options.peers, lambda text: print(f"{text} ...", file=sys.stderr))
    (options.out / "bench.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    bench_report.picture(measured, options.out / "bench.png")
    if options.json:
        print(json.dumps(measured, indent=2))
    else:
        bench_report.tables(measured, show.console)
        show.console.print(f"written to {options.out}: bench.json, bench.png")
    return 0
