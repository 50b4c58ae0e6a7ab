from dataclasses import replace

import numpy as np
import pytest
from conftest import SKILLS, TASKS, task

from razorbench.errors import FileDamaged, UsageError
from razorbench.measures import probe_states
from razorbench.measures.divergence import action_mse
from razorbench.policy.network import actor_parameters, clone, distribution
from razorbench.task import other_slots


@pytest.fixture(scope="module")
def ruler(base):
    return probe_states.Ruler(base.policy, base.probes, task("pick_place"), base.skills)


@pytest.fixture(scope="module")
def moved(base):
    tuned = clone(base.policy)
    tuned.action_net.bias.data += 0.1
    tuned.log_std.data += 0.2
    return tuned


def test_probe_states_belong_to_their_task(base):
    assert {*SKILLS} <= set(base.probes) <= {*SKILLS, *TASKS}
    for name, states in base.probes.items():
        assert 256 <= len(states.states) <= probe_states.STATES
        assert len(np.unique(states.states, axis=0)) == len(states.states)
        assert (states.states[:, 40 + task(name).slot] == 1).all()
        assert 3 < states.episode_length <= task(name).horizon
        assert np.array_equal(states.states, states.states.astype(np.float16))


def test_drawing_again_gives_the_shipped_states(base):
    again = probe_states.draw(base.policy, [task("reach")], base.id)["reach"]
    shipped = base.probes["reach"].states
    # Bit-equal on one platform; on others an episode may end a decision sooner or later.
    assert len(again.states) == pytest.approx(len(shipped), rel=0.05)
    assert np.abs(again.states.mean(axis=0) - shipped.mean(axis=0)).max() < 0.05


def test_a_policy_is_at_no_distance_from_itself(base, ruler):
    for values in ruler.measure(base.policy, base.probes["pick_place"].states).values():
        assert values == dict.fromkeys(values, 0.0)


def test_values_are_those_of_the_states(base, ruler, moved):
    states = base.probes["pick_place"].states
    p, q = distribution(base.policy, states), distribution(moved, states)
    measured = ruler.measure(moved, states[:100])
    assert measured["kl_forward"]["new"] == pytest.approx(p.kl(q).mean())
    assert measured["kl_reverse"]["new"] == pytest.approx(q.kl(p).mean())
    assert measured["action_mse"]["new"] == pytest.approx(action_mse(p, q).mean()) == pytest.approx(0.01, rel=1e-4)
    assert measured["w2"]["new"] == pytest.approx(np.sqrt(p.w2_squared(q).mean()))
    assert measured["tv"]["new"] ** 2 / 2 < measured["js"]["new"] < measured["tv"]["new"] * np.log(2)
    assert {frozenset(values) for name, values in measured.items() if name != "kl_forward"} == {
        frozenset({"new", "new_instructed", "random", "original", "new_tuned_states"})
    }
    # A shift of the mean by d and of log-std by g is the same at every state.
    scale = np.exp(base.policy.log_std.detach().numpy().astype(float))
    by_hand = (0.01 / (2 * (scale * np.exp(0.2)) ** 2) + 0.2 + np.exp(-0.4) / 2 - 0.5).sum()
    for key in ("new", "new_instructed", "random", "original", "new_tuned_states"):
        assert measured["kl_forward"][key] == pytest.approx(by_hand, rel=1e-4)
    assert measured["kl_forward"]["new_episode_sum"] == pytest.approx(by_hand * base.probes["pick_place"].episode_length, rel=1e-4)


def test_episode_sum_is_the_sum_over_whole_episodes(base):
    """Over all decisions the identity is exact; 1024 of them estimate it."""
    tuned = clone(base.policy)
    tuned.action_net.weight.data *= 1.05
    played = probe_states.visited(base.policy, [task("pick_place")])[0]
    states, _, episode = played.pairs()
    kl = distribution(base.policy, states).kl(distribution(tuned, states))
    exact = np.bincount(episode, weights=kl).mean()
    assert kl.mean() * played.length.mean() == pytest.approx(exact)
    estimated = probe_states.Ruler(base.policy, base.probes, task("pick_place"), base.skills).measure(tuned)["kl_forward"]["new_episode_sum"]
    assert estimated == pytest.approx(exact, rel=0.1)


def test_instructed_states_ask_for_every_other_skill(base):
    states = base.probes["pick_place"].states
    replaced = probe_states._instructed(states, task("pick_place"), base.skills)
    assert len(replaced) == len(states) * 8
    asked = replaced[:, 40:].argmax(axis=1).reshape(8, -1)
    assert sorted(asked[:, 0]) == sorted(skill.slot for skill in base.skills)
    own = probe_states._instructed(base.probes["lift"].states, task("lift"), base.skills)
    assert len(own) == len(base.probes["lift"].states) * 7


def test_random_states_are_noise_away_and_ask_for_another_skill(base):
    states, lift = base.probes["lift"].states, task("lift")
    drawn = probe_states._random(states, lift, base.skills)
    assert drawn.shape == states.shape
    assert np.std(drawn[:, :40] - states[:, :40]) == pytest.approx(1.0, abs=0.02)
    assert (drawn[:, 40:].sum(axis=1) == 1.0).all()
    asked = set(drawn[:, 40:].argmax(axis=1))
    assert asked == {skill.slot for skill in base.skills} - {lift.slot}
    assert np.array_equal(drawn, probe_states._random(states, lift, base.skills))


def test_original_averages_over_skills_not_over_states(base):
    """With a tenth of one skill's states, that skill still counts like any other."""
    tuned = clone(base.policy)
    for parameter in actor_parameters(tuned)[1:2]:
        parameter.data[:, 40 + task("reach").slot] += 0.3
    few = {**base.probes, "reach": replace(base.probes["reach"], states=base.probes["reach"].states[:100])}
    ruler = probe_states.Ruler(base.policy, few, task("pick_place"), base.skills)
    per_skill = [distribution(base.policy, few[s.name].states).kl(distribution(tuned, few[s.name].states)).mean() for s in base.skills]
    assert ruler.measure(tuned)["kl_forward"]["original"] == pytest.approx(np.mean(per_skill))


def test_where_there_is_no_other_instruction_nothing_is_asked_by_one(base):
    """A base of one skill, whose instruction the new task shares."""
    far, skill = task("push_far"), task("push")
    assert far.slot == skill.slot
    measured = probe_states.Ruler(base.policy, base.probes, far, [skill]).measure(base.policy)
    assert set(measured["tv"]) == {"new", "original"}
    with pytest.raises(UsageError, match="there is no other one"):
        other_slots(far, [skill])
    assert "random" in probe_states.Ruler(base.policy, base.probes, task("pick_place"), [skill]).measure(base.policy)["tv"]


def test_damaged_files_are_refused(base, tmp_path):
    path = tmp_path / "probe.safetensors.gz"
    probe_states.save(base.probes, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileDamaged):
        probe_states.load(path)
