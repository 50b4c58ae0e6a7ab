"""What may be pooled, what is set apart, and what is refused."""

import json
import math

import pytest
from synthetic import write_run

from razorbench.errors import UsageError
from razorbench.results import pool, read_runs, snapshots


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
    made(tmp_path, 4, budget={"name": "quick", "env_steps": 0, "demo_episodes": 5})
    assert pooled(tmp_path) == (3, ["is of base tokens, not mlp", "is of budget quick, not standard"])
    with pytest.raises(UsageError, match=r"no run with base=mlp budget=long among 5; there are base=mlp budget=quick, base=mlp budget=standard, base=tokens"):
        pool(read_runs(tmp_path, {}), "mlp", "long")


@pytest.mark.parametrize(
    ("edit", "file", "why"),
    [
        (lambda record: record["divergence"]["kl_forward"].update(new=math.nan), "record.json", "has no finite number for divergence.kl_forward.new"),
        (lambda record: record["original"]["push"]["final"]["greedy"].update(ci95=[0, math.inf]), "record.json", "original.push.final.greedy.ci95.1"),
        (lambda record: record["original"].pop("push"), "record.json", "lacks push among its original skills"),
        (lambda record: record["original"].update(dance=record["original"]["push"]), "record.json", "has dance, which most runs lack"),
        (lambda record: record.update(retention=None), "record.json", "has no number for retention.value"),
        (lambda record: record["new_task"]["final"]["greedy"].update(rate="high"), "record.json", "has no number for new_task.final.greedy.rate"),
        (lambda curve: curve[3]["forgetting"].update(value=math.nan), "curve.jsonl", "has no finite number for forgetting.value at update 3"),
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
    change(folder, lambda record: record["retention"].update(value=math.nan))
    with pytest.raises(UsageError, match=r"none of the 1 runs can be used; the first, .*seed0-direct, has no finite number for retention.value"):
        pool(read_runs(tmp_path, {}), "mlp", "standard")


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"protocol": 1}, r"protocol \(1, \d+\)"),
        ({"versions": {"mujoco": "4", "torch": "2"}}, r"MuJoCo \(3, 4\)"),
        ({"versions": {"mujoco": "3", "torch": "1"}}, r"torch \(1, 2\)"),
        ({"task": "stack-v2"}, r"version of the task stack \(stack-v1, stack-v2\)"),
        ({"hashes": {"task_spec": "else"}}, r"specification of the task stack \(else, stack\)"),
        ({"method": {"name": "sft", "family": "offline supervised", "version": 2, "demos": "direct"}}, r"version of the method sft \(1, 2\)"),
    ],
)
def test_mixed_kinds_are_refused_by_name(tmp_path, other, named):
    made(tmp_path, 0)
    change(made(tmp_path, 1), lambda record: record.update(other))
    with pytest.raises(UsageError, match=f"more than one {named}, which are never pooled"):
        pool(read_runs(tmp_path, {}), "mlp", "standard")


def test_duplicates_are_refused_by_name(tmp_path):
    made(tmp_path / "a", 1)
    made(tmp_path / "b", 1)
    with pytest.raises(UsageError, match=r"sft/direct has two runs of stack, seed 1: .*a/stack/sft/seed1-direct and .*b/stack/sft/seed1-direct"):
        pool(read_runs(tmp_path, {}), "mlp", "standard")


def test_a_similarity_predicts_by_what_it_lacks_to_one(tmp_path):
    made(tmp_path, predictors=["activations, 1 - CKA, new task"])
    change(tmp_path / "stack" / "sft" / "seed0-direct", lambda curve: [p["drift"]["activations"]["new"].update(cka=0.75) for p in curve], "curve.jsonl")
    assert snapshots(read_runs(tmp_path, {}), ["activations, 1 - CKA, new task"]).points("activations, 1 - CKA, new task").x == pytest.approx(0.25)
