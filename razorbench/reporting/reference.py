"""The reference study as pages of the repository: `python -m razorbench.reporting.reference baselines/results README.md docs/reference`.

Writes the first screen of the README and a page with what it rests on: pictures, tables and verdicts, all from the records, none typed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from razorbench.asked import read
from razorbench.claims import Claim
from razorbench.law import Law, laws
from razorbench.policy import SIZES
from razorbench.readme import section
from razorbench.reporting import excerpts
from razorbench.reporting.asking import ABOUT, across_bases, asking
from razorbench.reporting.beside import excerpt, ladder, sizes
from razorbench.reporting.drawing import DPI, styled
from razorbench.reporting.excerpts import markdown
from razorbench.reporting.fits import FEWEST, PER_TASK, Fits, fits
from razorbench.reporting.headline import arms, each_task
from razorbench.reporting.material import Material, tables
from razorbench.reporting.predicting import residuals
from razorbench.reporting.same_kl import same_kl
from razorbench.reporting.sequences import sequences
from razorbench.reporting.styles import looks
from razorbench.reporting.tables import Table, Value, interval
from razorbench.reporting.trade import matched_success
from razorbench.reporting.trade_and_law import trade_and_law
from razorbench.reporting.verdicts import said, verdicts
from razorbench.results import HEADLINE, Pool, Run, pool, read_runs, snapshots
from razorbench.seeding import generator

SUITE, BASE, BUDGET = "core", "mlp", "standard"
STUDIES = ("razor_core", "scale", "razor_full", "tokens", "more_seeds")
"""Experiments whose runs count: those of the first as far as they are there, those of another once it is complete."""
LADDER = "ladder"
"""Folder beside that of the runs that are kept: of other learning rates, which are never averaged in."""
ASKED = "asked.csv"
"""What `make asked` has measured, in the folder of the runs that are kept."""
_PICTURE = "trade_and_law.png"
_CAPTION = "Left: every arm's way from the base to its final policy, with that one's interval. Right: forgetting against forward KL, with the fit."
_WIDE = (
    "Arms that were also run on the tasks that are not in `core`, on all twelve. Two of these, push_far and lift_heavy, are those that hyper-parameters were "
    "searched on, on other starts."
)
_PAPERS = ("on-policy reward", "offline supervised")
"""The families that the paper compares; it has nothing that keeps old skills by another term."""


@dataclass(frozen=True)
class Study:
    """What the pages are made from.

    pool: the main runs, on the core tasks; decided: the claims, by the tasks that they are decided on, the most last. asked: runs of the whole study;
    done: of these; hours: of one processor, over all of these. wide: runs of the arms that were done on more tasks, on all of them; others: runs from
    other bases; sizes: by base, the smallest first, of those with the same head; ladder: at several learning rates; elsewhere: what
    `razorbench.asked` has measured; spare: runs that are kept and in none of the others.
    """

    pool: Pool
    decided: Mapping[str, Sequence[Claim]]
    families: Mapping[str, str]
    asked: int
    done: int
    hours: float
    sequences: Table
    wide: Pool | None = None
    others: Mapping[str, Pool] = field(default_factory=dict)
    sizes: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    ladder: Sequence[Run] = ()
    elsewhere: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    spare: int = 0

    @property
    def how_far(self) -> str:
        """Say how much of the study is there."""
        cost = f"{self.hours:.1f} processor hours on {self.pool.runs[0].record['machine']['processor']}"
        return (
            f"All {self.asked:,} runs, {cost}." if self.done == self.asked else f"So far {self.done:,} of {self.asked:,} runs, {cost}: the numbers will move."
        )


def write(study: Study, readme: Path, out: Path) -> None:
    """Write the README's first screen and the page of the study."""
    out.mkdir(parents=True, exist_ok=True)
    material = Material(study.pool.runs, study.pool.apart, looks(study.pool.runs, study.families), out)
    measured = snapshots(study.pool.runs)
    found = fits(study.pool.runs, measured)
    parts = _parts(found)
    with styled():
        trade_and_law(material, found, study.families).savefig(out / _PICTURE, format="png", facecolor="white", dpi=DPI)
        kept = matched_success(material)
        rungs = ladder(study.ladder, study.families, out) if study.ladder else ()
    sized: Sequence[str] = ()
    if len(study.sizes) > 1:
        sized = *sizes(study.sizes), *across_bases("A size left out", study.sizes, study.elsewhere)
    scores, moved = arms(material), same_kl(material)
    verdict = _verdicts(study.decided)
    page = out.resolve().relative_to(readme.resolve().parent).as_posix()
    first = [
        study.how_far,
        f"![{_CAPTION}]({page}/{_PICTURE})",
        _CAPTION,
        excerpts.methods(material, scores),
        f"Final policies, but for retention at success {excerpts.LEVEL:g}, where SELECT success first crosses it; "
        f"means over the tasks of `{SUITE}` of means over seeds, 95% Student interval over tasks. {_law_in_a_sentence(found, parts)}",
        markdown(verdict),
        f"Exploratory: the rules ([conf/study/claims2.yaml](conf/study/claims2.yaml)) are newer than the runs; what they rest on: [{page}]({page}/README.md).",
    ]
    readme.write_text(section(readme.read_text(encoding="utf-8"), "reference", "\n\n".join(first)), encoding="utf-8")
    elsewhere = asking(study.pool.runs, study.elsewhere)
    others = [
        part for base, each in study.others.items() for part in (f"### `{base}`", *excerpt(base, each, study.families), *asking(each.runs, study.elsewhere))
    ]
    if others:
        others += across_bases("A base left out", {base: each.runs for base, each in {BASE: study.pool, **study.others}.items()}, study.elsewhere)
    wide = () if study.wide is None else (*excerpt("wide", study.wide, study.families, each=True), *asking(study.wide.runs, study.elsewhere))
    whole = [
        "# The reference study",
        "Written by `make results` from the records in [baselines/results](../../baselines/results), do not edit.",
        study.how_far,
        f"Kept as well, and in no number here: {study.spare:,} runs of studies that are not complete." if study.spare else "",
        f"![{_CAPTION}]({_PICTURE})",
        _CAPTION,
        "## Every arm",
        markdown(scores),
        scores.note,
        *(part for table in each_task(material) for part in (f"### {table.title}", markdown(table), table.note)),
        "## What is kept at the same success",
        *(markdown(table) for table in tables([kept])),
        f"## {moved.title}",
        *moved.text,
        *(part for table in tables([moved]) for part in (f"### {table.title}", markdown(table))),
        "## What predicts forgetting",
        *(excerpts.predictors(found.pooled, found.notes) if found is not None else ["Undefined: too few runs."]),
        *_on_parts(found, parts),
        *((*ABOUT, *elsewhere) if elsewhere else ()),
        *(("## On more tasks", _WIDE, *wide) if wide else ()),
        *(("## From other bases", *others) if others else ()),
        *sized,
        *rungs,
        *((f"## {study.sequences.title}", markdown(study.sequences), study.sequences.note) if study.sequences.rows else ()),
        "## The paper's claims",
        markdown(verdict),
        *(part for tasks, claims in study.decided.items() for part in (f"### On {tasks}", *_rest_on(claims))),
    ]
    (out / "README.md").write_text("\n\n".join(part for part in whole if part) + "\n", encoding="utf-8")


def _verdicts(decided: Mapping[str, Sequence[Claim]]) -> Table:
    """The verdict on every claim, in a column for each choice of tasks."""
    return said(dict(decided))


def _rest_on(claims: Sequence[Claim]) -> list[str]:
    return [markdown(table) for table in tables([verdicts([(claim, ()) for claim in claims])]) if table.name == "parts"]


def _law_in_a_sentence(found: Fits | None, parts: Sequence[_Part]) -> str:
    if found is None:
        return ""
    best, papers = excerpts.best(found.pooled), parts[0].laws.get(HEADLINE)
    return (
        f"Forward KL on the new task predicts forgetting with R2 {_told(found, HEADLINE, 'r2')}, on a family of methods that was left out "
        f"{_told(found, HEADLINE, 'family_left_out')}; of its rivals {best} does best, {_told(found, best, 'r2')} and {_told(found, best, 'family_left_out')}. "
        f"On RL and supervised fine-tuning alone, the families that the paper compares, R2 of forward KL is "
        f"{'undefined' if papers is None or papers.r2 is None else interval(papers.r2)}."
    )


def _told(found: Fits, name: str, score: str) -> str:
    value = getattr(found.pooled[name], score)
    return "undefined" if value is None else interval(value)


@dataclass(frozen=True)
class _Part:
    """The law on some of the runs, by predictor; on none if these are too few."""

    name: str
    runs: int
    laws: Mapping[str, Law]


def _parts(found: Fits | None) -> list[_Part]:
    """The law of forward KL and of the best of its rivals on the paper's families first, on each family, on each task, and on each with these alone."""
    if found is None:
        return []
    head, names = found.points[HEADLINE], (HEADLINE, excerpts.best(found.pooled))
    papers = np.isin(head.family, _PAPERS)
    chosen = {"the paper's families": papers}
    chosen |= {f"family {family}": np.array(head.family) == family for family in sorted(set(head.family))}
    tasks = {task: np.array(head.task) == task for task in sorted(set(head.task))}
    chosen |= {f"task {task}": runs for task, runs in tasks.items()}
    chosen |= {f"task {task}, the paper's families": papers & runs for task, runs in tasks.items()}
    made = []
    for part, runs in chosen.items():
        kept = {name: found.points[name].where(runs[found.points[name].run]) for name in names}
        made.append(_Part(part, int(runs.sum()), laws(kept, HEADLINE, generator("reference", part), PER_TASK) if runs.sum() >= FEWEST else {}))
    return made


def _on_parts(found: Fits | None, parts: Sequence[_Part]) -> list[str]:
    """The law on parts of the runs, and what methods lie off it on all of them."""
    if found is None:
        return []
    best, residual = excerpts.best(found.pooled), residuals(found.pooled[HEADLINE])
    rows: list[Sequence[Value]] = [[part.name, part.runs, *(excerpts.r2(part.laws.get(name)) for name in (HEADLINE, best))] for part in parts]
    return [
        f"In-sample R2 on parts, of forward KL and of {best}; the paper's families are {' and '.join(_PAPERS)}:",
        markdown(Table("on_parts", "On parts", ("part", "runs", HEADLINE, best), rows)),
        f"{residual.title} under the pooled fit of forward KL:",
        markdown(residual),
        residual.note,
    ]


def main() -> None:
    """Write the README's first screen and the page of the study."""
    from razorbench.analysis import by_base, decide, styles_of
    from razorbench.config import registry

    results, readme, out = map(Path, sys.argv[1:4])
    with registry() as registered:
        families = {name: str(registered.item("method", name).family) for name in registered.names("method")}
        styles, core = styles_of(registered), registered.item("suite", SUITE)["tasks"]
        asked = {name: {one.folder.hash for one in registered.asked([f"+experiment={name}"], True)} for name in (*STUDIES, "ladder", "sequences")}
        # A ladder that was made on its own has the core study's rungs as well.
        every = {run.record["hashes"]["run"]: run for folder in (results.parent / LADDER, results) for run in read_runs(folder, styles)}
        wanted = set.union(asked[STUDIES[0]], *(asked[name] for name in STUDIES if asked[name] <= every.keys()))
        runs = [run for run_hash, run in every.items() if run_hash in wanted]
        pools = {base: pool(several, base, BUDGET) for base, several in by_base([run for run in runs if run.task in core], BUDGET).items()}
        further = {run.arm for run in runs if run.task not in core}
        wide = pool([run for run in runs if run.arm in further], BASE, BUDGET) if further else None
        kinds = {f"`{SUITE}`": pools} | ({"all twelve tasks": pools | {BASE: pool(runs, BASE, BUDGET)}} if wide else {})
        decided = {
            tasks: [claim for claim, _ in decide(registered, styles, {base: each.runs for base, each in kind.items()}, results, BUDGET)]
            for tasks, kind in kinds.items()
        }
        recipes = {base: registered.item("base", base) for base in pools}
        alike = sorted((base for base in pools if recipes[base].head == recipes[BASE].head), key=lambda base: SIZES[recipes[base].size])
    study = Study(
        pools[BASE],
        decided,
        families,
        asked=len(wanted),
        done=len(runs),
        hours=sum(float(run.record["wall_s"]) for run in runs) / 3600,
        sequences=sequences(results, asked["sequences"]),
        wide=wide,
        others={base: each for base, each in pools.items() if base != BASE},
        sizes={base: pools[base].runs for base in alike},
        ladder=[run for run_hash, run in every.items() if run_hash in asked["ladder"]],
        elsewhere=read(results / ASKED),
        spare=len(every.keys() - wanted - asked["ladder"]),
    )
    write(study, readme, out)


if __name__ == "__main__":
    main()
