"""The whole report on finished runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from razorbench.reports.at_same_kl import same_kl
from razorbench.reports.content import Material, Section
from razorbench.reports.drawing import styled
from razorbench.reports.frontier import matched_success, pareto
from razorbench.reports.headline import headline
from razorbench.reports.law_fits import fits
from razorbench.reports.law_section import predicting
from razorbench.reports.page import page, write
from razorbench.reports.run_list import curves, every_run, forgetting
from razorbench.reports.verdicts import verdicts
from razorbench.statistics.claims import Claim
from razorbench.statistics.finished_runs import snapshots
from razorbench.statistics.law.questions import Questions
from razorbench.statistics.pooling import Pool

Say = Callable[[str], None]
Decided = Sequence[tuple[Claim, Sequence[str]]]
"""Claims, each with the commands that add its missing runs."""


def report(pool: Pool, claims: Callable[[], Decided], families: Mapping[str, str], questions: Questions, out: Path, say: Say) -> Path:
    """Write the report on runs into a folder and return the page's path.

    claims: decides the claims; families: of registered methods by name, for the colors; questions: of the law; say: takes progress lines.
    """
    material = Material.of(pool, families, out)
    measured = snapshots(pool.runs)
    # The fits take longest and mostly release the interpreter lock, so the figures are drawn at the same time.
    with styled(), _switching_often(), ThreadPoolExecutor(1) as background:
        fitting = background.submit(fits, measured, questions)
        first: list[Section] = []
        later: list[Section] = []
        for parts, done in (((headline, lambda _: verdicts(claims()), pareto), first), ((matched_success, same_kl, forgetting, curves, every_run), later)):
            for part in parts:
                done.append(part(material))
                say(done[-1].title)
        sections = [*first, predicting(material, measured, fitting.result(), questions), *later]
    say(sections[len(first)].title)
    run = pool.runs[0]
    title = f"RazorBench: {len(pool.runs)} runs in world {run.world}, base {run.base}, budget {run.budget}"
    lead = "How much do robot policies forget when they learn a new task, and can we predict it?"
    write(out, page(title, lead, sections, material.looks), sections)
    return out / "index.html"


@contextmanager
def _switching_often() -> Iterator[None]:
    """Let threads take turns ten times as often as usual: the fits need the interpreter lock for microseconds, and would mostly wait for it."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 10)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
