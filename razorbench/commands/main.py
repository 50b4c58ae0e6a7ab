"""The command line: sub-commands, and runs through Hydra."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from razorbench import __version__
from razorbench.commands.parser import Parser
from razorbench.errors import RazorbenchError, UsageError, among
from razorbench.runs.suggest import completed
from razorbench.store.disk import trouble
from razorbench.store.output import lenient, warn

COMMANDS = {
    "list": "list tasks, suites, sequences, skills, methods, bases and budgets, a line each",
    "doctor": "check this installation, a line for each part",
    "pretrain": "train a base policy again and compare it with the shipped one",
    "check": "report the faults of a task or a method, also of your own",
    "demos": "record demonstrations of a task as a file, for demos=FILE.safetensors",
    "tune": "search for a method's defaults, the same way for each method",
    "report": "write one page over finished runs: scores, Pareto frontiers, the law and its rivals, every run",
    "compare": "compare two methods on their common tasks and seeds: does one retain more?",
    "claims": "decide the paper's claims on your runs: more, less, same or undecided, at both stops",
    "score": "score any policy against a base: success, retention, and how far it moved",
    "status": "show which runs of a sweep are done, running, failed or missing, and the time left",
    "pack": "make a leaderboard package of a method's runs over a suite",
    "validate": "check a package against its own rows and weights",
    "replay": "check a package's policies on published starts, and score them on fresh ones",
    "leaderboard": "draw the board as a static site, from packages and their levels",
    "video": "film base and tuned policy of a run, or a gallery of all tasks",
    "bench": "measure speed on this machine, compared to the raw rate of the physics",
}
"""Commands with their help text. Each is the function `command` of the module of its name, imported when needed."""
_HELP = """\
RazorBench: how much do robot policies forget, and can it be predicted?

Adapt the shipped policy to a new task and measure how much it forgets of its original skills:
  python -m razorbench task=pick_place method=ppo
  python -m razorbench task=pick_place method=sft demos=detour seed=1 budget=quick
  python -m razorbench -m task=core method=ppo,sft seed=0,1,2           (a sweep over a suite of tasks)
  python -m razorbench -m +experiment=razor_core --hours 2.5            (the next portion of a reference study)
  python -m razorbench sequence=core6 method=ppo                        (one policy learns task after task)
  python -m razorbench study=parity                                     (a controlled study: parity on images, or projection)

Keys:     task=NAME or sequence=NAME, method=NAME [base=mlp] [budget=quick|standard|long] [seed=0] [demos=STYLE]
          [results=results] [eval.snapshots=24], and all their settings, such as method.learning_rate=3e-5
Options:  -m, --multirun     run every combination of comma-separated values
          --hours H          stop after H hours; the same command resumes (as after Ctrl-C, a kill or a power cut)
          --config-dir DIR   find your own task/NAME.yaml and method/NAME.yaml in DIR
          --version          print the version

Other commands (each has --help):
{commands}
Exit codes: 0 good, 1 a run failed, 2 wrong use. `python -m razorbench` and `razorbench` are the same program.
"""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the program and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None and not sys.flags.safe_path:
        _find_modules_here()
    handler = signal.signal(signal.SIGTERM, _terminated)
    # RazorBench opens no windows, and a missing window backend would stop Matplotlib from drawing at all.
    os.environ.pop("MPLBACKEND", None)
    with lenient():
        try:
            code = _dispatch(arguments)
        except RazorbenchError as error:
            warn(completed(str(error), _config_dir(arguments)))
            code = error.exit_code
        except KeyboardInterrupt:
            warn("stopped; give the same command again, and runs resume where they stopped")
            code = 1
        except OSError as error:
            if (sentence := trouble(error)) is None:
                raise
            warn(sentence)
            code = 1
        finally:
            signal.signal(signal.SIGTERM, handler)
    sys.exit(code)


def _find_modules_here() -> None:
    """Add the working folder to the path, so that the console script finds a user's modules; `python -m` does so itself."""
    with suppress(FileNotFoundError):
        if (here := os.getcwd()) not in sys.path:
            sys.path.insert(0, here)


def _config_dir(arguments: Sequence[str]) -> str | None:
    """Return the user's own conf folder as typed, None if there is none."""
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    with suppress(UsageError):
        folder: str | None = parser.parse_known_args(arguments)[0].config_dir
        return folder
    return None


def _terminated(*_: Any) -> NoReturn:
    """Treat SIGTERM, which ends a job on a cluster, like Ctrl-C."""
    raise KeyboardInterrupt


def _dispatch(arguments: list[str]) -> int:
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the working folder is gone; change to another") from error
    if arguments and arguments[0] in ("-h", "--help"):
        print(_help(), end="")
        return 0
    if not arguments:
        print(_help(), end="", file=sys.stderr)
        return 2
    if arguments == ["--version"]:
        print(f"razorbench {__version__}")
        return 0
    if arguments[0] in COMMANDS:
        return _do(arguments[0], arguments[1:])
    if any(argument.startswith("study=") for argument in arguments):
        return _do("study", arguments)
    if "=" not in arguments[0] and not arguments[0].startswith("-"):
        raise UsageError(f"{arguments[0]}: no such command{among(arguments[0], COMMANDS)}, or give task=NAME method=NAME")
    if sys.stdout is not None and sys.stdout.isatty():
        # Importing the packages takes seconds; an empty screen would look as if the program hung.
        print(f"RazorBench {__version__}: loading ...", flush=True)
    return _do("run", arguments)


def _help() -> str:
    return _HELP.format(commands="".join(f"  razorbench {name:<12}{text}\n" for name, text in COMMANDS.items()).rstrip("\n"))


def _do(name: str, arguments: list[str]) -> int:
    return int(importlib.import_module(f"razorbench.commands.{name}").command(arguments))
