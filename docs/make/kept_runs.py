"""The committed runs and sequences, in compact form.

`python docs/make/kept_runs.py keep build/study baselines/results` adds a study's runs, and makes a board entry of every method with all runs on the suite.
`restore baselines/results build/study` copies them into the study's folder, so that the study resumes in a new clone. A run of an entry is stored only in
the entry.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from razorbench.errors import FileDamaged, UsageError
from razorbench.registry.config import registry
from razorbench.reports.tables import slug
from razorbench.runs.suggest import sweep
from razorbench.statistics.finished_runs import read_runs
from razorbench.store.folder import POLICY
from razorbench.store.output import in_a_sentence, warn
from razorbench.store.packing import compact
from razorbench.store.reading import read_run, read_sequence
from razorbench.store.record import Record
from razorbench.store.sequence_record import SequenceRecord
from razorbench.store.walk import Walk, readable, tell, walk
from razorbench.submissions import replay
from razorbench.submissions.installed import Known, known
from razorbench.submissions.pack import pack
from razorbench.submissions.package import Package
from razorbench.submissions.validate import validate

RUNS, ENTRIES, LEVELS = "runs", "entries", "levels"
Say = Callable[[str], None]


def keep(study: Path, kept: Path) -> int:
    """Add a results folder's finished runs to the committed ones, without those in entries. Returns the number of new runs."""
    committed = {run_hash for _, _, run_hash in _finished(kept)}
    return _copied((record.parent, kept / RUNS / place) for record, place, run_hash in _finished(study) if run_hash not in committed)


def restore(kept: Path, study: Path) -> int:
    """Copy the committed runs into a results folder, without policies. Returns the number of new runs there."""
    return _copied((record.parent, study / place) for record, place, _ in _finished(kept) if not (study / place / record.name).exists())


def _copied(folders: Iterable[tuple[Path, Path]]) -> int:
    """Write runs in compact form and return their number. Names runs with a missing file on stderr and leaves them out."""
    done = 0
    for folder, place in list(folders):
        try:
            compact(folder, place, policy=False)
            done += 1
        except FileDamaged as error:
            warn(f"set apart: {error}")
    return done


def enter(study: Path, kept: Path, known: Known, suite: str, base: str, budget: str, say: Say) -> list[str]:
    """Make a replayed board entry of every arm with all runs on a suite in a results folder. Returns the new entries' names.

    Leaves out the policies, hundreds of megabytes: a study makes them again.
    """
    tasks, seeds = known.suites[suite]
    runs = [
        run
        for run in read_runs(study, {name: tuple(task.experts) for name, task in known.tasks.items()})
        if (run.base, run.budget) == (base, budget) and (run.folder / POLICY).exists()
    ]
    there = {(run.arm, run.task, run.seed) for run in runs}
    made = []
    for arm in sorted({run.arm for run in runs}):
        entry = kept / ENTRIES / slug(arm)
        if entry.exists() or any((arm, task, seed) not in there for task in tasks for seed in seeds):
            continue
        method = next(run.method for run in runs if run.arm == arm)
        description = str(sys.modules[type(known.methods[method]).__module__].__doc__).splitlines()[0]
        about = {"name": arm, "authors": ["RazorBench"], "description": description, "licence": "MIT", "code": None, "paper": None}
        pack(runs, arm, suite, base, budget, about, known, entry, sweep(study, budget, None))
        submission, packed, faults = validate(package := Package(entry), known)
        assert submission is not None
        seed = secrets.randbelow(2**31)
        played = replay.replay(package, submission, packed, known, fresh_seed=seed, episodes=known.settings.episodes, faults=faults, say=say)
        if faults:
            raise UsageError(f"the policies of {entry} differ from its rows; the first fault: {faults[0]}")
        (kept / LEVELS).mkdir(exist_ok=True)
        level = replay.entry(package, played, seed, "RazorBench", True, None)
        (kept / LEVELS / f"{slug(arm)}.json").write_text(json.dumps(level, indent=2) + "\n", encoding="utf-8")
        for policy in entry.rglob(POLICY):
            policy.unlink()
        for _, place, _ in _finished(entry):
            shutil.rmtree(kept / RUNS / place, ignore_errors=True)
        made.append(arm)
    return made


def _finished(root: Path) -> Iterator[tuple[Path, Path, str]]:
    """Yield each run and sequence below a folder: path of its record, path of its folder in a results folder, and its hash.

    The folder's path consists of names and a hash (`record.NAME`), so it stays inside the results folder.
    """
    content = walk(root) if root.exists() else Walk()
    tell(content)
    for path, run in readable(content.runs, read_run):
        yield path, _place(run.task_name, run), run.hashes.run
    for path, sequence in readable(content.sequences, read_sequence):
        yield path, _place(sequence.sequence, sequence), sequence.hashes.run


def _place(of: str, record: Record | SequenceRecord) -> Path:
    return Path(of, record.method.name, f"seed{record.seed}-{record.hashes.run[:12]}")


def main(words: Sequence[str] | None = None) -> None:
    """Keep or restore runs and print their number. words: the arguments, by default from the command line."""
    parser = argparse.ArgumentParser(description="Keep a study's runs in the repository, or restore them for it.")
    parser.add_argument("what", choices=("keep", "restore"))
    parser.add_argument("source", type=Path, help="for `keep` the study's results, for `restore` the committed runs")
    parser.add_argument("to", type=Path)
    arguments = parser.parse_args(words)
    if arguments.what == "restore":
        print(f"{restore(arguments.source, arguments.to)} runs and sequences restored: {arguments.to}")
        return
    with registry() as registered:
        made = enter(arguments.source, arguments.to, known(registered), "core", "mlp", "standard", print)
    print(f"{keep(arguments.source, arguments.to)} more runs and sequences kept, new entries {', '.join(made) or 'none'}: {arguments.to}")


if __name__ == "__main__":
    in_a_sentence(main)
