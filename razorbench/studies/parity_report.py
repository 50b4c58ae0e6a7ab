"""What the parity study says: tables of plain values, and a text in which every number is one of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from razorbench.metrics import Estimate, percentile
from razorbench.seeding import generator
from razorbench.studies.findings import Findings, Row
from razorbench.studies.parity_figures import figures
from razorbench.studies.parity_law import Fit, Sweep, fit, matched, resamples, student
from razorbench.studies.parity_measures import PREDICTORS
from razorbench.studies.parity_methods import METHODS
from razorbench.types import FloatArray

LAW = "kl_forward_new"
PAPER_KL = 10.0
"""About the largest forward KL in figure 3 of arXiv 2509.04259."""
_INPUTS = {"_new": "new task", "_old": "old task", "": ""}


def findings(sweep: Sweep, targets: Sequence[float]) -> Findings:
    """Return text, tables and figures of a sweep."""
    counts = resamples(*sweep.values["old"].shape[:3], generator("parity", "resamples"))
    fits = {name: fit(values, sweep.values["forgetting"], counts) for name, values in sweep.values.items() if name.removesuffix("_new").removesuffix("_old") in PREDICTORS}
    at_target = {target: matched(sweep, target) for target in targets}
    tables = {
        "bases": _bases(sweep),
        "rivals": _rivals(fits),
        "methods": _methods(sweep, fits[LAW]),
        "matched": _matched(sweep, at_target),
        "order": _order(sweep, at_target),
        "checkpoints": _checkpoints(sweep),
    }
    return Findings(_text(sweep, fits[LAW], tables), tables, figures(sweep, fits[LAW], tables))


def _bases(sweep: Sweep) -> list[Row]:
    names = ("parity", "parity_sampled", "old")
    return [{"seed": seed, **{name: _short(sweep.base[name][index]) for name in names}} for index, seed in enumerate(sweep.seeds)]


def _rivals(fits: Mapping[str, Fit | None]) -> list[Row]:
    """One row per predictor, and inputs it is measured on; lead: the law's pooled R2 minus this one's, on the same resamples."""
    rows, law = [], fits[LAW]
    for name, (title, paper) in PREDICTORS.items():
        for suffix, inputs in _INPUTS.items():
            if name + suffix not in fits:
                continue
            found = fits[name + suffix]
            lead = Estimate(law.r2.value - found.r2.value, *percentile(law.draws - found.draws)) if law and found else None
            rows.append(
                {
                    "predictor": title,
                    "inputs": inputs,
                    "paper_r2": paper if suffix != "_old" else None,
                    **_interval("r2", found.r2 if found else None),
                    **_interval("lead", lead),
                    **_interval("r2_unseen", student(found.parabola_unseen) if found else None),
                    **_interval("monotone_r2", student(found.monotone) if found else None),
                    **_interval("monotone_r2_unseen", student(found.monotone_unseen) if found else None),
                }
            )
    return rows


def _methods(sweep: Sweep, law: Fit | None) -> list[Row]:
    """One row per method: the largest forward KL and forgetting that it came to, and how far from the parabola it lies on average."""
    largest = {name: sweep.values[name].max(axis=(0, 2, 3)) for name in (LAW, "forgetting", "parity")}
    return [
        {
            "method": METHODS[method],
            "largest_kl": _short(largest[LAW][index]),
            "largest_forgetting": _short(largest["forgetting"][index]),
            "largest_parity": _short(largest["parity"][index]),
            "mean_residual": _short(law.residuals[index]) if law else None,
        }
        for index, method in enumerate(sweep.methods)
    ]


def _matched(sweep: Sweep, at_target: Mapping[float, Mapping[str, FloatArray]]) -> list[Row]:
    """One row per target and method, measured on TEST; seeds: in how many the target is defined and reached."""
    rows = []
    for target, found in at_target.items():
        for index, method in enumerate(sweep.methods):
            row: Row = {"target": target, "method": METHODS[method], "seeds": int((~np.isnan(found["old"][:, index])).sum())}
            for name in ("old", "forgetting", "parity", "parity_sampled", LAW):
                row |= _interval(name, student(found[name][:, index]))
            rows.append(row)
    return rows


def _order(sweep: Sweep, at_target: Mapping[float, Mapping[str, FloatArray]]) -> list[Row]:
    """One row per target and pair of neighbours in the paper's order: how much more of the old task the first has kept, paired by seed."""
    rows = []
    for target, found in at_target.items():
        for better, worse in itertools.pairwise(range(len(sweep.methods))):
            gap = found["old"][:, better] - found["old"][:, worse]
            interval = student(gap)
            verdict = "undecided" if not interval or interval.low <= 0 <= interval.high else "as in the paper" if interval.low > 0 else "against the paper"
            names = [METHODS[sweep.methods[index]] for index in (better, worse)]
            seeds = int((~np.isnan(gap)).sum())
            rows.append({"target": target, "better": names[0], "worse": names[1], "seeds": seeds, **_interval("gap", interval), "verdict": verdict})
    return rows


def _checkpoints(sweep: Sweep) -> list[Row]:
    """One row per checkpoint with what the figures show; the other predictors take a run anew, which gives the same."""
    rows = []
    for (seed, method, run, point), kl in np.ndenumerate(sweep.values[LAW]):
        values = {"parity": sweep.values["parity"], "old": sweep.values["old"], "forgetting": sweep.values["forgetting"]}
        rows.append(
            {
                "seed": sweep.seeds[seed],
                "method": sweep.methods[method],
                "learning_rate": _short(sweep.rates[run]),
                "schedule": sweep.schedules[run],
                "epochs": int(sweep.epochs[run]),
                "update": int(sweep.updates[run, point]),
                **{name: _short(value[seed, method, run, point]) for name, value in values.items()},
                "kl_forward": _short(kl),
            }
        )
    return rows


def _text(sweep: Sweep, law: Fit | None, tables: Mapping[str, Sequence[Row]]) -> str:
    seeds, methods, runs, points = sweep.values["old"].shape
    bases, rivals = tables["bases"], tables["rivals"]
    old, parity = ([base[name] for base in bases] for name in ("old", "parity"))
    lines = [
        "# Parity on images: what forgetting follows, and which methods forget",
        "",
        f"{seeds} bases, {methods} methods, {runs} runs of each on each base, {points} checkpoints a run: {seeds * methods * runs * points} points, all of them used.",
        f"The bases start at {min(parity):.3f} to {max(parity):.3f} at parity, the new task, and {min(old):.3f} to {max(old):.3f} at the old one, which no method sees again.",
        "Forgetting is the drop of accuracy at the old task. Every measure is on images that no network was trained on.",
        "",
        "## Forgetting against forward KL",
        "",
        *_law(sweep, law, rivals),
        "",
        *_table(("method", "largest forward KL, nats", "largest forgetting", "largest parity accuracy", "mean forgetting minus parabola"), [list(row.values()) for row in tables["methods"]]),
        "",
        "## Rivals",
        "",
        "R2 of a parabola over all points, its interval by a bootstrap over whole runs; forward KL's R2 minus the rival's on the same resamples; then means over",
        "bases with Student intervals: R2 where each method is predicted from the others, and both for a rising step function, which takes no side on the shape.",
        "",
        *_table(
            ("predictor", "inputs", "paper, R2", "R2, parabola", "forward KL leads by", "R2, unseen method", "R2, rising", "R2, rising, unseen method"),
            [[row["predictor"], row["inputs"], _number(row["paper_r2"], 2), *(_shown(row, name) for name in _R2)] for row in rivals],
        ),
        "",
        *_standing(rivals),
        "",
        "## What is retained at the same parity accuracy",
        "",
        "The checkpoint that retains most of those that reach the target, both on SELECT images; measured on TEST images; means over the bases where a checkpoint reaches it",
        "and the base was not there already, 95% Student intervals.",
        "",
        *_table(
            ("target", "method", "bases", "old-task accuracy", "forgetting", "parity accuracy", "parity accuracy, sampled", "forward KL, nats"),
            [[row["target"], row["method"], row["seeds"], *(_shown(row, name) for name in ("old", "forgetting", "parity", "parity_sampled", LAW))] for row in tables["matched"]],
        ),
        "",
        "Neighbours in the paper's order, the first retaining more there; differences of old-task accuracy paired by base. 1-0 REINFORCE is not in the paper's toy; in its",
        "language model it behaves like GRPO. The intervals are not corrected for their number.",
        "",
        *_table(
            ("target", "first", "second", "bases", "first minus second", "verdict"),
            [[row["target"], row["better"], row["worse"], row["seeds"], _shown(row, "gap"), row["verdict"]] for row in tables["order"]],
        ),
    ]
    return "\n".join(lines) + "\n"


_R2 = ("r2", "lead", "r2_unseen", "monotone_r2", "monotone_r2_unseen")


def _law(sweep: Sweep, law: Fit | None, rivals: Sequence[Row]) -> list[str]:
    """Say how well forward KL does."""
    if law is None:
        return ["Forward KL on the new task is not finite or does not vary: there is nothing to fit."]
    kl, forgetting = sweep.values[LAW], sweep.values["forgetting"]
    row = next(row for row in rivals if row["predictor"] == PREDICTORS["kl_forward"][0] and row["inputs"] == "new task")
    inside = kl <= PAPER_KL
    line = np.polynomial.Polynomial.fit(kl[inside], forgetting[inside], 2)
    within = 1 - np.square(forgetting[inside] - line(kl[inside])).sum() / np.square(forgetting[inside] - forgetting[inside].mean()).sum()
    turn = law.turning_point()
    shape = f"turns over at {turn:.1f} nats, the largest KL being {kl.max():.1f}" if turn is not None else "never turns over"
    return [
        f"A parabola has an R2 of {_shown(row, 'r2')} (paper: {row['paper_r2']}), and {shape}. Up to {PAPER_KL:g} nats, about the paper's range, which holds",
        f"{inside.mean():.1%} of the points, its R2 is {within:.3f}. Within a base, with each method predicted from the others, it is {_shown(row, 'r2_unseen')}.",
        f"A rising step function has {_shown(row, 'monotone_r2')} within a base, and {_shown(row, 'monotone_r2_unseen')} on methods that it has not seen.",
    ]


def _standing(rivals: Sequence[Row]) -> list[str]:
    """Say which rivals forward KL beats, by the intervals of the differences."""
    others = [row for row in rivals if row["lead"] != 0 and row["lead_low"] is not None]
    groups = {
        "beats": [row for row in others if row["lead_low"] > 0],
        "is beaten by": [row for row in others if row["lead_high"] < 0],
        "is not told from": [row for row in others if row["lead_low"] <= 0 <= row["lead_high"]],
    }
    named = {verb: "; ".join(f"{row['predictor']}" + f" ({row['inputs']})" * bool(row["inputs"]) for row in rows) for verb, rows in groups.items()}
    return [f"- By a parabola's R2, forward KL on the new task {verb} {len(groups[verb])} of {len(others)}: {names or 'none'}." for verb, names in named.items()]


def _interval(name: str, estimate: Estimate | None) -> Row:
    """Return an estimate as three plain values, None where it is undefined."""
    values = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
    return dict(zip((name, f"{name}_low", f"{name}_high"), (None if value is None else _short(value) for value in values), strict=True))


def _short(value: float | np.floating) -> float:
    """Return a value with four significant digits, which is more than is known of any."""
    return float(f"{value:.4g}")


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _shown(row: Row, name: str) -> str:
    if row[name] is None:
        return "undefined"
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(map(str, row)) + " |" for row in rows)]
