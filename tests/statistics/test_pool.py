"""What may be pooled, what is set apart, and what is refused."""

import json
import re

import pytest
from synthetic import costs, write_run

from razorbench.errors import UsageError
from razorbench.statistics.finished_runs import final_points, read_runs, snapshots
from razorbench.statistics.pooling import pool
from razorbench.store.folder import PROTOCOL


def made(results, seed=0, method="sft", task="stack", **more):
    return write_run(results, task, method, seed, speed=0.2, harm=0.1, **more)


def change(folder, edit, file="record.json"):
    """Edit a record, or a run's snapshots, where they lie."""
    path = folder / file
    if file == "record.json":
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))
    else:
        points = [json.loads(line) for line in path.read_text().splitlines()]
        edit(points)
        path.write_text("".join(json.dumps(point) + "\n" for point in points))


def pooled(results):
    found = pool(read_runs(results, {}), "mlp", "standard")
    return len(found.runs), [why for _, why in found.apart]


def test_pretraining_seeds_belong_together_and_another_base_or_budget_is_set_apart(tmp_path):
    for seed in range(3):
        made(tmp_path, seed)
    made(tmp_path, 3, base="tokens-s0")
    made(tmp_path, 4, budget={"name": "quick", **costs(demo_episodes=5)})
    assert pooled(tmp_path) == (3, ["is of base tokens, not mlp", "is of budget quick, not standard"])
    with pytest.raises(UsageError, match=r"no run with base=mlp budget=long among 5; there are base=mlp budget=quick, base=mlp budget=standard, base=tokens"):
        pool(read_runs(tmp_path, {}), "mlp", "long")


@pytest.mark.parametrize(
    ("edit", "file", "why"),
    [
        (lambda record: record["original"].pop("push"), "record.json", "lacks push among its original skills"),
        (lambda record: record["original"].update(dance=record["original"]["push"]), "record.json", "has dance, which most runs lack"),
        (lambda record: record.update(retention=None), "record.json", "has no number for retention.value"),
        (lambda curve: curve[2]["original"].pop("lift"), "curve.jsonl", "lacks lift among its original skills at update 2"),
        (lambda curve: curve[0]["new_task"].pop("test"), "curve.jsonl", "has no number for new_task.test.rate at update 0"),
    ],
)
def test_unusable_records_are_set_apart_by_name(tmp_path, edit, file, why):
    for seed in range(3):
        made(tmp_path, seed)
    change(tmp_path / "stack" / "sft" / "seed1-direct", edit, file)
    kept, reasons = pooled(tmp_path)
    assert kept == 2
    assert len(reasons) == 1
    assert why in reasons[0]


def test_nothing_usable_is_refused(tmp_path):
    folder = made(tmp_path)
    change(folder, lambda record: record["retention"].update(value=None))
    with pytest.raises(UsageError, match=r"none of the 1 runs can be used; the first, .*seed0-direct, has no number for retention.value"):
        pool(read_runs(tmp_path, {}), "mlp", "standard")


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"protocol": 1}, r"protocol \(1, \d+\)"),
        ({"versions": {"mujoco": "4.1.0", "torch": "2.13.0"}}, r"MuJoCo \(4.0, 4.1\)"),
        ({"versions": {"mujoco": "4.0.0", "torch": "2.12.9"}}, r"torch \(2.12, 2.13\)"),
        ({"task": "stack-v2"}, r"version of the task stack \(stack-v1, stack-v2\)"),
        ({"hashes": {"run": "0" * 12, "task_spec": "else"}}, rf"specification of the task stack under protocol {PROTOCOL} \(else, stack\)"),
        (
            {"base": "mlp-s0", "hashes": {"run": "0" * 12, "task_spec": "stack", "base_policy": "else"}},
            rf"set of weights of mlp-s0 under protocol {PROTOCOL} \(None, else\)",
        ),
        ({"method": {"name": "sft", "family": "offline supervised", "version": 2, "demos": "direct"}}, r"version of the method sft \(1, 2\)"),
    ],
)
def test_mixed_kinds_are_refused_by_name(tmp_path, other, named):
    made(tmp_path, 0)
    change(made(tmp_path, 1), lambda record: record.update(other))
    with pytest.raises(UsageError, match=f"more than one {named}: give a folder that holds one of them only, or --mixed"):
        pool(read_runs(tmp_path, {}), "mlp", "standard")
    mixed = pool(read_runs(tmp_path, {}), "mlp", "standard", mixed=True)
    assert len(mixed.runs) == 2
    assert any(re.search(f"of more than one {named} and were pooled all the same", note) for note in mixed.notes)


@pytest.mark.parametrize(
    ("versions", "note"),
    [
        ({"mujoco": "4.0.0", "torch": "2.13.0+cu130"}, "Pooled over torch 2.13.0+cpu, 2.13.0+cu130."),
        ({"mujoco": "4.0.1", "torch": "2.13.0+cpu"}, "Pooled over MuJoCo 4.0.0, 4.0.1."),
    ],
)
def test_other_builds_and_patch_versions_are_pooled_and_noted(tmp_path, versions, note):
    made(tmp_path, 0)
    change(made(tmp_path, 1), lambda record: record.update(versions=versions))
    found = pool(read_runs(tmp_path, {}), "mlp", "standard")
    assert (len(found.runs), found.notes) == (2, [note])


def test_protocols_whose_numbers_mean_the_same_are_pooled_and_noted(tmp_path):
    made(tmp_path, 0)
    change(made(tmp_path, 1), lambda record: record.update(protocol=6, hashes={"run": "1", "task_spec": "of old"}))
    found = pool(read_runs(tmp_path, {}), "mlp", "standard")
    assert (len(found.runs), found.notes) == (2, ["Pooled over protocol 6, 7."])


@pytest.mark.parametrize(
    ("differ", "arms"),
    [
        ({"config": {"method": {"learning_rate": 3e-3}}}, ["sft/direct[learning_rate=0.0001]", "sft/direct[learning_rate=0.003]"]),
        ({"config": {"method": {"upstream": {"n": 1}}}}, ["sft/direct[learning_rate=0.0001, upstream.n=null]", "sft/direct[learning_rate=null, upstream.n=1]"]),
        ({"config": {"method": {"learning_rate": 1e-4}, "log_std": "frozen"}}, ['sft/direct[log_std="frozen"]', "sft/direct[log_std=null]"]),
        ({"config": {"method": {"_target_": "moved.Class", "learning_rate": 1e-4}}}, ["sft/direct"]),
    ],
)
def test_each_setting_of_a_method_is_an_arm_of_its_own(tmp_path, differ, arms):
    made(tmp_path, 0, config={"method": {"learning_rate": 1e-4}})
    made(tmp_path, 1, **differ)
    assert sorted({run.arm for run in pool(read_runs(tmp_path, {}), "mlp", "standard").runs}) == arms


def test_one_run_found_twice_counts_once(tmp_path):
    made(tmp_path / "a", 1)
    made(tmp_path / "b", 1)
    assert pooled(tmp_path) == (1, [])


def test_two_runs_in_the_place_of_one_are_refused_by_name(tmp_path):
    made(tmp_path / "a", 1)
    change(made(tmp_path / "b", 1), lambda record: record["hashes"].update(run="0123"))
    with pytest.raises(UsageError, match=r"sft/direct has two runs of stack, seed 1: .*a/stack/sft/seed1-direct and .*b/stack/sft/seed1-direct"):
        pool(read_runs(tmp_path, {}), "mlp", "standard")


def test_a_similarity_predicts_by_what_it_lacks_to_one(tmp_path):
    made(tmp_path, predictors=["activations, 1 - CKA, new task"])
    change(tmp_path / "stack" / "sft" / "seed0-direct", lambda curve: [p["drift"]["activations"]["new"].update(cka=0.75) for p in curve], "curve.jsonl")
    assert snapshots(read_runs(tmp_path, {}), ["activations, 1 - CKA, new task"]).points("activations, 1 - CKA, new task").x == pytest.approx(0.25)


def test_the_base_before_any_update_is_no_point_of_the_law(tmp_path):
    made(tmp_path, 0, snapshots=3)
    made(tmp_path, 1, snapshots=0)
    found = snapshots(read_runs(tmp_path, {}))
    assert (found.update.tolist(), found.run.tolist()) == ([1, 2, 3], [0, 0, 0])
    assert len(final_points(found.runs).x) == 1
