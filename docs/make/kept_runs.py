"""The runs and sequences that the repository keeps, in compact form.

`python docs/make/kept_runs.py keep build/study baselines/results` adds a study's, and makes an entry of the board of every method whose runs on the suite
are all there; `restore baselines/results build/study` puts them where the study finds them done, so that it goes on in a new clone. A run that is part
of an entry lies there, and nowhere else.
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
    """Add the finished runs of a results folder to those kept, as far as they are in no entry; return how many were new."""
    have = {run_hash for _, _, run_hash in _finished(kept)}
    return _copied((record.parent, kept / RUNS / place) for record, place, run_hash in _finished(study) if run_hash not in have)


def restore(kept: Path, study: Path) -> int:
    """Put the runs that are kept into a results folder, without policies; return how many were not there."""
    return _copied((record.parent, study / place) for record, place, _ in _finished(kept) if not (study / place / record.name).exists())


def _copied(folders: Iterable[tuple[Path, Path]]) -> int:
    """Write runs in compact form and return how many; one that has lost a file is named on stderr and left out."""
    done = 0
    for folder, place in list(folders):
        try:
            compact(folder, place, policy=False)
            done += 1
        except FileDamaged as error:
            warn(f"set apart: {error}")
    return done


def enter(study: Path, kept: Path, known: Known, suite: str, base: str, budget: str, say: Say) -> list[str]:
    """Make an entry of the board, replayed, of every arm with all of its runs on a suite in a results folder; return the new ones.

    Its policies are left out, as they would be hundreds of megabytes: a study makes them anew.
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
        told, packed, faults = validate(package := Package(entry), known)
        assert told is not None
        seed = secrets.randbelow(2**31)
        found = replay.replay(package, told, packed, known, fresh_seed=seed, episodes=known.settings.episodes, faults=faults, say=say)
        if faults:
            raise UsageError(f"{entry} is not what its policies do; the first fault: {faults[0]}")
        (kept / LEVELS).mkdir(exist_ok=True)
        level = replay.entry(package, found, seed, "RazorBench", True, None)
        (kept / LEVELS / f"{slug(arm)}.json").write_text(json.dumps(level, indent=2) + "\n", encoding="utf-8")
        for policy in entry.rglob(POLICY):
            policy.unlink()
        for _, place, _ in _finished(entry):
            shutil.rmtree(kept / RUNS / place, ignore_errors=True)
        made.append(arm)
    return made


def _finished(root: Path) -> Iterator[tuple[Path, Path, str]]:
    """Record of every run and sequence below a folder, the path that its folder has in a results folder, and its hash.

    The path is made of names and a hash (`record.NAME`), so it leads nowhere else.
    """
    found = walk(root) if root.exists() else Walk()
    tell(found)
    for path, run in readable(found.runs, read_run):
        yield path, _place(run.task_name, run), run.hashes.run
    for path, sequence in readable(found.sequences, read_sequence):
        yield path, _place(sequence.sequence, sequence), sequence.hashes.run


def _place(of: str, record: Record | SequenceRecord) -> Path:
    return Path(of, record.method.name, f"seed{record.seed}-{record.hashes.run[:12]}")


def main(words: Sequence[str] | None = None) -> None:
    """Keep or restore, and say how many runs. words: the arguments, by default those of the command."""
    parser = argparse.ArgumentParser(description="Keep a study's runs in the repository, or restore them for it.")
    parser.add_argument("what", choices=("keep", "restore"))
    parser.add_argument("source", type=Path, help="of `keep` the study's results, of `restore` the runs that are kept")
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
