"""The board as a static site: one page with a table for each suite and track, a page for each entry, and `leaderboard.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from razorbench.compare import MEASURES, numbers
from razorbench.metrics import Estimate
from razorbench.reporting.drawing import styled
from razorbench.reporting.material import Gallery, Section
from razorbench.reporting.page import page, write
from razorbench.reporting.tables import Links, Table, Value
from razorbench.stops import LEVELS
from razorbench.submission import schema
from razorbench.submission.board import RETRAINED, Board, Entry, as_json
from razorbench.submission.plots import law, pareto
from razorbench.suite import Undefined, suite

_GIVEN = {"old_task_data": "old-task data", "demonstrations": "demonstrations", "environment_steps": "environment steps", "expert_queries": "an expert"}
_LEVELS = (
    "Levels: self-reported proves nothing; validated, that the numbers follow from the rows and weights in the package; replayed, that its final policies "
    "do this on the published starts, and score so on fresh ones, whose seed was drawn after the package came in; retrained, that someone else got the "
    "same from its configurations, so that track, budget and curve are no more only declared. Ranks are by fresh starts alone. Who is not told apart from "
    "the best of a rank shares it (95% Student interval of the difference, paired by task and seed). Scores are undefined, and left out, where the base "
    "solves over half of the task. Retention at the same success is shown of what was retrained."
)


def site(boards: Sequence[Board], out: Path) -> Path:
    """Write the site and return its page."""
    with styled():
        drawn = [
            _pictures(suite, [each for board in boards if board.suite == suite for each in board.entries]) for suite in dict.fromkeys(b.suite for b in boards)
        ]
    sections = [Section("How to read it", [_LEVELS], []), *(_section(board) for board in boards), *drawn]
    entries = [each for board in boards for each in board.entries]
    title = f"RazorBench: {len(entries)} submission{'s' if len(entries) != 1 else ''}"
    write(out, page(title, "Robot policies that learn something new: what do they keep?", sections, {}), sections)
    (out / "leaderboard.json").write_text(json.dumps(as_json(boards), indent=2) + "\n", encoding="utf-8")
    for each in entries:
        sections = _entry(each)
        folder = out / "entries" / each.page
        write(folder, page(each.told.name, "An entry of the RazorBench leaderboard.", sections, {}), sections)
    return out / "index.html"


def _section(board: Board) -> Section:
    given = [words for key, words in _GIVEN.items() if getattr(board.track, key)]
    title = f"{board.suite}: base {board.track.base}, budget {board.track.budget}, with {', '.join(given) if given else 'nothing but the base'}"
    columns = (
        "rank",
        "entry",
        "authors",
        "method",
        "level",
        "score, fresh starts",
        "score",
        "success",
        "retention",
        "forward KL, nats per decision",
        *(f"retention at success {level:g}" for level in LEVELS),
        "unranked because",
    )
    name = "_".join(("board", board.suite, board.track.base, board.track.budget, *(key for key in _GIVEN if getattr(board.track, key))))
    return Section(title, [], [Table(name, "Entries", columns, [_row(each) for each in board.entries])])


def _pictures(suite: str, entries: Sequence[Entry]) -> Section:
    text = "Entries that are not valid, or of another protocol, are not drawn."
    return Section(f"{suite}: all entries", [text], [Gallery([pareto(suite, entries), law(suite, entries)])])


def _row(each: Entry) -> Sequence[Value]:
    return [
        "" if each.rank is None else each.rank,
        Links([(each.told.name, f"entries/{each.page}/index.html")]),
        ", ".join(each.told.authors),
        each.told.method,
        each.level,
        each.fresh_score or Undefined("not replayed"),
        *(_number(each, name) for name in schema.MEASURES),
        *("" if each.level != RETRAINED else each.at(level) or Undefined("not reached") for level in LEVELS),
        each.why,
    ]


def _number(each: Entry, name: str) -> Value:
    if name == "score" and each.runs:
        return suite(numbers(each.runs, each.runs[0].arm, MEASURES["score@end"]), sorted({run.task for run in each.runs})).value
    told = each.told.scores.get(name)
    return Undefined("for some task") if told is None else Estimate(told.value, *told.ci95)


def _entry(each: Entry) -> list[Section]:
    told = each.told
    about: list[tuple[Value, Value]] = [
        ("board", Links([("all entries", "../../index.html")])),
        ("authors", ", ".join(told.authors)),
        ("method", told.method),
        ("suite", told.suite),
        ("base, budget", f"{told.track.base}, {told.track.budget}"),
        *((f"used {words}", "yes" if getattr(told.track, key) else "no") for key, words in _GIVEN.items()),
        ("level", each.level),
        ("track, budget, curve", "retrained" if each.level == RETRAINED else "declared"),
        ("rank", str(each.rank) if each.rank is not None else f"none: {each.why}"),
        ("licence", told.licence),
        ("code", told.code or "none"),
        ("paper", told.paper or "none"),
        ("package, SHA-256", each.digest),
    ]
    rows: list[Sequence[Value]] = []
    for run in each.runs:
        fresh = (each.fresh or {}).get((run.task, int(run.record["seed"])))
        rates = run.record["new_task"]["final"]["greedy"]
        kept, score = run.record["retention"], MEASURES["score@end"].number(run)
        rows.append(
            [
                run.task,
                int(run.record["seed"]),
                Undefined("not replayed") if fresh is None else fresh.value,
                Undefined("nearly solved already") if score is None else score.value,
                Estimate(rates["rate"], *rates["ci95"]),
                Undefined("undefined") if kept["value"] is None else Estimate(kept["value"], *kept["ci95"]),
                float(run.record["divergence"]["kl_forward"]["new"]),
            ]
        )
    columns = ("task", "seed", "score, fresh starts", "score", "success", "retention", "forward KL, nats per decision")
    tables = [Table("about", "What it is", ("what", "told"), about)]
    return [Section(told.name, [told.description], [*tables, *([Table("runs", "Its runs", columns, rows)] if rows else [])])]
