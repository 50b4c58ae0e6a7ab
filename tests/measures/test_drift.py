"""Weight and activation drift against hand-worked numbers and the policies of the suite."""

import numpy as np
import pytest
from conftest import task
from scipy.stats import ortho_group

from razorbench.measures.drift import DriftRuler, activation_drift, cknna, entropy_rank, linear_cka, weight_drift
from razorbench.policy.network import actor_parameters, clone, hidden

X = np.array([[2, 0], [1.5, 0.5], [0, 2], [-0.5, 1.5], [-2, -1], [-1.2, -1.6]])
Y = np.array([[2.1, 0.2], [1.2, 0.9], [0.3, 1.8], [-0.9, 1.2], [-1.6, -1.3], [1, -1.7]])


def test_weights_by_hand():
    found = weight_drift([np.array([[0.3, 0.0], [0.0, 0.4]])], [np.array([[1.0, 2.0], [3.0, 4.0]])])
    assert found == pytest.approx({"l1": 0.175, "l2": 0.5, "fisher": 0.73, "spectral": 0.4, "changed": 0.5, "rank": 1.979626}, abs=1e-6)
    assert entropy_rank(np.array([2.0, 0.0])) == 1.0
    assert entropy_rank(np.ones(3)) == pytest.approx(3.0)


def test_no_change_has_no_rank():
    still = weight_drift([np.zeros((2, 2)), np.zeros(2)], [np.ones((2, 2)), np.ones(2)])
    assert still == {"l1": 0.0, "l2": 0.0, "fisher": 0.0, "spectral": 0.0, "changed": 0.0, "rank": None}


def test_cka_by_hand_and_its_invariances():
    x, y = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -2]]), np.array([[1.0, 1], [0, 1], [-1, 0], [1, -2]])
    assert linear_cka(x, y) == pytest.approx(0.950380, abs=1e-6)
    assert linear_cka(X, Y) == pytest.approx(0.878621, abs=1e-6)
    turn = ortho_group.rvs(2, random_state=0)
    assert linear_cka(3.0 * X @ turn + 1.0, Y) == pytest.approx(0.878621, abs=1e-6)
    assert linear_cka(X, X) == pytest.approx(1.0)
    assert linear_cka(X, np.ones_like(X)) is None


@pytest.mark.parametrize(("k", "value"), [(2, 0.905995), (3, 0.826826), (5, 0.827691)])
def test_cknna_by_hand(k, value):
    assert cknna(X, Y, k) == pytest.approx(value, abs=1e-6)
    assert cknna(X, X, k) == pytest.approx(1.0)


def test_cknna_without_a_pair_is_undefined():
    """One neighbour each; in x the mutual pairs are 0-1 and 2-3, in y they are 0-2 and 1-3."""
    x, y = np.array([[3.0, 0], [2.9, 0.1], [-3, 0], [-2.9, -0.1]]), np.array([[3.0, 0], [-3, 0], [2.9, 0.1], [-2.9, -0.1]])
    assert cknna(x, y, 1) is None


def test_activations_by_hand():
    before, after = [np.array([[0.0, 1.0], [1.0, 0.0]])], [np.array([[0.0, 1.0], [1.0, 3.0]])]
    found = activation_drift(before, after)
    assert found["l1"] == pytest.approx(0.75)
    assert found["l2"] == pytest.approx(1.5)


def test_the_base_has_not_moved_and_a_moved_policy_has(base):
    ruler = DriftRuler(base.policy, base.probes, task("pick_place"), base.skills)
    still = ruler.measure(base.policy)
    assert {still.weights[key] for key in ("l1", "l2", "fisher", "spectral", "changed")} == {0.0}
    for values in still.activations.values():
        assert values == pytest.approx({"l1": 0.0, "l2": 0.0, "cka": 1.0, "cknna": 1.0})
    tuned = clone(base.policy)
    first = actor_parameters(tuned)[1]
    assert first.ndim == 2
    first.data *= 1.1
    moved = ruler.measure(tuned)
    assert moved.weights["l2"] == pytest.approx(0.1 * float(actor_parameters(base.policy)[1].detach().norm()), rel=1e-5)
    assert moved.weights["fisher"] > 0
    for values in moved.activations.values():
        assert values["l1"] > 0
        assert 0.5 < values["cka"] < 1.0
    assert [layer.shape[1] for layer in hidden(tuned, base.probes["reach"].states)] == list(base.card["architecture"]["actor"])


def test_new_and_original_are_where_they_say(base):
    """Weights of an instruction column move only what is asked by that instruction, and are worth only what old skills ask by it."""
    new, ruler = task("pick_place"), DriftRuler(base.policy, base.probes, task("pick_place"), base.skills)

    def moved(slot):
        tuned = clone(base.policy)
        actor_parameters(tuned)[1].data[:, new.world.instruction.start + slot] += 0.1
        return ruler.measure(tuned)

    old, own = moved(task("reach").slot), moved(new.slot)
    assert old.activations["new"]["l1"] == 0.0 < old.activations["original"]["l1"]
    assert own.activations["original"]["l1"] == 0.0 < own.activations["new"]["l1"]
    assert own.weights["fisher"] == 0.0 < old.weights["fisher"]
    assert own.weights["l2"] == pytest.approx(old.weights["l2"])
