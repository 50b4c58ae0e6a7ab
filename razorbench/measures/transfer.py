"""Transfer and forgetting in a sequence of tasks: pure functions of its success matrix.

success: (..., T + 1, T), success on task j (column) after training on task i (row); row 0 is the base. The formulas write R[i, j] with tasks counted
from 1, and b_j = R[0, j]. Each function returns (...,), or None if the measure is undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from razorbench.measures.success import RESAMPLES, percentile
from razorbench.store.estimate import Estimate
from razorbench.types import BoolArray, FloatArray


def average_performance(success: FloatArray) -> FloatArray:
    """Return 1/T sum_j R[T, j], the final success (ACC of Lopez-Paz and Ranzato 2017)."""
    return success[..., -1, :].mean(axis=-1)


def forgetting(success: FloatArray) -> FloatArray | None:
    """Return mean_{j < T} (max_{1 <= l < T} R[l, j] - R[T, j]) (Chaudhry et al. 2018); the last task cannot be forgotten yet."""
    if success.shape[-1] < 2:
        return None
    return (success[..., 1:-1, :-1].max(axis=-2) - success[..., -1, :-1]).mean(axis=-1)


def backward_transfer(success: FloatArray) -> FloatArray | None:
    """Return 1/(T-1) sum_{j < T} (R[T, j] - R[j, j]) (BWT of Lopez-Paz and Ranzato 2017)."""
    if success.shape[-1] < 2:
        return None
    return (success[..., -1, :-1] - _after_own_training(success)[..., :-1]).mean(axis=-1)


def forward_transfer(success: FloatArray) -> FloatArray | None:
    """Return 1/(T-1) sum_{j >= 2} (R[j-1, j] - b_j) (FWT of Lopez-Paz and Ranzato 2017): a task's gain from earlier tasks, before it is trained."""
    if success.shape[-1] < 2:
        return None
    untrained = np.diagonal(success[..., :-1, :], axis1=-2, axis2=-1)
    return (untrained - success[..., 0, :])[..., 1:].mean(axis=-1)


def negative_backward_transfer(success: FloatArray) -> FloatArray | None:
    """Return the mean over k < T of NBT_k = 1/(T-k) sum_{t > k} (R[k, k] - R[t, k]); lower is better (LIBERO 2023; some papers divide by T)."""
    tasks = success.shape[-1]
    if tasks < 2:
        return None
    own = _after_own_training(success)
    losses = [own[..., k] - success[..., k + 2 :, k].mean(axis=-1) for k in range(tasks - 1)]
    return np.mean(losses, axis=0)


MEASURES: Mapping[str, Callable[[FloatArray], FloatArray | None]] = {
    "average_performance": average_performance,
    "forgetting": forgetting,
    "backward_transfer": backward_transfer,
    "forward_transfer": forward_transfer,
    "negative_backward_transfer": negative_backward_transfer,
}


def estimates(outcomes: BoolArray, rng: np.random.Generator, *, paired: bool = True) -> dict[str, Estimate | None]:
    """Return every measure with its 95% interval, by bootstrap over starts, the same resample at every stage.

    outcomes: (T + 1, T, E), success on the same E starts per task. The interval describes this one sequence of policies. paired: whether a start has one
    episode of each policy; without that, the episodes of each stage are resampled apart.
    """
    _, tasks, episodes = outcomes.shape
    resampled = np.empty((RESAMPLES, tasks + 1, tasks))
    for j in range(tasks):
        if not paired:
            resampled[:, :, j] = rng.binomial(episodes, outcomes[:, j].mean(axis=-1), (RESAMPLES, tasks + 1)) / episodes
            continue
        counts = rng.multinomial(episodes, np.full(episodes, 1 / episodes), RESAMPLES)
        resampled[:, :, j] = counts @ outcomes[:, j].T.astype(float) / episodes
    values = outcomes.mean(axis=-1)
    by_name: dict[str, Estimate | None] = {}
    for name, measure in MEASURES.items():
        value, spread = measure(values), measure(resampled)
        by_name[name] = None if value is None or spread is None else Estimate(float(value), *percentile(spread))
    return by_name


def area(progress: Sequence[float], success: FloatArray) -> FloatArray:
    """Return the mean success during training on a task, by the trapezoidal rule over the share of its updates, (...,).

    progress: (P,), from 0 to 1, or just 0 if the method makes no update; success: (..., P).
    """
    return success[..., 0] if len(progress) == 1 else np.asarray(np.trapezoid(success, progress, axis=-1))


def forward_transfer_auc(area_in_sequence: FloatArray, area_alone: FloatArray) -> FloatArray | None:
    """Return (AUC - AUC_alone) / (1 - AUC_alone), (...,) (Continual World 2021, there relative to training from scratch, here from the base).

    area_in_sequence, area_alone: (...,). None if AUC_alone is 1: nothing could be gained.
    """
    return None if np.any(area_alone >= 1.0) else (area_in_sequence - area_alone) / (1.0 - area_alone)


def forward_transfer_auc_estimate(areas: Sequence[tuple[FloatArray, FloatArray]], rng: np.random.Generator, *, paired: bool = True) -> Estimate | None:
    """Return the mean forward transfer over tasks with its 95% interval, by bootstrap over starts.

    areas: in sequence and alone, (E,) each, per task. paired: as in `estimates`; without that, the starts of both are resampled apart.
    """

    def resamples(episodes: int) -> FloatArray:
        return rng.multinomial(episodes, np.full(episodes, 1 / episodes), RESAMPLES) / episodes

    values: list[FloatArray] = []
    resampled: list[FloatArray] = []
    for inside, alone in areas:
        shares = resamples(len(inside))
        shares_alone = shares if paired else resamples(len(alone))
        value = forward_transfer_auc(np.asarray(inside.mean()), np.asarray(alone.mean()))
        # A resample in which nothing could be gained takes the largest finite loss.
        spread = forward_transfer_auc(shares @ inside, np.minimum(shares_alone @ alone, 1 - 1e-9))
        if value is None or spread is None:
            return None
        values.append(value)
        resampled.append(spread)
    return Estimate(float(np.mean(values)), *percentile(np.mean(resampled, axis=0))) if values else None


def _after_own_training(success: FloatArray) -> FloatArray:
    """Return R[j, j], (..., T)."""
    return np.diagonal(success[..., 1:, :], axis1=-2, axis2=-1)
