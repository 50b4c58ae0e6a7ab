"""Forgetting per skill, learning curves, and the list of runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from matplotlib.colors import to_rgb

from razorbench.method.counting import uncounted
from razorbench.reports.content import Folded, Gallery, Material, Section
from razorbench.reports.drawing import Picture, canvas, labels, picture, powers
from razorbench.reports.tables import Links, Table, Value, plain, slug
from razorbench.statistics.finished_runs import Run
from razorbench.statistics.stops import STOPS, Read, Stop, stop
from razorbench.statistics.suite_score import Alone
from razorbench.statistics.verdicts import student
from razorbench.store.estimate import Estimate, Undefined, number

HEAT = "#e0602a"
BESIDE = ("record.json", "curve.jsonl", "plots/summary.png", "log.txt")
"""Files of a run to link if they exist, in addition to the films in `videos`."""


_LOST = {
    "alone_equal": "base and tuned policies did not play the same episodes, so the intervals of forgetting and retention resample them separately",
    "resumable": "a run that was stopped started over",
}
"""What follows where a world does not promise all of `razorbench.task.PROMISES`."""


def forgetting(material: Material) -> Section:
    """Return the section of forgetting per skill."""
    return Section(
        "Forgetting by skill",
        ["Greedy success of the base minus that of the policy, on the same TEST starts: 25 per skill at best, 100 at the end. Means and intervals as above."],
        [Gallery([_heat(material, name) for name in STOPS])],
    )


def _lost(skill: str, name: str, stops: Mapping[int, Stop | None]) -> Callable[[Run], float | None]:
    def measure(run: Run) -> float | None:
        at_stop = stops[id(run)]
        if at_stop is None:
            return None
        base = run.record.original[skill].base.greedy if name == "end" else run.curve[0].original[skill]
        return base.rate - at_stop.snapshot.original[skill].rate

    return measure


def _heat(material: Material, stopped: str) -> Picture:
    skills = sorted(material.runs[0].record.original)
    arms = list(material.looks)
    stops = {id(run): stop(run, stopped) for run in material.runs}
    suites = {(arm, skill): material.suite(arm, _lost(skill, stopped, stops)) for arm in arms for skill in skills}
    figure, axes = canvas(1.3 + 0.3 * len(arms), width=1.3 + 0.8 * len(skills))
    grid = np.array([[_number(suites[arm, skill].value) for skill in skills] for arm in arms])
    # More forgetting is more opaque, so letters stay readable on light and dark pages.
    shade = np.zeros((*grid.shape, 4))
    shade[..., :3], shade[..., 3] = to_rgb(HEAT), 0.85 * np.clip(np.nan_to_num(grid), 0.0, 1.0)
    axes.imshow(shade, aspect="auto")
    for (row, column), value in np.ndenumerate(grid):
        cell = suites[arms[row], skills[column]].value
        interval = f"[{number(cell.low, 1)}, {number(cell.high, 1)}]" if isinstance(cell, Estimate) else "one run" if isinstance(cell, Alone) else ""
        axes.text(column, row - 0.14, "undefined" if np.isnan(value) else number(value, 1), ha="center", va="center", fontsize=8)
        axes.text(column, row + 0.27, interval, ha="center", va="center", fontsize=6)
    axes.grid(visible=False)
    axes.set_xticks(range(len(skills)), [plain(skill) for skill in skills], rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(arms)), [plain(arm) for arm in arms])
    rows = [(arm, skill, suites[arm, skill].value, suites[arm, skill].n, suites[arm, skill].unit) for arm in arms for skill in skills]
    name, title = f"forgetting_per_skill_{stopped}", f"Forgetting of every original skill, at {stopped}"
    note = "No color at 0, full color at 1; below 0, a skill improved. Intervals are not clipped to [0, 1]."
    return picture(figure, name, title, note, Table(name, title, ("arm", "skill", "forgetting", "n", "unit"), rows))


def _number(value: Estimate | Alone | Undefined) -> float:
    return np.nan if isinstance(value, Undefined) else value.value


def curves(material: Material) -> Section:
    """Return the section of learning curves."""
    galleries = [(task, Gallery([_curve(material, task, name) for name in _MEASURED])) for task in material.tasks]
    return Section(
        "Learning curves",
        [
            "Greedy success on the new task and retention at each snapshot, averaged over seeds, against the number of updates. The size of an update differs "
            "between methods. The CSV files add environment steps, gradient steps and 95% Student intervals over seeds.",
        ],
        [galleries[0][1], *(Folded(plain(task), [gallery]) for task, gallery in galleries[1:])],
    )


_MEASURED: Mapping[str, tuple[str, Read]] = {
    "success": ("success on the new task, greedy", lambda point: point.success),
    "retention": ("retention of original skills", lambda point: point.retention.value),
}


def _curve(material: Material, task: str, measure: str) -> Picture:
    label, read = _MEASURED[measure]
    figure, axes = canvas(3.8)
    ends, rows = {}, list[Sequence[Value]]()
    for arm, look in material.looks.items():
        seeds = [run.curve for run in material.by_arm[arm] if run.task == task and run.curve]
        if not seeds:
            continue
        line = []
        for snapshot in range(min(map(len, seeds))):
            points = [curve[snapshot] for curve in seeds]
            values = [value for point in points if (value := read(point)) is not None]
            interval = student(values)
            update = float(np.mean([point.update for point in points]))
            line.append((update, float(np.mean(values))))
            steps = [float(np.mean([point.env_steps for point in points])), float(np.mean([point.gradient_steps for point in points]))]
            rows.append((task, arm, snapshot, update, *steps, Alone(values[0], "one seed") if interval is None else interval, len(values)))
        x, y = np.array(line).T
        axes.plot(x, y, color=look.colour, linestyle=look.line, linewidth=1.1, markersize=3, markevery=max(1, len(x) // 6), **look.marker)
        ends[arm] = line[-1]
    axes.set_xscale("symlog", linthresh=1)
    axes.set(xlabel="updates", ylabel=label, ylim=(-0.02, 1.05))
    axes.set_xlim(left=0)
    labels(axes, ends, material.looks)
    columns = ("task", "arm", "snapshot", "update", "env steps", "gradient steps", measure, "seeds")
    powers(axes.xaxis)
    name, title = slug("curves", task, measure), f"{measure.capitalize()}, {plain(task)}"
    return picture(figure, name, title, "", Table(name, title, columns, rows))


def every_run(material: Material) -> Section:
    """Return the section that lists every run, with links, and the excluded runs."""
    measures = ("success", "retention", "forward KL", "score", "updates")
    blocks = [
        Table(
            "runs",
            "Every run",
            ("task", "arm", "seed", "base", *(f"{name} at {where}" for name in measures for where in STOPS), "seconds", "files"),
            [_run(material, run) for run in material.runs],
            "Greedy success with its 95% Wilson interval, and retention with a 95% bootstrap interval over episodes. These intervals describe one policy; do "
            "not compare methods by them. Forward KL on the new task, in nats per decision, has a closed form on fixed states; for one run, it and the score "
            "have no interval.",
        )
    ]
    text = ["Click a column header to sort. The links open the run's files, if these are still in the folder from which this page was written."]
    for arm, runs in material.by_arm.items():
        sentences = dict.fromkeys(sentence for run in runs for sentence in uncounted(run.record.budget.uncounted))
        text += [f"Uncounted costs of `{arm}`: {sentence}." for sentence in sentences]
    for world, kept in dict.fromkeys((str(run.record.world), tuple(run.record.promises or _LOST)) for run in material.runs):
        text += [f"World `{world}` does not promise `{promise}`: {sentence}." for promise, sentence in _LOST.items() if promise not in kept]
    if material.apart:
        count = len(material.apart)
        text.append(f"{count} record{'s were' if count > 1 else ' was'} set apart; no number above includes {'them' if count > 1 else 'it'}.")
        rows = [(run.record.task, run.arm, str(run.seed), why, _links(material.out, run)) for run, why in material.apart]
        blocks.append(Table("set_apart", "Set apart", ("task", "arm", "seed", "reason", "files"), rows))
    return Section("Runs", text, blocks)


def _run(material: Material, run: Run) -> Sequence[Value]:
    values = [value for measure in zip(*(_stopped(stop(run, name)) for name in STOPS), strict=True) for value in measure]
    return [run.task, run.arm, run.seed, run.record.base, *values, run.record.wall_s, _links(material.out, run)]


def _stopped(there: Stop | None) -> Sequence[Value]:
    """Return success, retention, forward KL, score and updates at a stop."""
    if there is None:
        return [Undefined("its snapshots were not kept")] * 5
    at = there.snapshot
    return [
        Undefined("not measured") if at.new_task.test is None else at.new_task.test.estimate,
        at.retention,
        Undefined("not measured") if at.forward_kl is None else at.forward_kl,
        Undefined("the base nearly solves the task, or no original skill") if there.score is None else there.score,
        Undefined("its snapshots were not kept") if at.update is None else at.update,
    ]


def _links(out: Path, run: Run) -> Links:
    """Return the addresses of a run's files relative to the page."""
    films = sorted((run.folder / "videos").glob("*")) if (run.folder / "videos").is_dir() else []
    existing = [path for path in (*(run.folder / name for name in BESIDE), *films) if path.is_file()]
    return Links([(plain(path.name if path in films else path.stem), _address(path, out)) for path in existing])


def _address(path: Path, out: Path) -> str:
    relative = Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()
    return quote(relative.encode("utf-8", "surrogateescape"))
