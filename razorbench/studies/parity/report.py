"""Report of the parity study: tables of plain values, and a text with their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from razorbench.reports.tables import markdown
from razorbench.seeding import generator
from razorbench.store.estimate import Estimate
from razorbench.studies.findings import Findings, Row, cells, shown
from razorbench.studies.parity.figures import figures
from razorbench.studies.parity.law import Fit, Sweep, between, fit, matched, over_bases, resamples
from razorbench.studies.parity.measures import DIVERGENCES, PREDICTORS
from razorbench.studies.parity.methods import METHODS
from razorbench.types import FloatArray

LAW = "kl_forward_new"
CEILINGS = 4
"""Number of highest learning rates under which the fits are repeated, from the sweep's highest down: fits depend on how far the runs move."""
PAIRS = (("oracle", "grpo_kl"), ("grpo_kl", "grpo"), ("grpo", "sft_2"), ("sft_2", "sft_1"), ("reinforce", "sft_2"))
"""Neighbors in the paper's order, the first retains more; and its claim that on-policy data suffice without negatives (section 5.1)."""
_INPUTS = {"_new": "new task", "_old": "old task", "": ""}


def findings(sweep: Sweep, targets: Sequence[float]) -> Findings:
    """Return text, tables and figures of a sweep."""
    seeds, methods, runs, _ = sweep.values["old"].shape
    counts = resamples(seeds, methods, runs, generator("parity", "resamples"))
    predictors = [name + suffix for name, suffix in itertools.product(PREDICTORS, _INPUTS) if name + suffix in sweep.values]
    fits = {name: fit(sweep.values[name], sweep.values["forgetting"], counts) for name in predictors}
    at_target = {target: matched(sweep, target) for target in targets}
    tables = {
        "bases": _bases(sweep),
        "rivals": _rivals(fits),
        "ceilings": _ceilings(sweep),
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
    """Return a row per predictor and set of inputs. lead: the law's R2 minus the predictor's, on the same resamples and bases."""
    rows, law = [], fits[LAW]
    for (name, (title, paper)), (suffix, inputs) in itertools.product(PREDICTORS.items(), _INPUTS.items()):
        if name + suffix not in fits:
            continue
        row: Row = {"predictor": title, "inputs": inputs, "paper_r2": paper if suffix != "_old" else None}
        predictor = fits[name + suffix]
        estimates: dict[str, Estimate | None] = dict.fromkeys(("r2", "lead", "r2_unseen", "rising_r2", "rising_lead", "rising_r2_unseen"))
        if predictor and law:
            estimates["r2"] = predictor.r2
            estimates["lead"] = between(law.r2.value - predictor.r2.value, law.draws - predictor.draws)
            estimates["r2_unseen"] = over_bases(predictor.parabola_unseen)
            estimates["rising_r2"] = over_bases(predictor.monotone)
            estimates["rising_lead"] = over_bases(law.monotone - predictor.monotone)
            estimates["rising_r2_unseen"] = over_bases(predictor.monotone_unseen)
        rows.append(row | {key: value for part in estimates.items() for key, value in _short_cells(*part).items()})
    return rows


def _ceilings(sweep: Sweep) -> list[Row]:
    """Return a row per highest learning rate: R2 of a parabola in each divergence on the new task, over the runs up to that rate."""
    rates, rows = np.unique(sweep.rates), []
    for ceiling in rates[:: -max(1, len(rates) // CEILINGS)][:CEILINGS]:
        below = sweep.rates <= ceiling
        part = {f"{name}_new": sweep.values[f"{name}_new"][:, :, below] for name in DIVERGENCES}
        forgetting = sweep.values["forgetting"][:, :, below]
        counts = resamples(len(sweep.seeds), len(sweep.methods), int(below.sum()), generator("parity", "resamples", "ceilings"))
        row: Row = {"highest_rate": _short(ceiling), "largest_kl": _short(part[LAW].max()), "largest_forgetting": _short(forgetting.max())}
        for name, x in part.items():
            parabola = fit(x, forgetting, counts)
            row |= _short_cells(name, parabola.r2 if parabola else None)
        rows.append(row)
    return rows


def _methods(sweep: Sweep, law: Fit | None) -> list[Row]:
    """Return a row per method: its largest forward KL, forgetting and parity accuracy, and its mean residual from the parabola."""
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
    """Return a row per target and method, measured on TEST. seeds: number of seeds in which the target is defined and reached."""
    rows = []
    for target, values in at_target.items():
        for index, method in enumerate(sweep.methods):
            row: Row = {"target": target, "method": METHODS[method], "seeds": int((~np.isnan(values["old"][:, index])).sum())}
            for name in ("old", "forgetting", "parity", "parity_sampled", LAW):
                row |= _short_cells(name, over_bases(values[name][:, index]))
            rows.append(row)
    return rows


def _order(sweep: Sweep, at_target: Mapping[float, Mapping[str, FloatArray]]) -> list[Row]:
    """Return a row per target and pair: old-task accuracy of the first minus that of the second, paired by base."""
    rows = []
    for (target, values), pair in itertools.product(at_target.items(), PAIRS):
        better, worse = (values["old"][:, sweep.methods.index(method)] for method in pair)
        interval = over_bases(better - worse)
        verdict = "undecided" if not interval or interval.low <= 0 <= interval.high else "as in the paper" if interval.low > 0 else "against the paper"
        row: Row = {"target": target, "first": METHODS[pair[0]], "second": METHODS[pair[1]], "seeds": int((~np.isnan(better - worse)).sum())}
        rows.append(row | _short_cells("gap", interval) | {"verdict": verdict})
    return rows


def _checkpoints(sweep: Sweep) -> list[Row]:
    """Return a row per checkpoint with the data of the figures; for other predictors, repeat the study, which is deterministic."""
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
    rivals = tables["rivals"]
    parity, old = ([base[name] for base in tables["bases"]] for name in ("parity", "old"))
    parts = [
        "# Parity on images: what predicts forgetting, and which methods forget",
        f"{seeds} bases, {methods} methods, {runs} runs per method and base, {points} checkpoints per run: {seeds * methods * runs * points} points, all used. "
        f"The bases start with an accuracy of {min(parity):.3f} to {max(parity):.3f} on parity, the new task, and {min(old):.3f} to {max(old):.3f} on the old "
        "task, which gets no further training. Forgetting is the drop in old-task accuracy. All measures use images outside every network's training data.",
        "## Forgetting against forward KL",
        _law(sweep, law, rivals),
        "![Old-task accuracy at each parity accuracy, and forgetting against forward KL](tradeoff.png)",
        markdown(
            ("method", "largest forward KL, nats", "largest forgetting", "largest parity accuracy", "mean of forgetting minus parabola"),
            [[row["method"], *(_number(value) for value in list(row.values())[1:])] for row in tables["methods"]],
        ),
        "## Rivals",
        "R2 of a parabola is over all points, with a bootstrap interval over whole runs. A rising step function assumes no shape: its R2 is within a base, "
        "first in-sample and then on held-out methods, as means over bases with Student intervals. Leads are R2 of forward KL on the new task minus R2 of the "
        "rival, on the same resamples and in the same bases. Fisher information is on old-task inputs, as in the paper.",
        markdown(
            ("predictor", "inputs", "R2 in the paper", "R2, parabola", "lead", "R2, rising", "lead", "R2, rising, held-out method"),
            [[row["predictor"], row["inputs"], _number(row["paper_r2"], 2), *(shown(row, name) for name in _COLUMNS)] for row in rivals],
        ),
        "![R2 of every predictor, here and in the paper](rivals.png)",
        _standing("With a parabola", "lead", rivals),
        _standing("With a rising step function", "rising_lead", rivals),
        "R2 of a parabola over only the runs up to a highest learning rate, with a bootstrap interval over runs.",
        markdown(
            ("highest learning rate", "largest forward KL, nats", *(f"R2, {PREDICTORS[name][0]}" for name in DIVERGENCES)),
            [[f"{row['highest_rate']:.1e}", _number(row["largest_kl"]), *(shown(row, f"{name}_new") for name in DIVERGENCES)] for row in tables["ceilings"]],
        ),
        "## Retention at the same parity accuracy",
        "Among the checkpoints that reach the target on SELECT images, we take the one with the highest SELECT old-task accuracy and measure it on TEST "
        "images. Values are means with Student intervals over the bases in which a checkpoint reaches the target and the base does not reach it already.",
        markdown(
            ("target", "method", "bases", "old-task accuracy", "forgetting", "parity accuracy", "parity accuracy, sampled", "forward KL, nats"),
            [[row["target"], row["method"], row["seeds"], *(shown(row, name) for name in _MATCHED)] for row in tables["matched"]],
        ),
        "![Old-task accuracy at the same parity accuracy](matched.png)",
        "Old-task accuracy of the first method minus that of the second, paired by base; the paper finds positive differences. The intervals are not corrected "
        "for multiple comparisons.",
        markdown(
            ("target", "first", "second", "bases", "first minus second", "verdict"),
            [[*list(row.values())[:4], shown(row, "gap"), row["verdict"]] for row in tables["order"]],
        ),
    ]
    return "\n\n".join(parts) + "\n"


_COLUMNS = ("r2", "lead", "rising_r2", "rising_lead", "rising_r2_unseen")
_MATCHED = ("old", "forgetting", "parity", "parity_sampled", LAW)


def _law(sweep: Sweep, law: Fit | None, rivals: Sequence[Row]) -> str:
    """Return the sentences on forward KL."""
    if law is None:
        return "Forward KL on the new task is not finite or does not vary: there is nothing to fit."
    largest = sweep.values[LAW].max()
    row = next(row for row in rivals if _is_law(row))
    turn = law.turning_point()
    shape = f"turns over at {turn:.1f} nats, while the largest KL is {largest:.1f}" if turn is not None else "does not turn over"
    return (
        f"A parabola has an R2 of {shown(row, 'r2')} (paper: {row['paper_r2']}) and {shape}. Within a base, on held-out methods, it "
        f"has {shown(row, 'r2_unseen')}. A rising step function has {shown(row, 'rising_r2')} within a base, and {shown(row, 'rising_r2_unseen')} on "
        "held-out methods."
    )


def _standing(measure: str, lead: str, rivals: Sequence[Row]) -> str:
    """Return the rivals that forward KL on the new task is ahead of, behind, or undecided against, by the intervals of its leads."""
    others = [row for row in rivals if row["lead"] is not None and not _is_law(row)]
    groups = {
        "is ahead of": [row for row in others if row[f"{lead}_low"] > 0],
        "is behind": [row for row in others if row[f"{lead}_high"] < 0],
        "cannot be distinguished from": [row for row in others if row[f"{lead}_low"] <= 0 <= row[f"{lead}_high"]],
    }
    named = {verb: "; ".join(row["predictor"] + (f" ({row['inputs']})" if row["inputs"] else "") for row in rows) for verb, rows in groups.items()}
    lines = [f"- it {verb} {len(groups[verb])}: {names or 'none'}" for verb, names in named.items()]
    return "\n".join([f"{measure}, forward KL on the new task compares with {len(others)} rivals:", "", *lines])


def _is_law(row: Row) -> bool:
    return (row["predictor"], row["inputs"]) == (PREDICTORS["kl_forward"][0], "new task")


def _short_cells(name: str, estimate: Estimate | None) -> Row:
    return {key: None if value is None else _short(value) for key, value in cells(name, estimate).items()}


def _short(value: Any) -> float:
    """Return a number with four significant digits, more than any is known to."""
    return float(f"{float(value):.4g}")


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"
