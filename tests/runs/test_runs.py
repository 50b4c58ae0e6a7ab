"""Whole runs of every registered method, on tiny budgets."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import METHODS, TINY, TINY_METHOD, compose, task

from razorbench.errors import BudgetExceeded, NotFinite, UsageError
from razorbench.measures.episodes import Episodes
from razorbench.method.data import Budget
from razorbench.policy.network import critic_parameters
from razorbench.runs.run import run, snapshot_schedule
from razorbench.store.folder import REQUIRED
from razorbench.task import Split
from razorbench.world.engine import MujocoEngine


def do(results, method, *overrides, threads=None):
    spec, config = compose("task=pick_place", f"method={method}", f"results={results}", *TINY, *TINY_METHOD[method], *overrides)
    return run(spec, results, config, threads=threads)


@pytest.fixture(scope="module", params=METHODS)
def outcome(request, tmp_path_factory):
    return request.param, do(tmp_path_factory.mktemp("results"), request.param)


def test_every_method_is_covered():
    assert set(TINY_METHOD) == set(METHODS)


def test_record_is_whole_and_consistent_with_its_episodes(outcome):
    name, done = outcome
    record = done.record.plain()
    assert done.worked
    assert record["method"]["name"] == name
    assert not [key for key in REQUIRED if key not in record]
    assert str(done.path.parents[2]) not in json.dumps(record)
    episodes = Episodes.read(done.path / "episodes.csv.gz")
    for who in ("base", "final"):
        for mode in ("greedy", "sampled"):
            rows = episodes.success(who, "pick_place", "test", mode)
            assert len(rows) == 4
            assert record["new_task"][who][mode]["successes"] == rows.sum()
            for skill, rates in record["original"].items():
                assert rates[who][mode]["successes"] == episodes.success(who, skill, "test", mode).sum()
    assert set(record["divergence"]["kl_forward"]) >= {
        *("new", "new_mean_part", "new_variance_part", "new_common_sigma", "new_episode_sum"),
        *("new_tuned_states", "new_instructed", "random", "original"),
    }
    forward = record["divergence"]["kl_forward"]
    assert forward["new"] == pytest.approx(forward["new_mean_part"] + forward["new_variance_part"], rel=1e-9)


def test_files_and_curve(outcome):
    _, done = outcome
    for file in ("record.json", "curve.jsonl", "config.yaml", "log.txt", "policy.safetensors", "episodes.csv.gz"):
        assert (done.path / file).is_file(), file
    assert done.curve[0].update == 0
    assert done.curve[0].forward_kl == 0.0
    assert done.curve[0].retention.value == 1.0
    assert not list(done.path.rglob("*.tmp*"))


def test_budget_is_counted_and_kept(outcome):
    name, done = outcome
    used = done.record.budget
    for key, cap in used.caps.items():
        assert key == "name" or getattr(used, key) <= cap
    if name == "ppo":
        assert used.env_steps == 960
        assert used.demo_episodes == 0
    if name == "sft":
        assert used.demo_episodes == 8
        assert used.env_steps == 0
        assert used.gradient_steps > 0
    if name == "frozen":
        assert done.record.score in (0.0, None)
        assert used.gradient_steps == 0
        assert done.record.forgetting.value == 0.0


def test_running_again_does_no_work_and_elsewhere_gives_the_same(outcome, tmp_path):
    name, done = outcome
    again = do(done.path.parents[2], name)
    assert not again.worked
    assert again.record == done.record
    before = np.random.get_state()[1][:5].copy(), torch.get_rng_state()[:50].clone()
    elsewhere = do(tmp_path, name)
    after = np.random.get_state()[1][:5], torch.get_rng_state()[:50]
    assert np.array_equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    apart = ("wall_s", "measuring_s")
    assert {k: v for k, v in elsewhere.record.plain().items() if k not in apart} == {k: v for k, v in done.record.plain().items() if k not in apart}
    assert elsewhere.curve == done.curve
    for file in ("policy.safetensors", "episodes.csv.gz"):
        assert (elsewhere.path / file).read_bytes() == (done.path / file).read_bytes()


@pytest.mark.usefixtures("known_platform")
def test_the_number_of_threads_decides_nothing(outcome, tmp_path):
    name, done = outcome
    again = do(tmp_path, name, threads=1 if len(name) % 2 else 3)
    assert again.curve == done.curve
    assert (again.path / "policy.safetensors").read_bytes() == (done.path / "policy.safetensors").read_bytes()


@pytest.mark.parametrize(
    "change", ["seed=1", "eval.episodes=5", "budget.gradient_steps=100", "demos=detour", "method.learning_rate=2e-4", "task.reward=shaped", "log_std=frozen"]
)
def test_whatever_decides_the_result_decides_the_folder(change):
    spec, _ = compose("task=pick_place", "method=sft", *TINY)
    other, _ = compose("task=pick_place", "method=sft", *TINY, change)
    assert spec.identity() != other.identity()
    assert json.dumps(spec.identity()) == json.dumps(compose("task=pick_place", "method=sft", *TINY, "results=/elsewhere")[0].identity())


def test_another_seed_gives_another_policy(tmp_path):
    a, b = do(tmp_path, "sft"), do(tmp_path, "sft", "seed=1")
    assert (a.path / "policy.safetensors").read_bytes() != (b.path / "policy.safetensors").read_bytes()


def test_shaped_reward_changes_ppo(tmp_path):
    a, b = do(tmp_path, "ppo"), do(tmp_path, "ppo", "task.reward=shaped")
    assert (a.path / "policy.safetensors").read_bytes() != (b.path / "policy.safetensors").read_bytes()


def test_ppos_critic_has_no_part_in_the_actors_gradient_norm():
    spec, _ = compose("task=pick_place", "method=ppo", *TINY, *TINY_METHOD["ppo"])
    tuned = spec.method.adapt(spec.base.policy, spec.handle(), spec.budget, np.random.default_rng(0))
    left_over = [p.grad for p in critic_parameters(tuned) if p.grad is not None]
    assert all(not gradient.any() for gradient in left_over)


def test_snapshots_are_geometric_from_the_first_update_to_the_last():
    schedule = sorted(snapshot_schedule(1500, 24))
    assert schedule[:4] == [1, 2, 3, 4]
    assert schedule[-1] == 1500
    assert len(schedule) == 24
    steps = np.diff(np.log(schedule[8:]))
    assert steps.max() < 1.3 * steps.min()
    assert snapshot_schedule(5, 24) == {1, 2, 3, 4, 5}
    assert len(snapshot_schedule(30, 24)) == 24
    assert snapshot_schedule(10, 1) == {1, 10}


def test_divergence_of_training_stops_the_run_without_a_record(tmp_path):
    with pytest.raises(NotFinite, match=r"(gradient step|update) \d"):
        do(tmp_path, "sft", "method.learning_rate=1e30", "method.epochs=20")
    assert not list(tmp_path.rglob("record.json"))
    assert not do(tmp_path, "frozen").record.score


def handle(**caps):
    spec, _ = compose("task=pick_place", "method=frozen", *TINY)
    return replace(spec, budget=replace(spec.budget, **caps)).handle()


def test_caps_hold():
    rng = np.random.default_rng(0)
    with pytest.raises(BudgetExceeded, match="demo_episodes would reach 5"):
        handle(demo_episodes=4).demonstrations(5, rng)
    base = compose("task=pick_place", "method=frozen")[0].base.policy
    envs = handle(env_steps=8).envs(base, 8, rng)
    envs.reset()
    envs.step(np.zeros((8, 4)))
    with pytest.raises(BudgetExceeded, match="env_steps would reach 16"):
        envs.step(np.zeros((8, 4)))
    limited = handle(gradient_steps=2)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    with limited.counting(), pytest.raises(BudgetExceeded, match="gradient_steps would reach 3"):
        for _ in range(3):
            weight.grad = torch.ones(1)
            optimizer.step()
    optimizer.step()
    assert limited.used.gradient_steps == 2


@pytest.mark.parametrize("value", [0, -5, 1.5, "many", True])
def test_budgets_must_be_positive_whole_numbers(value):
    with pytest.raises(UsageError, match="positive whole number"):
        Budget("b", value, 1, 1, 1)


def test_demonstrations_are_successes_and_repeat():
    """A hurried task is failed by half of the expert's episodes; what is handed out, played again from its starts, succeeds at its last decision."""
    hurried = replace(task("pick_place"), horizon=22)
    spec, _ = compose("task=pick_place", "method=frozen", *TINY)
    a, b = (replace(spec, task=hurried, budget=replace(spec.budget, demo_episodes=40)).handle().demonstrations(40, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(a.observations, b.observations)
    assert np.abs(a.actions).max() <= 1.0
    length = np.bincount(a.episode)
    assert 5 < len(length) == len(a.start) < 35
    first = np.cumsum(length) - length
    engine, ids = MujocoEngine([hurried], len(length), 1), np.arange(len(length))
    engine.begin(ids, 0, hurried.starts(Split.TRAIN, a.start))
    for step in range(22):
        ids = np.flatnonzero(length > step)
        assert np.allclose(engine.observe(ids), a.observations[first[ids] + step], atol=1e-4)  # kept in float32, played in float64
        engine.step(ids, a.actions[first[ids] + step].numpy())
        assert np.array_equal(engine.success(ids), length[ids] == step + 1)
