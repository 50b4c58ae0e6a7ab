"""The command for runs: one run, a sweep, or the next portion of a study."""

from __future__ import annotations

import argparse
import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from razorbench.commands import terminal
from razorbench.commands.parser import Parser
from razorbench.commands.progress import watching
from razorbench.errors import UsageError, nearest
from razorbench.registry import config, launching
from razorbench.runs import sweep
from razorbench.runs.run import Outcome, Progress, run
from razorbench.runs.sequence import SequenceOutcome, SequenceSpec, forward_transfer_auc, run_sequence
from razorbench.runs.spec import RunSpec
from razorbench.runs.suggest import completed
from razorbench.runs.tracking import tracking
from razorbench.store.disk import near
from razorbench.store.output import harmless, warn
from razorbench.store.writable import make_writable
from razorbench.types import Settings


def command(arguments: Sequence[str]) -> int:
    """Check all runs of the command, launch the unfinished ones by Hydra, and read the outcome from the store. Returns 1 if a run failed."""
    parser = Parser(prog="razorbench", add_help=False, allow_abbrev=False)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--config-dir", "-cd")
    parser.add_argument("--hours", type=float)
    options, overrides = parser.parse_known_args(arguments)
    if options.config_dir is not None:
        # A method may change the working folder, and a relative path would then be wrong.
        options.config_dir = str(Path(options.config_dir).absolute())
    for override in overrides:
        if override.startswith("-") or "=" not in override.lstrip("~"):
            meant = nearest(override, ("--multirun", "--config-dir", "--hours", "task=NAME", "method=NAME"))
            guess = f" (did you mean {meant}?)" if meant else ""
            raise UsageError(f"{override}: not understood{guess}; write key=value pairs, and see razorbench --help for the options")
    if options.hours is not None and not 0 < options.hours < 10_000:
        raise UsageError(f"--hours {options.hours}: it must be a positive number of hours, as in --hours 2.5")

    logging.getLogger("razorbench").addHandler(logging.NullHandler())
    if any(override.startswith("hydra/sweeper=") for override in overrides):
        return _search(overrides, options)
    with config.registry(options.config_dir) as registry:
        asked = registry.asked(overrides, options.multirun)
    for root in {one.folder.results for one in asked}:
        make_writable(root, f"results={near(root)}", "results=DIR")
    for sentence in sweep.changed_code(asked):
        warn(sentence)
    earlier = [one for one in asked if one.done]
    if earlier and not options.multirun:
        earlier[0].folder.finished()
    if options.multirun:
        sweep.ask(asked)
    try:
        with _within(options.hours):
            theirs = sweep.finish(asked, lambda todo: launching.launch(_job, todo, options.config_dir), terminal.console.print)
    except KeyboardInterrupt as stop:
        done = f"{sum(one.done for one in asked)} of {len(asked)} {'run is' if len(asked) == 1 else 'runs are'} done"
        print(f"{'time is up' if isinstance(stop, _TimeUp) else 'stopped'}: {done}; the same command continues from here")
        return 0 if isinstance(stop, _TimeUp) else 1
    if not options.multirun and (not_ours := earlier + theirs):
        _job(not_ours[0].spec, not_ours[0].folder.results, {}, True, options.config_dir)
    failures = [(one.name, completed(reason, options.config_dir)) for one in asked if (reason := one.why_not()) is not None]
    if options.multirun or failures:
        terminal.outcome(failures, len(asked), len(earlier))
    return 1 if failures else 0


def _search(overrides: list[str], options: argparse.Namespace) -> int:
    """Search for the best score with a sweeper that chooses runs from earlier results, such as Optuna's."""
    if not options.multirun or "eval.split=select" not in overrides:
        raise UsageError("a sweeper that searches needs -m and eval.split=select: no choice may depend on TEST results")
    with _within(options.hours):
        launching.hand_over(_job, overrides, options.config_dir)
    return 0


def _job(spec: RunSpec | SequenceSpec, results: Path, plain: Settings, alone: bool, config_dir: str | None) -> float | None:
    """Do one run of a command, show it, and return its score, for sweepers that search.

    alone: whether no other run draws in the same terminal. config_dir: the user's own conf folder, if any.
    """
    title, first = (spec.task.name, spec) if isinstance(spec, RunSpec) else (spec.name, spec.first)
    folder = spec.folder(results)
    with ExitStack() as stack:
        watchers = []
        if not (folder.path / folder.file).exists():
            watchers.append(stack.enter_context(tracking(plain.get("track"), folder.path, f"{title} {first.method_name} {first.seed}", plain)))
            watchers.append(stack.enter_context(watching(terminal.console, title, first, alone)))

        def watch(progress: Progress) -> None:
            for watcher in watchers:
                watcher(progress)

        done = run(spec, results, plain, watch) if isinstance(spec, RunSpec) else run_sequence(spec, results, plain, watch)
    with harmless("showing the result"):
        if isinstance(spec, RunSpec) and isinstance(done, Outcome):
            terminal.finished(done)
        elif isinstance(spec, SequenceSpec) and isinstance(done, SequenceOutcome):
            terminal.sequence_finished(done, forward_transfer_auc(spec, results), config_dir)
    return done.record.score if isinstance(done, Outcome) else None


class _TimeUp(KeyboardInterrupt):
    """The time of --hours is over."""


@contextmanager
def _within(hours: float | None) -> Iterator[None]:
    """Raise _TimeUp in the block after that many hours, if any. A run can be stopped at any moment."""

    def over(*_: Any) -> NoReturn:
        raise _TimeUp

    if hours is None:
        yield
        return
    handler = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, 3600 * hours)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
