"""The measures of a sequence, on an example worked by hand."""

import numpy as np
import pytest

from razorbench.measures import transfer

BASE = [0.10, 0.15, 0.05]
AFTER = [[0.90, 0.20, 0.10], [0.70, 0.80, 0.30], [0.60, 0.75, 0.85]]
SUCCESS = np.array([BASE, *AFTER])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("average_performance", (0.60 + 0.75 + 0.85) / 3),
        ("forgetting", (0.30 + 0.05) / 2),
        ("backward_transfer", (-0.30 - 0.05) / 2),
        ("forward_transfer", (0.05 + 0.25) / 2),
        ("negative_backward_transfer", (0.25 + 0.05) / 2),
    ],
)
def test_worked_example(name, value):
    assert transfer.MEASURES[name](SUCCESS) == pytest.approx(value)
    stacked = transfer.MEASURES[name](np.stack([SUCCESS, SUCCESS]))
    assert stacked == pytest.approx([value, value])


def test_forgetting_takes_the_best_before_the_last_stage_even_from_before_a_tasks_own_training():
    changed = SUCCESS.copy()
    changed[1, 1] = 0.9
    assert transfer.forgetting(changed) == pytest.approx((0.30 + 0.15) / 2)


def test_one_task_has_no_transfer():
    single = np.array([[0.1], [0.9]])
    assert transfer.average_performance(single) == pytest.approx(0.9)
    for name in ("forgetting", "backward_transfer", "forward_transfer", "negative_backward_transfer"):
        assert transfer.MEASURES[name](single) is None


def test_areas_and_forward_transfer_auc():
    even = [0, 1 / 3, 2 / 3, 1]
    inside, alone = transfer.area(even, [0, 0.4, 0.8, 0.8]), transfer.area(even, [0, 0.2, 0.4, 0.6])
    assert (inside, alone) == pytest.approx((0.533333, 0.3), abs=1e-6)
    assert transfer.area(even, np.array([[0, 0.4, 0.8, 0.8], [1, 1, 1, 1]])) == pytest.approx([0.533333, 1.0], abs=1e-6)
    assert transfer.forward_transfer_auc(inside, alone) == pytest.approx(0.333333, abs=1e-6)
    assert transfer.forward_transfer_auc(0.9, 1.0) is None
    assert transfer.area([0], np.array([[0.7], [0.2]])) == pytest.approx([0.7, 0.2])
    rng = np.random.default_rng(0)
    estimate = transfer.forward_transfer_auc_estimate([(np.full(9, inside), np.full(9, alone)), (np.full(9, 0.5), np.full(9, 0.5))], rng)
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((0.333333 / 2,) * 3, abs=1e-6)
    assert transfer.forward_transfer_auc_estimate([(np.ones(9), np.ones(9))], rng) is None
    # Snapshots that crowd at the start do not count more.
    assert transfer.area([0, 0.1, 0.2, 1], [0, 0, 0, 1]) == pytest.approx(0.4)


def test_intervals_hold_the_value_and_shrink_with_episodes():
    rng = np.random.default_rng(0)
    outcomes = rng.random((4, 3, 400)) < SUCCESS[:, :, None]
    few, many = transfer.estimates(outcomes[:, :, :25], rng), transfer.estimates(outcomes, rng)
    for name, estimate in many.items():
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.high - estimate.low < few[name].high - few[name].low


def test_certain_outcomes_have_no_width():
    outcomes = np.ones((3, 2, 10), dtype=bool)
    assert all(estimate.low == estimate.value == estimate.high for estimate in transfer.estimates(outcomes, np.random.default_rng(0)).values())


def test_a_stage_keeps_its_starts_when_episodes_are_resampled():
    """The same half of the starts fails before and after: success never changed, so backward transfer is 0 in every resample."""
    half = np.arange(20) < 10
    outcomes = np.broadcast_to(half, (3, 2, 20))
    estimate = transfer.estimates(outcomes, np.random.default_rng(0))["backward_transfer"]
    assert (estimate.low, estimate.value, estimate.high) == (0.0, 0.0, 0.0)


def test_without_pairs_each_stage_is_resampled_apart():
    """Two independent rates of .5 over 20 episodes: their difference has a standard deviation of (2 * .25 / 20) ** .5 = .158."""
    half = np.arange(20) < 10
    estimate = transfer.estimates(np.broadcast_to(half, (3, 2, 20)), np.random.default_rng(0), paired=False)["backward_transfer"]
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((-1.96 * 0.158, 0.0, 1.96 * 0.158), abs=0.05)
    areas = [(half.astype(float), half.astype(float))]
    paired, apart = (transfer.forward_transfer_auc_estimate(areas, np.random.default_rng(0), paired=paired) for paired in (True, False))
    assert (paired.low, paired.high) == (0.0, 0.0)
    assert apart.low < -0.2 and apart.value == 0.0 and apart.high > 0.2
