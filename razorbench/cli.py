"""The command line: sub-commands, and runs through Hydra."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from razorbench import __version__
from razorbench.catalog import Catalog
from razorbench.disk import trouble
from razorbench.errors import RazorbenchError, UsageError
from razorbench.guess import among, nearest
from razorbench.output import lenient, warn
from razorbench.suggest import completed

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
          --version          say which version this is

Other commands (each has --help):
  razorbench list        what there is: tasks, suites, sequences, skills, methods, bases, budgets; a line each
  razorbench doctor      whether this installation works, a line for each part of it
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
    **dict.fromkeys(("check", "pretrain", "demos", "bench"), "commands"),
    **dict.fromkeys(("report", "compare", "claims"), "analysis"),
    "status": "status",
    "doctor": "doctor",
    **dict.fromkeys(("pack", "validate", "replay", "leaderboard"), "submission.command"),
}
"""Commands that are functions of the same name in a module of their own, imported when asked for."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the program and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None and not sys.flags.safe_path:
        _find_modules_here()
    before = signal.signal(signal.SIGTERM, _terminated)
    # Nothing here is drawn in a window, and a window's backend that is not installed would keep Matplotlib from drawing at all.
    os.environ.pop("MPLBACKEND", None)
    with lenient():
        try:
            code = _dispatch(arguments)
        except RazorbenchError as error:
            warn(completed(str(error), _config_dir(arguments)))
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


def _find_modules_here() -> None:
    """Let a user's modules in the working folder be found by the console script too; `python -m` puts the folder there itself."""
    with suppress(FileNotFoundError):
        if (here := os.getcwd()) not in sys.path:
            sys.path.insert(0, here)


def _config_dir(arguments: Sequence[str]) -> str | None:
    """A user's own conf folder, as it was given."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    with suppress(UsageError):
        found: str | None = parser.parse_known_args(arguments)[0].config_dir
        return found
    return None


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
    if arguments == ["--version"]:
        print(f"razorbench {__version__}")
        return 0
    commands = {"list": _list, "tune": _tune, "video": _video}
    if arguments[0] in commands:
        return commands[arguments[0]](arguments[1:])
    if arguments[0] in _ELSEWHERE:
        command = getattr(importlib.import_module(f"razorbench.{_ELSEWHERE[arguments[0]]}"), arguments[0])
        return int(command(arguments[1:], _Parser))
    if any(argument.startswith("study=") for argument in arguments):
        return _study(arguments)
    if "=" not in arguments[0] and not arguments[0].startswith("-"):
        raise UsageError(f"{arguments[0]}: no such command{among(arguments[0], [*commands, *_ELSEWHERE])}, or give task=NAME method=NAME")
    return _run(arguments)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse wrong words, with those that were probably meant."""
        choice = re.search(r"(?<=invalid choice: )'(.*)' \(choose from (.*)\)", message)
        option = re.search(r"unrecognized arguments: (--[\w-]+)", message)
        meant = nearest(choice[1], choice[2].replace("'", "").split(", ")) if choice else None
        meant = nearest(option[1], re.findall(r"--[\w-]+", self.format_help())) if option else meant
        raise UsageError(f"{self.prog}: {message}{f' (did you mean {meant}?)' if meant else ''}; see {self.prog} --help")


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
    from razorbench.store import filling
    from razorbench.studies.findings import ControlledStudy

    with config.registry(options.config_dir) as registry:
        study, results = registry.study(options.overrides)
    if not isinstance(study, ControlledStudy):
        raise UsageError(f"study={name} is no controlled study: its command is `{show.use(study, name)}`")
    folder = results / "studies" / name
    with filling(folder, f"results={results}", "results=DIR"):
        findings = study.run(lambda text: print(text, file=sys.stderr))
        findings.save(folder, study)
    show.markdown(findings.text)
    print(f"report.md, tables and figures are in {folder}")
    return 0


def _list(arguments: list[str]) -> int:
    parser = _Parser(prog="razorbench list", description="List what there is, a line each; say all about one; or print the settings of a run.")
    parser.add_argument("what", nargs="*", metavar="NAME", help="a name from the list, to print everything about it; with --keys, KEY=VALUE as of a run")
    parser.add_argument("--keys", action="store_true", help="print every setting of a run, by default of task=pick_place method=ppo")
    parser.add_argument("--config-dir", help="your own conf folder")
    options = parser.parse_intermixed_args(arguments)
    if (wrong := next((word for word in options.what if ("=" in word) != options.keys), None)) is not None:
        example = "`razorbench list --keys method=sft`" if "=" in wrong else "`razorbench list --keys` with KEY=VALUE, or `razorbench list NAME`"
        raise UsageError(f"{wrong}: not understood; ask for settings as in {example}")

    if not options.keys:
        catalog = Catalog(options.config_dir)
        for line in (line for name in options.what for line in catalog.described(name)) if options.what else catalog.lines():
            print(line)
        return 0
    from omegaconf import OmegaConf

    from razorbench import config

    given = {override.partition("=")[0] for override in options.what}
    usual = {"task": "pick_place", "method": "ppo"} if "sequence" not in given else {"method": "ppo"}
    with config.registry(options.config_dir) as registry:
        composed = registry.compose([*(f"{key}={name}" for key, name in usual.items() if key not in given), *options.what])
    print(OmegaConf.to_yaml(OmegaConf.create(config.plain_config(composed))), end="")
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
    from razorbench.store import filling
    from razorbench.video import film

    with config.registry(options.config_dir) as registry:
        if options.gallery:
            with filling(options.out, f"--out {options.out}", "--out DIR"):
                paths = gallery(registry.all_tasks(), options.out, options.format)
        else:
            paths = film(options.run, registry.recorded, options.format, options.episodes)
    for path in paths:
        print(path)
    return 0
