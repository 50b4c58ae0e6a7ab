"""Does learning from a binary reward end at the KL-minimal policy? The paper's theory (arXiv 2509.04259, section 5.2 and appendix A) on bandits.

Theorem A.3 reads policy gradient as alternating projections; proposition A.4 says that they end at the member of the family with J = 1 and the
smallest KL to the base. The study compares three updates with that member, with exact expectations: the alternating projections themselves, natural
gradient, and plain softmax gradient. `razorbench.studies.projection.bandits` has the mathematics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from razorbench.measures.success import wilson
from razorbench.reports.canvas import style
from razorbench.seeding import generator
from razorbench.statistics.verdicts import student
from razorbench.store.estimate import Estimate
from razorbench.studies.findings import Findings, Row, Say, cells
from razorbench.studies.projection import cases, figures
from razorbench.studies.projection.bandits import Bandits, kl, plain, total_variation
from razorbench.studies.projection.cases import EM, HEADS, LINEAR, NATURAL, PLAIN, TABULAR, WITH_R
from razorbench.studies.projection.report import report
from razorbench.studies.projection.settings import Settings
from razorbench.types import FloatArray


@dataclass(frozen=True)
class Group:
    """Bandits of one family and size. paths: each update's policies at the failures, (failures, N, Y), NaN if not reached."""

    family: str
    size: str
    bandits: Bandits
    paths: Mapping[str, FloatArray]

    def off(self, update: str) -> FloatArray:
        """Return the total variation between the policy, given that its answer is right, and the minimal member, (failures, N)."""
        return total_variation(self.bandits.i_step(self.paths[update]), self.bandits.minimal())

    def excess(self, update: str) -> FloatArray:
        """Return KL to the base of the policy given that its answer is right, minus that of the minimal member, (failures, N) nats."""
        return kl(self.bandits.i_step(self.paths[update]), self.bandits.base) - kl(self.bandits.minimal(), self.bandits.base)


@dataclass(frozen=True)
class Projection(Settings):
    """The study."""

    def run(self, say: Say) -> Findings:
        """Run the study; the same settings give the same findings."""
        groups = []
        for family, size, bandits in self._draw():
            say(f"{family}, {size}: {self.bandits} bandits")
            groups.append(Group(family, size, bandits, self._follow(bandits, self.failures)))
        say("what should hold exactly, and the worked bandits")
        tables = {
            "agreement": self._agreement(groups),
            "distance": [row for group in groups for row in self._distance(group)],
            "limit": [_limit(group) for group in groups if group.family == TABULAR],
            "ends": [self._same_end(group) for group in groups if group.family == HEADS],
            "worked": self._worked(),
            "rates": self._rates(),
        }
        with style({"axes.spines.top": True, "axes.spines.right": True}):
            pictures = {"paths": figures.paths(), "along": figures.along(tables["distance"]), "ends": figures.ends(tables["distance"])}
        return Findings(report(self, tables), tables, pictures)

    def _draw(self) -> list[tuple[str, str, Bandits]]:
        """Draw every family in every size, each from its own stream; the family with R has the same bandits as the linear one."""
        tabular = [(TABULAR, f"{n} answers", cases.heads(self._rng(TABULAR, n), self.bandits, 1, n, self.start)) for n in self.tabular]
        linear = [(f"{n} answers, {f} features", cases.linear(self._rng(LINEAR, n, f), self.bandits, n, f, self.start)) for n, f in self.linear]
        heads = [(HEADS, f"{d} heads of {k} values", cases.heads(self._rng(HEADS, d, k), self.bandits, d, k, self.start)) for d, k in self.heads]
        with_r = [(WITH_R, f"{size} and R", cases.with_reward(bandits)) for size, bandits in linear]
        return [*tabular, *with_r, *((LINEAR, size, bandits) for size, bandits in linear), *heads]

    def _rng(self, *names: object) -> np.random.Generator:
        return generator("projection", self.seed, *names)

    def _follow(self, bandits: Bandits, failures: Sequence[float]) -> dict[str, FloatArray]:
        """Return each update's policies at the failures, (len(failures), N, Y)."""
        return {
            EM: bandits.first(bandits.em(), failures, self.iterations)[0],
            NATURAL: bandits.flow(bandits.natural, failures),
            PLAIN: bandits.flow(plain, failures),
        }

    def _agreement(self, groups: list[Group]) -> list[Row]:
        """Return the largest violation of each theoretical statement over all bandits of its families."""
        spanned = [group for group in groups if group.family in (TABULAR, WITH_R)]
        closed = [group for group in groups if group.family != HEADS]
        ascents = [(group.bandits, group.bandits.ascent(group.bandits.natural, rate)) for group in spanned for rate in self.rates]
        walks = [(bandits, bandits.first(ascent, self.failures, self.iterations)[0]) for bandits, ascent in ascents]
        checks: list[tuple[str, list[Group], list[FloatArray]]] = [
            ("the I-step's KL to the base is -ln J (lemma A.1)", groups, [_i_step_gap(group.bandits) for group in groups]),
            ("the policy gradient is J times the gradient of the M-step's objective (lemma A.2)", groups, [_m_gradient_gap(group.bandits) for group in groups]),
            ("one M-step gives q*", closed, [total_variation(next(islice(group.bandits.em(), 1, None)), group.bandits.minimal()) for group in closed]),
            (
                "natural gradient, given a right answer, is q* at every J, in finite steps",
                spanned,
                [total_variation(bandits.i_step(walk), bandits.minimal()) for bandits, walk in walks],
            ),
            ("natural gradient, given a right answer, is q* at every J, in the limit of small steps", spanned, [group.off(NATURAL) for group in spanned]),
            (
                "natural gradient has the least KL that its J allows, in finite steps",
                spanned,
                [kl(walk, bandits.base) - bandits.least_kl(walk) for bandits, walk in walks],
            ),
        ]
        rows = []
        for statement, among, gaps in checks:
            largest = float(np.max([np.abs(gap).max() for gap in gaps]))
            families = "; ".join(dict.fromkeys(group.family for group in among))
            count = self.bandits * len(among)
            rows.append({"statement": statement, "families": families, "bandits": count, "largest": largest, "holds": largest <= self.tolerance})
        return rows

    def _distance(self, group: Group) -> list[Row]:
        """Return the distance of each update from the minimal member at each 1 - J, over the bandits on which it is reached."""
        rows: list[Row] = []
        for update in group.paths:
            for failure, off, excess in zip(self.failures, group.off(update), group.excess(update), strict=True):
                defined = ~np.isnan(off)
                near, reached = int((off[defined] <= self.near).sum()), int(defined.sum())
                row: Row = {"family": group.family, "size": group.size, "update": update, "failure": failure, "reached": reached}
                row |= (
                    cells("off", student(off[defined]))
                    | {"off_max": float(off[defined].max()) if reached else None}
                    | cells("excess_kl", student(excess[defined]))
                )
                rows.append(row | _proportion("near", near, reached))
        return rows

    def _same_end(self, group: Group) -> Row:
        """Return the share of bandits on which alternating projections and natural gradient end at the same policy."""
        apart = total_variation(group.paths[EM][-1], group.paths[NATURAL][-1])
        apart = apart[~np.isnan(apart)]
        same = int((apart <= self.near).sum())
        return {"family": group.family, "size": group.size, "bandits": len(apart)} | _proportion("same", same, len(apart))

    def _worked(self) -> list[Row]:
        """Return the KL to the base of each update at the last 1 - J and of the minimal member, on the bandits worked by hand."""
        worked = {"tabular": cases.worked_tabular(), "heads": cases.worked_heads(), "corners": cases.worked_corners()}
        rows = []
        for name, bandits in worked.items():
            ends = {update: float(kl(path[-1], bandits.base)[0]) for update, path in self._follow(bandits, self.failures[-1:]).items()}
            rows.append({"bandit": name, "minimal": float(kl(bandits.minimal(), bandits.base)[0]), **ends})
        return rows

    def _rates(self) -> list[Row]:
        """Return the first right answer's share of success on the worked tabular bandit, and the number of steps, at finite learning rates."""
        bandits = cases.worked_tabular()
        rows = []
        for update, way in ((NATURAL, bandits.natural), (PLAIN, plain)):
            for rate in self.rates:
                policies, steps = bandits.first(bandits.ascent(way, rate), self.rate_failures, self.rate_steps)
                for failure, policy, step in zip(self.rate_failures, bandits.i_step(policies)[:, 0], steps[:, 0], strict=True):
                    share = float(policy[0]) if step >= 0 else None
                    rows.append({"update": update, "rate": rate, "failure": failure, "steps": int(step) if step >= 0 else None, "share": share})
        return rows


def _i_step_gap(bandits: Bandits) -> FloatArray:
    return kl(bandits.i_step(bandits.base), bandits.base) + np.log(bandits.success(bandits.base))


def _m_gradient_gap(bandits: Bandits) -> FloatArray:
    m_gradient = bandits.moments(bandits.i_step(bandits.base)) - bandits.moments(bandits.base)
    return bandits.policy_gradient(bandits.base) - bandits.success(bandits.base)[:, None] * m_gradient


def _limit(group: Group) -> Row:
    """Return the excess KL over q* of softmax gradient as J tends to 1, nats: the likeliest right answer takes all."""
    base = group.bandits.base
    excess = np.log(group.bandits.success(base)) - np.log((base * group.bandits.right).max(axis=1))
    return {"family": group.family, "size": group.size} | cells("excess_kl", student(excess))


def _proportion(name: str, count: int, among: int) -> Row:
    """Return a share of bandits and its 95% Wilson interval; None where there is none to count."""
    return cells(name, Estimate(count / among, *wilson(count, among)) if among else None)
