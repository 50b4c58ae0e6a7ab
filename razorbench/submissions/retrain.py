"""Retraining of a package's runs from their configurations, with the method's public code.

On the processor, packages and versions of a record, its retraining must repeat it row by row. Elsewhere training diverges after the first rounding: there
costs must agree within a tenth, and the means over all runs within their 95% intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from razorbench.errors import UsageError
from razorbench.runs.run import run as do
from razorbench.statistics.comparison import MEASURES, Number, Numbers, paired
from razorbench.statistics.comparison import numbers as by_run
from razorbench.statistics.finished_runs import Run
from razorbench.statistics.stops import Read
from razorbench.store.folder import PACKED_CURVE, RECORD
from razorbench.submissions.check_run import COSTS
from razorbench.submissions.hostile import Faults
from razorbench.submissions.identity import FROM_FILE, run_spec
from razorbench.submissions.installed import Known, differences
from razorbench.submissions.replay import same_place
from razorbench.submissions.schema import FILE, Submission

REPEATED = ("budget", "upstream", "new_task", "original", "forgetting", "retention", "score", "divergence", "drift")
"""Parts that a retrained record must repeat; others, such as times and machines, may differ."""
ALONG: Mapping[str, Read] = {
    "success along the runs": lambda point: point.success,
    "retention along the runs": lambda point: point.retention.value,
}
_NEAR = 0.1


def retrainable(submission: Submission, runs: Sequence[Run], known: Known) -> None:
    """Raise UsageError if the method is not registered, or learned from a demonstration file."""
    if submission.method not in known.methods:
        raise UsageError(f"method {submission.method} is not registered: get its code, and give its conf folder with --config-dir, or replay without --retrain")
    for run in runs:
        if run.record.method.demos.startswith(FROM_FILE):
            raise UsageError(f"{run.folder}: its demonstrations came from a file, which a package does not hold; replay without --retrain")


def retrain(submission: Submission, runs: Sequence[Run], known: Known, folder: Path, faults: Faults, say: Callable[[str], None]) -> int:
    """Repeat runs of a valid package in a results folder, in which a stopped retraining resumes. Adds disagreements to the faults.

    Returns the number of runs that repeated bit for bit. Raises UsageError as `retrainable`.
    """
    retrainable(submission, runs, known)
    again, exact = [], 0
    for number, run in enumerate(runs, 1):
        task, base = known.tasks[run.task], known.base(submission.track.base, run.seed)
        spec = run_spec(run.record, task, base, known.budgets[submission.track.budget], known.settings, known.methods[submission.method])
        say(f"training {number} of {len(runs)}: {run.task}, seed {spec.seed}")
        outcome = do(spec, folder, run.record.config.plain())
        again.append(Run(outcome.record, outcome.curve, run.styles, outcome.path))
        if same_place(run, task.world):
            exact += _repeats(again[-1], run, faults)
        else:
            _used(again[-1], run, faults)
    _agree(again, runs, faults)
    return exact


def _repeats(ours: Run, theirs: Run, faults: Faults) -> bool:
    """Whether two runs are equal to the last bit. Adds the first difference."""
    record, curve = (f"{theirs.folder.as_posix()}/{file}" for file in (RECORD, PACKED_CURVE))
    found, wanted = theirs.record.plain(), ours.record.plain()
    pairs: list[tuple[str, str, object, object]] = [(record, key, found.get(key), wanted.get(key)) for key in REPEATED]
    pairs.append((curve, "lines", len(theirs.curve), len(ours.curve)))
    along = zip(theirs.curve, ours.curve, strict=False)
    pairs += [(curve, f"line {number}", one.plain(), other.plain()) for number, (one, other) in enumerate(along, 1)]
    for file, path, a, b in pairs:
        for where, one, other in differences(a, b, path, lambda a, b: a == b):
            faults.add(file, where, one, f"{other}, as retrained on the record's own platform")
            return False
    return True


def _used(ours: Run, theirs: Run, faults: Faults) -> None:
    for cost in COSTS:
        found, wanted = getattr(theirs.record.budget, cost), getattr(ours.record.budget, cost)
        if abs(found - wanted) > _NEAR * max(found, wanted):
            faults.add(f"{theirs.folder.as_posix()}/{RECORD}", f"budget.{cost}", found, f"{wanted} give or take a tenth, as retrained")


def _agree(ours: Sequence[Run], theirs: Sequence[Run], faults: Faults) -> None:
    """Compare the means over all runs: the 95% interval of each difference, paired by task and seed, must contain 0."""

    def numbers(runs: Sequence[Run], measure: str) -> Numbers:
        if measure in MEASURES:
            return by_run(runs, runs[0].arm, MEASURES[measure])
        means = {(run.task, run.seed): np.mean(np.array([ALONG[measure](point) for point in run.curve], dtype=float)) for run in runs}
        return {key: Number.exact(float(mean)) for key, mean in means.items()}

    for measure in ("success@end", "retention@end", "score@end", *ALONG):
        difference = paired(numbers(theirs, measure), numbers(ours, measure)).difference
        if difference is not None and not difference.low <= 0.0 <= difference.high:
            faults.add(
                FILE,
                measure.removesuffix("@end"),
                f"{difference.value:+.3f} off",
                f"0 within its interval, {difference.low:+.3f} to {difference.high:+.3f}, as retrained",
            )
