"""The page of the law, docs/results/law.md: three questions, on the runs of the original finding and on independent runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recall_tables import Measured, asking

from razorbench.reports import law_tables
from razorbench.reports.changes import RunSets, counter_examples, design_and_test, leak
from razorbench.reports.law_fits import ALL, FINAL, Fits, best
from razorbench.reports.tables import Table
from razorbench.statistics.finished_runs import HEADLINE, snapshots
from razorbench.statistics.law import Law, law
from razorbench.statistics.law.paper import REPORTED, WithinCells
from razorbench.statistics.law.questions import Questions
from razorbench.store.estimate import Estimate


def law_page(sets: RunSets, found: Mapping[str, Fits | str], more: RunSets, questions: Questions, asked: Measured) -> str:
    """Return the page as Markdown.

    sets: runs by name, first those on which predictors and methods were chosen, then independent ones; found: their fits, or why there are none; more: sets
    that only show pairs of arms; asked: measurements of `razorbench.measures.recall_states`, by the run's hash.
    """
    first, *others = sets
    fitted = {name: each for name, each in found.items() if isinstance(each, Fits)}
    curves = {name: each.pooled[HEADLINE].curve for name, each in fitted.items()}
    curves |= {name: law(points).curve for name, runs in more.items() if not (points := snapshots(runs, [HEADLINE]).points(HEADLINE)).too_few()}
    parts = [
        "# Does a policy's change predict how much it forgets?",
        "Written by `docs/make/reference_page.py` from the committed records, do not edit.",
        f"We chose predictors and methods on the first set of runs, **{first}**. The other{'s' if len(others) > 1 else ''}, **{'** and **'.join(others)}**, "
        "had no part in that choice: quote those. Everything here is exploratory. There is no fit with fewer than 3 tasks, 6 runs or 2 families.",
        "Forgetting F is the loss of success on old tasks. K is the change of the policy, by default the forward KL from base to tuned policy on the new "
        "task's states, in nats per decision. Every predictor gets the same form of curve, F = A (1 - exp(-(B K)^C)) with A at most 1; it starts flat for C "
        "above 1. Each run has a total weight of 1.",
        "## 1. The paper's own protocol",
        *(_replicates(name, each) for name, each in fitted.items()),
        *_shown(law_tables.papers_protocol(found)),
        f"RL and SFT runs are those of the families {' and '.join(questions.papers)}: {', '.join(_arms(found[first], questions))}.",
        "## 2. Does a fit generalize?",
        *(_carries(name, each) for name, each in fitted.items()),
        f"Methods with a term for old behavior: {', '.join(questions.protecting)}.",
        *_shown(law_tables.carries_over(found)),
        *_headed(law_tables.resampled(found)),
        *_headed(law_tables.rivals(found)),
        "## 3. The ceiling and the leak",
        *(_ceiling(name, each) for name, each in fitted.items()),
        *_headed(law_tables.ceiling(found)),
        *_headed(leak(sets)),
        "## Pairs of arms",
        *_headed(counter_examples({**sets, **more}, questions.examples, curves)),
        *_headed(design_and_test(sets, questions.found)),
        *(_headed(asking(sets, asked)) if asked else ()),
    ]
    return "\n\n".join(parts) + "\n"


def _replicates(name: str, found: Fits) -> str:
    """Return a sentence about the paper's fit on these runs, in sample and for a held-out arm."""
    snapshots, final = (found.within.get((HEADLINE, kind)) for kind in (ALL, FINAL))
    if not isinstance(snapshots, WithinCells) or not isinstance(final, WithinCells):
        return f"{name}: too few cells of one task and one base."
    reported = ", ".join(f"{value:.2f} on {what}" for what, value in REPORTED.items())
    return (
        f"**{name}**: within one task and one base, across RL and SFT runs, a parabola of forward KL has R2 {snapshots.parabola} over all "
        f"snapshots and {final.parabola} over final policies (the paper: {reported}). On a held-out arm, the parabola has R2 "
        f"{snapshots.parabola_arm_left_out} and {final.parabola_arm_left_out}; the curve has {snapshots.curve_arm_left_out} and "
        f"{final.curve_arm_left_out}."
    )


def _carries(name: str, found: Fits) -> str:
    """Return a sentence about the headline's R2 on a held-out family, for each choice of methods."""
    told = [f"{_told(part)} ({subset})" for subset, part in found.subsets.items() if subset != FINAL]
    return f"**{name}**: on a held-out family of methods, forward KL has R2 {'; '.join(told)}."


def _ceiling(name: str, found: Fits) -> str:
    """Return a sentence about the best ceiling and the headline predictor."""
    if len(found.over) < 2:
        return f"**{name}**: there are no measurements on old-task states."
    top = best(found.pooled)
    return f"**{name}**: on a held-out family, the best ceiling ({top}) has R2 {_told(found.pooled[top])}, and {HEADLINE} has {_told(found.pooled[HEADLINE])}."


def _told(found: Law | str) -> str:
    value: Estimate | str | None = found if isinstance(found, str) else found.family_left_out
    return "undefined" if value is None else value if isinstance(value, str) else str(value)


def _arms(found: Fits | str, questions: Questions) -> Sequence[str]:
    if isinstance(found, str):
        return ["none"]
    head = found.points[HEADLINE]
    return sorted(set(head.of(questions.of_the_paper(head)).arm))


def _headed(table: Table) -> tuple[str, str, str]:
    return f"### {table.title}", *_shown(table)


def _shown(table: Table) -> tuple[str, str]:
    return table.markdown(), table.note
