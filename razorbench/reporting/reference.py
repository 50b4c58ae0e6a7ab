"""The reference study as pages of the repository: `python -m razorbench.reporting.reference baselines/results README.md docs/reference`.

Writes the first screen of the README and a page with what it rests on: pictures, tables and verdicts, all from the records, none typed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from razorbench.asked import read
from razorbench.claims import Claim
from razorbench.law.questions import Questions
from razorbench.policy import SIZES
from razorbench.readme import section
from razorbench.reporting import excerpts
from razorbench.reporting.asking import across_bases
from razorbench.reporting.beside import excerpt, ladder, sizes
from razorbench.reporting.drawing import DPI, styled
from razorbench.reporting.excerpts import markdown
from razorbench.reporting.fits import fits
from razorbench.reporting.headline import arms, each_task
from razorbench.reporting.law_page import law_page
from razorbench.reporting.material import Material, tables
from razorbench.reporting.same_kl import same_kl
from razorbench.reporting.sequences import sequences
from razorbench.reporting.styles import looks
from razorbench.reporting.tables import Table
from razorbench.reporting.trade import matched_success
from razorbench.reporting.trade_and_law import trade_and_law
from razorbench.reporting.verdicts import said, verdicts
from razorbench.results import Pool, Run, pool, read_runs, snapshots

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
    questions: Questions
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
    found = fits(snapshots(study.pool.runs), study.questions)
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
        f"Final policies, but for retention at success {excerpts.LEVEL:g}, which is of the first snapshot along each run that has it, where it does not jump "
        f"over it; means over the tasks of `{SUITE}` of means over seeds, 95% Student interval over tasks. What predicts forgetting: "
        f"[docs/results/law.md](docs/results/law.md).",
        markdown(verdict),
        f"Exploratory: the rules ([conf/study/claims2.yaml](conf/study/claims2.yaml)) are newer than the runs; what they rest on: [{page}]({page}/README.md).",
    ]
    readme.write_text(section(readme.read_text(encoding="utf-8"), "reference", "\n\n".join(first)), encoding="utf-8")
    others = [part for base, each in study.others.items() for part in (f"### `{base}`", *excerpt(each, study.families))]
    if others:
        others += across_bases("A base left out", {base: each.runs for base, each in {BASE: study.pool, **study.others}.items()}, study.elsewhere)
    wide = () if study.wide is None else excerpt(study.wide, study.families, each=True)
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
        "See [the law](../results/law.md).",
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
        questions: Questions = registered.item("study", "questions")
        alike = sorted((base for base in pools if recipes[base].head == recipes[BASE].head), key=lambda base: SIZES[recipes[base].size])
    study = Study(
        pools[BASE],
        decided,
        families,
        asked=len(wanted),
        done=len(runs),
        hours=sum(float(run.record["wall_s"]) for run in runs) / 3600,
        sequences=sequences(results, asked["sequences"]),
        questions=questions,
        wide=wide,
        others={base: each for base, each in pools.items() if base != BASE},
        sizes={base: pools[base].runs for base in alike},
        ladder=[run for run_hash, run in every.items() if run_hash in asked["ladder"]],
        elsewhere=read(results / ASKED),
        spare=len(every.keys() - wanted - asked["ladder"]),
    )
    write(study, readme, out)
    # Found on the core tasks from the main base; other tasks, and a base with another head, had no part in that.
    sets = {f"{SUITE}, {BASE}": pools[BASE].runs, "six other tasks": [run for run in wide.runs if run.task not in core] if wide else []}
    sets |= {f"{SUITE}, {base}": each.runs for base, each in pools.items() if recipes[base].head != recipes[BASE].head}
    everything = {"all twelve tasks": wide.runs} if wide else {}
    (page := out.parent / "results" / "law.md").parent.mkdir(exist_ok=True)
    page.write_text(law_page({name: runs for name, runs in sets.items() if runs}, everything, questions, study.elsewhere), encoding="utf-8")


if __name__ == "__main__":
    main()
