"""Rates of right and wrong verdicts of `razorbench.statistics.verdicts` in simulated studies: the table of docs/statistics.md.

`python docs/make/calibration.py` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from paths import DOCS
from readme import section

from razorbench.reports.tables import markdown
from razorbench.seeding import generator
from razorbench.statistics.comparison import QUANTITIES
from razorbench.statistics.verdicts import LESS, MORE, SAME, interval_ends, said
from razorbench.types import FloatArray

STUDIES = 20_000
TASKS = (6, 12, 18)
MARGIN = float(QUANTITIES["retention"].margin or 0)
CLEAR = 0.1
"""A true difference that a study should detect."""


@dataclass(frozen=True)
class Scenario:
    """Distribution of paired differences in retention. between: SD of tasks' true differences; within: SD of a seed's difference; seeds: number per task.

    bracket: mean width of the bracket around a difference; widths are exponential, and the truth is uniform inside. shape: tasks' differences to draw from,
    scaled to `between`; empty for a normal distribution.
    """

    name: str
    between: float
    within: float
    bracket: float = 0.0
    shape: Sequence[float] = ()
    seeds: int = 4

    def study(self, truth: float, tasks: int, studies: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return the low and high ends of tasks' mean differences, (studies, tasks) each, in studies whose true mean difference is `truth`."""
        if self.shape:
            centred = np.array(self.shape) - np.mean(self.shape)
            effects = rng.choice(centred / centred.std(), (studies, tasks))
        else:
            effects = rng.normal(size=(studies, tasks))
        values = truth + self.between * effects[..., None] + self.within * rng.normal(size=(studies, tasks, self.seeds))
        width = rng.exponential(1.0, values.shape) * self.bracket
        low = values - rng.random(values.shape) * width
        return low.mean(axis=-1), (low + width).mean(axis=-1)


_MEASURED = (-0.03, -0.017, -0.005, 0.0, 0.0, 0.012, 0.024, 0.14, 0.15, 0.155, 0.165, 0.367)
"""Differences in retention, `ppo` - `sft` at best, of the twelve tasks."""
SCENARIOS = (
    Scenario("as `sft_recall` - `ppo` at best", 0.008, 0.032),
    Scenario("as `ppo` - `sft` at best", 0.112, 0.076),
    Scenario("the same, tasks drawn from those measured", 0.112, 0.076, shape=_MEASURED),
    Scenario("as `ppo` - `sft/2` at best", 0.198, 0.196),
    Scenario("as `ppo` - `sft/2` at 0.9, with brackets", 0.191, 0.130, bracket=0.046),
)
"""Spreads as measured on base `mlp` over twelve tasks."""


@dataclass(frozen=True)
class Rates:
    """Shares of studies. covers: the 95% interval contains the truth, at a true difference of 0; the others: shares of a verdict.

    false_more, false_less, same: at a true difference of 0; false_same: at the margin; more: at .1.
    """

    covers: float
    false_more: float
    false_less: float
    false_same: float
    same: float
    more: float


def rates(scenario: Scenario, tasks: int, studies: int = STUDIES) -> Rates:
    """Simulate studies with a number of tasks and return the rates."""
    rng = generator("calibration", scenario.name, tasks)
    none, margin, clear = (scenario.study(truth, tasks, studies, rng) for truth in (0.0, MARGIN, CLEAR))
    lower, upper = interval_ends(*none, 0.95)
    at_none, at_margin, at_clear = (said(*ends, MARGIN) for ends in (none, margin, clear))
    verdicts = [(lower <= 0) & (upper >= 0), at_none[MORE], at_none[LESS], at_margin[SAME], at_none[SAME], at_clear[MORE]]
    return Rates(*(float(given.mean()) for given in verdicts))


def table() -> str:
    """Return every scenario's rates as Markdown."""
    head = ("spread of differences", "tasks", "95% interval covers", "false *more*", "false *less*", "false *same*", "*same* at 0", f"*more* at {CLEAR:g}")
    rows = list[tuple[str, ...]]()
    worst = 0.0
    for scenario in SCENARIOS:
        for tasks in TASKS:
            shares = astuple(rates(scenario, tasks))
            worst = max(worst, *(float(np.sqrt(share * (1 - share) / STUDIES)) for share in shares))
            rows.append((scenario.name, str(tasks), *(f"{100 * share:.1f}%" for share in shares)))
    return "\n".join([markdown(head, rows), "", f"{STUDIES:,} studies per row; the Monte Carlo standard error is at most {100 * worst:.2f} points."])


def main() -> None:
    """Write the table into docs/statistics.md."""
    page = DOCS / "statistics.md"
    page.write_text(section(page.read_text(encoding="utf-8"), "calibration", table()), encoding="utf-8")


if __name__ == "__main__":
    main()
