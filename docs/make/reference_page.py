"""Pages of the reference study and the board: `python docs/make/reference_page.py`.

Writes the README's findings, the page of the law, the page of the study and a table of all runs, with all numbers from the records.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import protocol6
from excerpts import under
from first_picture import first_picture
from law_page import law_page
from paths import DOCS, KEPT, ROOT
from readme import section
from recall_file import read
from recall_tables import across_bases
from sequence_table import sequences
from side_studies import excerpt, ladder, sizes

from razorbench.commands import leaderboard
from razorbench.commands.claims import by_base, decide, styles_of
from razorbench.policy.network import SIZES
from razorbench.registry.config import registry
from razorbench.reports import dataset
from razorbench.reports.at_same_kl import same_kl
from razorbench.reports.content import Material, tables
from razorbench.reports.drawing import DPI, styled
from razorbench.reports.findings import Evidence, Shown
from razorbench.reports.frontier import matched_success
from razorbench.reports.headline import arms, costs, each_task, stopping_saves
from razorbench.reports.law_fits import Fits, fits
from razorbench.reports.tables import Table
from razorbench.reports.verdicts import ABOUT, said, verdicts
from razorbench.statistics.claims import Claim
from razorbench.statistics.finished_runs import Run, read_runs, snapshots
from razorbench.statistics.law.questions import Questions
from razorbench.statistics.pooling import Pool, pool
from razorbench.store.output import in_a_sentence

SUITE, BASE, BUDGET = "core", "mlp", "standard"
STUDIES = ("razor_core", "scale", "razor_full", "tokens", "more_seeds")
"""Experiments whose runs count: of the first, all finished runs; of the others, all runs once the experiment is complete."""
LADDER = "ladder"
"""Folder of committed runs with other learning rates, which are never averaged in."""
ASKED = "asked.csv"
"""Measurements of `recall_file.py`, in the folder of committed runs."""
_WIDE = "all {} tasks"
PICTURE, FRESH_PICTURE = "stops.png", "stops_other_tasks.png"
_FRESH = (
    "We chose methods and predictors on `core` with the base `mlp`. These tasks had no part in that, except that we tuned hyper-parameters on two of them, "
    "push_far and lift_heavy, from other starts."
)


@dataclass(frozen=True)
class Study:
    """Input of the pages.

    pool: the main runs, on the core tasks; fresh: runs of the same base on other tasks, None if there are none; wide: runs on all tasks, of arms with both;
    others: runs from other bases, by base; heads: names of those bases with another head; decided: claims by the runs that decide them; families: of
    registered methods; asked: number of runs of the whole study; done: number of finished ones; hours: their processor hours; sizes: runs by base, the
    smallest first, of bases with the same head; ladder: runs at several learning rates; elsewhere: measurements of `recall_file.py`; spare: committed runs
    in none of the other sets.
    """

    pool: Pool
    decided: Mapping[str, Sequence[Claim]]
    families: Mapping[str, str]
    asked: int
    done: int
    hours: float
    sequences: Table
    questions: Questions
    shown: Shown
    fresh: Pool | None = None
    wide: Pool | None = None
    others: Mapping[str, Pool] = field(default_factory=dict)
    heads: Sequence[str] = ()
    sizes: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    ladder: Sequence[Run] = ()
    elsewhere: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    spare: int = 0

    @property
    def how_far(self) -> str:
        """Return a sentence about the study's progress."""
        cost = f"{self.hours:.1f} core hours ({(self.pool.runs[0].record.machine or {}).get('processor')})"
        return f"{self.done:,} runs, {cost}." if self.done == self.asked else f"{self.done:,} of {self.asked:,} runs so far, {cost}: the numbers will change."

    @property
    def quoted(self) -> Pool:
        """The runs that the README quotes: independent ones if there are any."""
        return self.fresh or self.pool

    @property
    def every(self) -> list[Run]:
        """All runs of the study."""
        pools = [self.pool, *([self.fresh] if self.fresh else []), *self.others.values()]
        return [run for each in pools for run in each.runs]


def write(study: Study, readme: Path, out: Path) -> None:
    """Write the README's findings, the page of the study with its table of runs, and `results/law.md` next to its folder."""
    out.mkdir(parents=True, exist_ok=True)
    dataset.write(study.every, out)
    sets: dict[str, Sequence[Run]] = {f"{SUITE}, {BASE}": study.pool.runs}
    if study.fresh:
        sets[_named(study.fresh)] = study.fresh.runs
    sets |= {f"{SUITE}, {base}": study.others[base].runs for base in study.heads}
    found = {name: fits(snapshots(runs), study.questions) for name, runs in sets.items()}
    quoted = list(found.values())[1 if study.fresh else 0]
    with styled():
        for each, name, where in ((study.pool, PICTURE, f"tasks of {SUITE}"), (study.quoted, FRESH_PICTURE, _named(study.quoted))):
            drawn = first_picture(Material.of(each, study.families, out), study.shown.arms, where)
            drawn.savefig(out / name, format="png", facecolor="white", dpi=DPI)
        (out / "README.md").write_text("\n\n".join(part for part in _page(study, out) if part) + "\n", encoding="utf-8")
    text = section(readme.read_text(encoding="utf-8"), "reference", _first(study, quoted, readme, out))
    readme.write_text(text, encoding="utf-8")
    (law := out.parent / "results" / "law.md").parent.mkdir(exist_ok=True)
    more = {_named(study.wide, _WIDE): study.wide.runs} if study.wide else {}
    law.write_text(law_page(sets, found, more, study.questions, study.elsewhere), encoding="utf-8")


def _named(pool: Pool, tasks: str = "{} other tasks") -> str:
    """Return a name for runs by their number of tasks."""
    words = "one two three four five six seven eight nine ten eleven twelve".split()
    count = len({run.task for run in pool.runs})
    return tasks.format(words[count - 1] if count <= len(words) else count)


def _first(study: Study, law: Fits | str, readme: Path, out: Path) -> str:
    """Return the README's picture and findings."""
    page = Path(os.path.relpath(out.resolve(), readme.resolve().parent)).as_posix()
    docs = Path(page).parent.as_posix()
    evidence = Evidence(study.quoted.runs, law)
    caption = study.shown.caption(study.quoted.runs)
    about = "Retention at best SELECT success and at the end of the budget, and retention against success on the new task."
    findings = "\n".join(f"- {each.sentence(evidence)} [More]({docs}/{each.link})" for each in study.shown.findings)
    return f'<img src="{page}/{FRESH_PICTURE}" width="560" alt="{about}">\n\n{caption} {study.how_far}\n\n{findings}'


def _page(study: Study, out: Path) -> list[str]:
    """Return the parts of the study's page."""
    material = Material.of(study.pool, study.families, out)
    kept, moved = matched_success(material), same_kl(material)
    rungs = ladder(study.ladder, study.families, out) if study.ladder else ()
    sized: Sequence[str] = ()
    if len(study.sizes) > 1:
        sized = *sizes(study.sizes), *across_bases("Held-out size", study.sizes, study.elsewhere)
    others = [part for base, each in study.others.items() for part in (f"### `{base}`", *excerpt(each, study.families))]
    if others:
        others += across_bases("Held-out base", {base: each.runs for base, each in {BASE: study.pool, **study.others}.items()}, study.elsewhere)
    return [
        "# The reference study",
        "Written by `docs/make/reference_page.py` from the records in [baselines/results](../../baselines/results), do not edit. "
        "Everything here is exploratory: we added the rules, seeds 3 and 4, and the tasks outside `core` after we had seen results.",
        study.how_far,
        f"Committed but not used here: {study.spare:,} runs of incomplete studies." if study.spare else "",
        f"All runs in one table: [CSV]({dataset.NAME}.csv), [Parquet]({dataset.NAME}.parquet). What predicts forgetting: [the law](../results/law.md).",
        f"![The README's figure for {SUITE}]({PICTURE})",
        "## All arms",
        *(part for table in (arms(material), stopping_saves(material), costs(material)) for part in under(table)),
        *(part for table in each_task(material) for part in under(table)),
        *(("## Tasks not used in the design", _FRESH, *excerpt(study.fresh, study.families, each=True)) if study.fresh else ()),
        *((f"## On {_named(study.wide, _WIDE)}", *excerpt(study.wide, study.families)) if study.wide else ()),
        "## Retention at the same success",
        *kept.text,
        *(table.markdown() for table in tables([kept])),
        f"## {moved.title}",
        *moved.text,
        *(part for table in tables([moved]) for part in under(table)),
        *(("## Other base policies", *others) if others else ()),
        *sized,
        *rungs,
        *((f"## {study.sequences.title}", study.sequences.markdown(), study.sequences.note) if study.sequences.rows else ()),
        "## The paper's claims",
        ABOUT,
        *(part for where, claims in study.decided.items() for part in (f"### On {where}", said(claims).markdown(), *_rest_on(claims))),
    ]


def _rest_on(claims: Sequence[Claim]) -> list[str]:
    return [table.markdown() for table in tables([verdicts([(claim, ()) for claim in claims])]) if table.name == "parts"]


def main() -> None:
    """Write every page of the study. Arguments: the runs, README, and the folder of the page; by default those of this repository, and the board as well."""
    results, readme, out = map(Path, sys.argv[1:4] or (KEPT, ROOT / "README.md", DOCS / "reference"))
    with registry() as registered:
        families = {name: str(registered.item("method", name).family) for name in registered.names("method")}
        styles, core = styles_of(registered), registered.item("suite", SUITE)["tasks"]
        asked = {name: {protocol6.run_hash(one.spec) for one in registered.asked([f"+experiment={name}"], True)} for name in (*STUDIES, "ladder", "sequences")}
        # A ladder made on its own has the core study's learning rates as well.
        every = {run.record.hashes.run: run for folder in (results.parent / LADDER, results) for run in read_runs(folder, styles)}
        wanted = set.union(asked[STUDIES[0]], *(asked[name] for name in STUDIES if asked[name] <= every.keys()))
        runs = [run for run_hash, run in every.items() if run_hash in wanted]
        pools = {base: pool(several, base, BUDGET) for base, several in by_base([run for run in runs if run.task in core], BUDGET).items()}
        others = [run for run in runs if run.task not in core]
        fresh = pool(others, BASE, BUDGET) if others else None
        wide = pool([run for run in runs if run.arm in {other.arm for other in others}], BASE, BUDGET) if others else None
        kinds = {f"`{SUITE}`": pools}
        if fresh and wide:
            kinds |= {_named(fresh): pools | {BASE: fresh}, _named(wide, _WIDE): pools | {BASE: pool(runs, BASE, BUDGET)}}
        decided = {
            tasks: [claim for claim, _ in decide(registered, styles, {base: each.runs for base, each in kind.items()}, results, BUDGET)]
            for tasks, kind in kinds.items()
        }
        recipes = {base: registered.item("base", base) for base in pools}
        questions, shown = (registered.item("study", name) for name in ("questions", "reference"))
    alike = sorted((base for base in pools if recipes[base].head == recipes[BASE].head), key=lambda base: SIZES[recipes[base].size])
    study = Study(
        pools[BASE],
        decided,
        families,
        asked=len(wanted),
        done=len(runs),
        hours=sum(run.record.wall_s for run in runs) / 3600,
        sequences=sequences(results, asked["sequences"]),
        questions=questions,
        shown=shown,
        fresh=fresh,
        wide=wide,
        others={base: each for base, each in pools.items() if base != BASE},
        heads=[base for base in pools if recipes[base].head != recipes[BASE].head],
        sizes={base: pools[base].runs for base in alike},
        ladder=[run for run_hash, run in every.items() if run_hash in asked["ladder"]],
        elsewhere=read(results / ASKED),
        spare=len(every.keys() - wanted - asked["ladder"]),
    )
    write(study, readme, out)
    if sys.argv[1:]:
        return
    shutil.rmtree(DOCS / "board", ignore_errors=True)
    leaderboard.command([*map(str, sorted((KEPT / "entries").iterdir())), "--levels", str(KEPT / "levels"), "--out", str(DOCS / "board")])


if __name__ == "__main__":
    in_a_sentence(main)
