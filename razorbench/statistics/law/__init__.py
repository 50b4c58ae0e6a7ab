"""The forgetting law: how well one measure of change predicts forgetting (RL's Razor, arXiv 2509.04259, section 4).

Three separate questions:

1. Does the paper's own protocol replicate? `paper.within_cells`: one fit per task and base.
2. Does a fit generalize to held-out runs, tasks and families? `laws`: `Law.r2`, `family_left_out`, `task_left_out`, each an `Estimate` whose 95% interval
   resamples tasks and arms, and `run_left_out`. `intervals` gives the intervals over runs, tasks, arms, and tasks and arms.
3. What is the ceiling? The same measures on old-task states, which are the mechanism itself: `finished_runs.CEILING`.

Every run has a total weight of 1. One curve fits every predictor, A (1 - exp(-(B K)^C)), which may start flat. With fewer than 3 tasks, 6 runs or
2 families, `Points.too_few` says so, and callers print that instead of a number.
"""

from razorbench.statistics.law.curves import Curve, Saturating
from razorbench.statistics.law.laws import Law, carried, intervals, law, laws
from razorbench.statistics.law.points import Points
from razorbench.statistics.law.resampling import OVER, RESAMPLES, resamples

__all__ = ["OVER", "RESAMPLES", "Curve", "Law", "Points", "Saturating", "carried", "intervals", "law", "laws", "resamples"]
