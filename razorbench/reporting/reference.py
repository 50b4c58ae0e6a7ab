"""The reference study as pages of the repository: `python -m razorbench.reporting.reference baselines/results README.md docs/reference`.

Writes the first screen of the README and a page with what it rests on: pictures, tables and verdicts, all from the records, none typed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from razorbench.claims import Claim
from razorbench.compare import MEASURES
from razorbench.law import Law, laws
from razorbench.readme import section
from razorbench.reporting.drawing import DPI, styled
from razorbench.reporting.fits import FEWEST, PER_TASK, Fits, fits
from razorbench.reporting.headline import arms, each_task
from razorbench.reporting.material import Material, tables
from razorbench.reporting.predicting import residuals, rivals
from razorbench.reporting.sequences import sequences
from razorbench.reporting.styles import looks
from razorbench.reporting.tables import Table, Value, interval
from razorbench.reporting.trade import matched_success
from razorbench.reporting.trade_and_law import trade_and_law
from razorbench.reporting.verdicts import verdicts
from razorbench.results import HEADLINE, Pool, pool, read_runs, snapshots
from razorbench.seeding import generator
from razorbench.suite import Undefined

SUITE, BASE, BUDGET = "core", "mlp", "standard"
_PICTURE = "trade_and_law.png"
_CAPTION = "Left: every arm's way from the base to its final policy, with that one's interval. Right: forgetting against forward KL, with the fit."
LEVEL = 0.9
"""Success at which the README tells retention."""
_FEW = 10
"""Rival predictors that the page shows, beside those that need nothing of the old tasks."""
_PAPERS = ("on-policy reward", "offline supervised")
"""The families that the paper compares; it has nothing that keeps old skills by another term."""


@dataclass(frozen=True)
class Study:
    """What the pages are made from. asked: runs of the whole study; done: of these; hours: of one processor, over all runs that are kept."""

    pool: Pool
    decided: Sequence[tuple[Claim, Sequence[str]]]
    families: Mapping[str, str]
    asked: int
    done: int
    hours: float
    sequences: Table

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
    scores = arms(material)
    claims = [[claim.name, claim.says, claim.verdict] for claim, _ in study.decided]
    verdict = Table("claims", "Verdicts", ("claim", "it says", "verdict"), claims)
    page = out.resolve().relative_to(readme.resolve().parent).as_posix()
    first = [
        study.how_far,
        f"![{_CAPTION}]({page}/{_PICTURE})",
        _CAPTION,
        markdown(_first(material, scores)),
        f"Final policies, but for retention at success {LEVEL:g}, which is of the first snapshot along each run that has it, where it does not jump over it; "
        f"means over the tasks of `{SUITE}` of means over seeds, 95% Student interval over tasks. {_law_in_a_sentence(found, parts)}",
        markdown(verdict),
        f"By rules older than the runs ([conf/study/claims.yaml](conf/study/claims.yaml)); what they rest on: [{page}]({page}/README.md).",
    ]
    readme.write_text(section(readme.read_text(encoding="utf-8"), "reference", "\n\n".join(first)), encoding="utf-8")
    whole = [
        "# The reference study",
        "Written by `make results` from the records in [baselines/results](../../baselines/results), do not edit.",
        study.how_far,
        f"![{_CAPTION}]({_PICTURE})",
        _CAPTION,
        "## Every arm",
        markdown(scores),
        scores.note,
        *(part for table in each_task(material) for part in (f"### {table.title}", markdown(table), table.note)),
        "## What is kept at the same success",
        *(markdown(table) for table in tables([kept])),
        "## What predicts forgetting",
        *_predictors(found),
        *_on_parts(found, parts),
        *((f"## {study.sequences.title}", markdown(study.sequences), study.sequences.note) if study.sequences.rows else ()),
        "## The paper's claims",
        markdown(verdict),
        *(markdown(table) for table in tables([verdicts(study.decided)]) if table.name == "parts"),
    ]
    (out / "README.md").write_text("\n\n".join(part for part in whole if part) + "\n", encoding="utf-8")


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    rows = [[cell.text.replace("|", "\\|") for cell in row] for row in table.cells()]
    return "\n".join("| " + " | ".join(row) + " |" for row in [[*table.columns], ["---"] * len(table.columns), *rows])


def _first(material: Material, scores: Table) -> Table:
    """The README's table: the scores' most important columns, and what is kept at a matched success."""
    columns = ("arm", "score", "success", "retention", "forward KL, nats per decision", "runs")
    rows = []
    for arm, score, success, retention, kl, runs in _chosen(scores, columns).rows:
        matched = material.suite(str(arm), MEASURES[f"retention@{LEVEL:g}"])
        value = Undefined("not reached") if isinstance(matched.value, Undefined) else matched.value
        rows.append((arm, score, success, retention, value, kl, f"{matched.runs} of {runs}"))
    return Table("first", "Methods", (*columns[:4], f"retention at success {LEVEL:g}", columns[4], "runs that have it"), rows)


def _chosen(table: Table, columns: Sequence[str]) -> Table:
    at = [list(table.columns).index(name) for name in columns]
    return Table(table.name, table.title, columns, [[row[k] for k in at] for row in table.rows], table.note)


def _law_in_a_sentence(found: Fits | None, parts: Sequence[_Part]) -> str:
    if found is None:
        return ""
    best, papers = _best(found), parts[0].laws.get(HEADLINE)
    return (
        f"Forward KL on the new task predicts forgetting with R2 {_told(found, HEADLINE, 'r2')}, on a family of methods that was left out "
        f"{_told(found, HEADLINE, 'family_left_out')}; of its rivals {best} does best, {_told(found, best, 'r2')} and {_told(found, best, 'family_left_out')}. "
        f"On RL and supervised fine-tuning alone, the families that the paper compares, R2 of forward KL is "
        f"{'undefined' if papers is None or papers.r2 is None else interval(papers.r2)}."
    )


def _best(found: Fits) -> str:
    """The rival that does best where a family was left out."""
    return max((name for name in found.pooled if name != HEADLINE), key=lambda name: _left_out(found, name))


def _left_out(found: Fits, name: str) -> float:
    score = found.pooled[name].family_left_out
    return -np.inf if score is None else score.value


def _told(found: Fits, name: str, score: str) -> str:
    value = getattr(found.pooled[name], score)
    return "undefined" if value is None else interval(value)


def _predictors(found: Fits | None) -> list[str]:
    if found is None:
        return ["Undefined: too few runs."]
    ranked = sorted(found.pooled, key=lambda name: (name != HEADLINE, -_left_out(found, name)))
    without = [name for name in ranked if "old tasks" not in name][: 1 + _FEW]
    table = rivals("rivals", "Rivals", found.pooled, [HEADLINE, *ranked[1 : 1 + _FEW]], found.notes)
    bare = rivals("bare", "Without old-task data", found.pooled, without, found.notes)
    few = ("predictor", "R2", "R2, family left out", "R2, task left out", "R2, isotonic", "Spearman")
    return [
        f"The best {_FEW} of {len(found.pooled)}, by a family left out:",
        markdown(_chosen(table, few)),
        "Those that need nothing of the old tasks but their instructions:",
        markdown(_chosen(bare, few)),
        table.note,
    ]


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
    head, names = found.points[HEADLINE], (HEADLINE, _best(found))
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
    best, residual = _best(found), residuals(found.pooled[HEADLINE])
    rows: list[Sequence[Value]] = [[part.name, part.runs, *(_score(part.laws.get(name)) for name in (HEADLINE, best))] for part in parts]
    return [
        f"In-sample R2 on parts, of forward KL and of {best}; the paper's families are {' and '.join(_PAPERS)}:",
        markdown(Table("on_parts", "On parts", ("part", "runs", HEADLINE, best), rows)),
        f"{residual.title} under the pooled fit of forward KL:",
        markdown(residual),
        residual.note,
    ]


def _score(found: Law | None) -> Value:
    return Undefined("too few runs") if found is None else Undefined("forgetting does not vary") if found.r2 is None else found.r2


def main() -> None:
    """Write the README's first screen and the page of the study."""
    from razorbench.analysis import by_base, decide, styles_of
    from razorbench.config import registry

    results, readme, out = map(Path, sys.argv[1:4])
    with registry() as registered:
        families = {name: str(registered.item("method", name).family) for name in registered.names("method")}
        styles = styles_of(registered)
        wanted = {one.folder.hash for one in registered.asked(["+experiment=razor_core"], True)}
        runs = [run for run in read_runs(results, styles) if run.record["hashes"]["run"] in wanted]
        pools = {base: pool(several, base, BUDGET) for base, several in by_base(runs, BUDGET).items()}
        in_order = {one.folder.hash for one in registered.asked(["+experiment=sequences"], True)}
        decided = decide(registered, styles, {base: each.runs for base, each in pools.items()}, results, BUDGET)
    hours = sum(float(run.record["wall_s"]) for run in runs) / 3600
    write(Study(pools[BASE], decided, families, len(wanted), len(runs), hours, sequences(results, in_order)), readme, out)


if __name__ == "__main__":
    main()
