"""The board as a static site: one page with a table for each suite and track, a page for each entry, and `leaderboard.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from razorbench.method.counting import uncounted
from razorbench.reports.content import Gallery, Section
from razorbench.reports.drawing import styled
from razorbench.reports.page import page, write
from razorbench.reports.tables import Links, Table, Value, slug
from razorbench.statistics.comparison import MEASURES
from razorbench.statistics.stops import LEVELS, STOPS, Stop, stop
from razorbench.store.estimate import Estimate, Undefined
from razorbench.store.folder import PROTOCOL
from razorbench.submissions import schema
from razorbench.submissions.board import RETRAINED, Board, Entry, as_json
from razorbench.submissions.plots import law, pareto

_MEASURED = ("score", "success", "retention", "forward KL")
"""Names of `schema.MEASURES` on the board; forward KL is on the new task, in nats per decision."""
_GIVEN = {"old_task_data": "old-task data", "demonstrations": "demonstrations", "environment_steps": "environment steps", "expert_queries": "an expert"}
DECLARED = "declared unless retrained"
"""Part of the title of every number that cannot be recomputed from a package."""
_LEVELS = (
    "Levels: self-reported proves nothing; validated, that the numbers follow from the rows and weights in the package; replayed, that its final policies "
    "do this on the published starts, and score so on fresh ones, whose seed was drawn after the package came in; retrained, that someone else got the "
    "same from its configurations, so that track, budget and curve are no more only declared. Rank and place are by fresh starts alone: rank among those "
    "that were retrained, place among all that were replayed, whose track and costs are their own word. Whoever cannot be distinguished from the best "
    "shares its rank or place (95% Student interval of the difference, paired by task and seed). Scores are undefined, and left out, where the base solves "
    "over half of the task. At best: stopped at the first snapshot with the highest SELECT success, from the entry's own curve, so declared below "
    "retrained; at end: "
    "its final policies, as replayed where they were. Retention at the same success is shown of what was retrained. A board holds one protocol, "
    "one world and one way of computing KL: entries of an earlier protocol keep their places among themselves."
)


def site(boards: Sequence[Board], out: Path) -> Path:
    """Write the site and return its page."""
    with styled():
        drawn = [
            _pictures(suite, protocol, [board for board in boards if (board.suite, board.protocol) == (suite, protocol)])
            for suite, protocol in dict.fromkeys((board.suite, board.protocol) for board in boards)
        ]
    sections = [Section("How to read it", [_LEVELS], []), *(_section(board, boards) for board in boards), *drawn]
    entries = [entry for board in boards for entry in board.entries]
    title = f"RazorBench: {len(entries)} submission{'s' if len(entries) != 1 else ''}"
    write(out, page(title, "Robot policies that learn something new: what do they keep?", sections, {}), sections)
    (out / "leaderboard.json").write_text(json.dumps(as_json(boards), indent=2) + "\n", encoding="utf-8")
    for entry in entries:
        sections = _entry(entry)
        folder = out / "entries" / entry.page
        write(folder, page(entry.submission.name, "An entry of the RazorBench leaderboard.", sections, {}), sections)
    return out / "index.html"


def _section(board: Board, boards: Sequence[Board]) -> Section:
    same = [other for other in boards if (other.suite, other.protocol, other.track) == (board.suite, board.protocol, board.track)]
    # Where the base does not imply them.
    apart = [getattr(board, name) for name in ("world", "estimator") if len({getattr(other, name) for other in same}) > 1]
    given = [words for key, words in _GIVEN.items() if getattr(board.track, key)]
    title = f"{board.suite}: base {board.track.base}, budget {board.track.budget}, with {', '.join(given) if given else 'nothing but the base'}"
    title += "".join(f", {word}" for word in ([] if board.protocol == PROTOCOL else [f"protocol {board.protocol}"]) + apart)
    columns = (
        "rank",
        "place",
        "entry",
        "authors",
        "method",
        "level",
        "score, fresh starts",
        *(f"{name} {_at(where)}" for name in _MEASURED for where in STOPS),
        *(f"env steps to {where}, {DECLARED}" for where in STOPS),
        f"SELECT episodes to find best, {DECLARED}",
        *(f"retention at success {level:g}" for level in LEVELS),
        "unranked because",
    )
    protocol = () if board.protocol == PROTOCOL else (f"protocol{board.protocol}",)
    name = "_".join(
        ("board", *protocol, board.suite, board.track.base, board.track.budget, *(key for key in _GIVEN if getattr(board.track, key)), *map(slug, apart))
    )
    note = f"Track: {DECLARED}."
    if board.protocol != PROTOCOL:
        note += f" These entries were made under protocol {board.protocol}; the present one is {PROTOCOL}. They are compared with one another alone."
    return Section(title, [note], [Table(name, "Entries", columns, [_row(entry) for entry in board.entries])])


def _at(where: str) -> str:
    return f"at {where}" + (f", {DECLARED}" if where == "best" else "")


def _pictures(suite: str, protocol: int, boards: Sequence[Board]) -> Section:
    """Draw the boards of a suite: one picture of learning and keeping per world, one of the law per world and KL estimator."""
    text = "Entries that are not valid are not drawn."
    title, name = (suite, suite) if protocol == PROTOCOL else (f"{suite}, protocol {protocol}", f"{suite} protocol {protocol}")
    drawn = []
    for draw, kinds in ((pareto, ("world",)), (law, ("world", "estimator"))):
        groups: dict[tuple[str, ...], list[Entry]] = {}
        for board in boards:
            groups.setdefault(tuple(getattr(board, kind) for kind in kinds), []).extend(board.entries)
        valid = {kind: entries for kind, entries in groups.items() if len(groups) == 1 or any(entry.runs for entry in entries)}
        drawn += [draw(name if len(valid) == 1 else " ".join((name, *kind)), entries) for kind, entries in valid.items()]
    return Section(f"{title}: all entries", [text], [Gallery(drawn)])


def _row(entry: Entry) -> Sequence[Value]:
    return [
        "" if entry.rank is None else entry.rank,
        "" if entry.place is None else entry.place,
        Links([(entry.submission.name, f"entries/{entry.page}/index.html")]),
        ", ".join(entry.submission.authors),
        entry.submission.method,
        entry.level,
        entry.fresh_score or Undefined("not replayed"),
        *(_number(entry, name, where) for name in schema.MEASURES for where in STOPS),
        *(_mean(entry, name) for name in ("env_steps@best", "env_steps@end", "select_episodes@best")),
        *("" if entry.level != RETRAINED else entry.at(level) or Undefined("not reached") for level in LEVELS),
        entry.why,
    ]


def _number(entry: Entry, name: str, where: str) -> Value:
    if where == "best" or (name == "score" and entry.runs):
        return entry.suite(f"{name}@{where}") or Undefined("not measured in valid runs")
    return entry.end(name) or Undefined("for some task")


def _mean(entry: Entry, name: str) -> Value:
    values = [number.value for run in entry.runs if (number := MEASURES[name].number(run)) is not None]
    return round(sum(values) / len(values)) if values else Undefined("not measured in valid runs")


def _stopped(there: Stop | None) -> list[Value]:
    """Return score, success, retention and forward KL of one policy."""
    if there is None:
        return [Undefined("no curve")] * len(_MEASURED)
    at = there.snapshot
    return [
        Undefined("nearly solved already") if there.score is None else there.score,
        Undefined("not measured") if at.new_task.test is None else at.new_task.test.estimate,
        at.retention if isinstance(at.retention, Estimate) else Undefined("undefined"),
        Undefined("not measured") if at.forward_kl is None else at.forward_kl,
    ]


def _entry(entry: Entry) -> list[Section]:
    submission = entry.submission
    about: list[tuple[Value, Value]] = [
        ("board", Links([("all entries", "../../index.html")])),
        ("authors", ", ".join(submission.authors)),
        ("method", submission.method),
        ("suite", submission.suite),
        ("base, budget", f"{submission.track.base}, {submission.track.budget}"),
        *((f"used {words}", "yes" if getattr(submission.track, key) else "no") for key, words in _GIVEN.items()),
        ("level", entry.level if entry.vouches is None else f"{entry.level} by {entry.vouches.who or 'someone'}, {entry.vouches.when}"),
        ("protocol", entry.protocol),
        ("track, costs, SELECT rows, snapshots", "retrained" if entry.level == RETRAINED else "declared"),
        ("costs that went uncounted", "; ".join(dict.fromkeys(said for run in entry.runs for said in uncounted(run.record.budget.uncounted))) or "none"),
        ("rank", str(entry.rank) if entry.rank is not None else f"none: {entry.why}"),
        ("place", "none" if entry.place is None else entry.place),
        ("licence", submission.licence),
        ("code", submission.code or "none"),
        ("paper", submission.paper or "none"),
        ("package, SHA-256", entry.digest),
    ]
    rows: list[Sequence[Value]] = []
    for run in entry.runs:
        fresh = (entry.fresh or {}).get((run.task, run.seed))
        best, end = (_stopped(stop(run, name)) for name in STOPS)
        rows.append(
            [
                run.task,
                run.seed,
                Undefined("not replayed") if fresh is None else fresh.value,
                *(value for pair in zip(best, end, strict=True) for value in pair),
            ]
        )
    columns = ("task", "seed", "score, fresh starts", *(f"{name} {_at(where)}" for name in _MEASURED for where in STOPS))
    tables = [Table("about", "About", ("field", "value"), about)]
    return [Section(submission.name, [submission.description], [*tables, *([Table("runs", "Its runs", columns, rows)] if rows else [])])]
