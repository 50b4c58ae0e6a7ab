"""A whole sequence on tiny budgets: its matrix is that of its episodes, its first stage is the run that it would be alone."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import TASKS, TINY, TINY_METHOD, compose
from kept_runs import keep, restore
from rich.console import Console

from razorbench.commands import terminal
from razorbench.errors import UsageError
from razorbench.measures import transfer
from razorbench.measures.episodes import Episodes
from razorbench.registry import config
from razorbench.runs.run import run
from razorbench.runs.sequence import SequenceSpec, forward_transfer_auc, run_sequence
from razorbench.store.estimate import Undefined

pytestmark = pytest.mark.usefixtures("few_states")

SKILLS = 8


def short(method, *overrides):
    """The first two tasks of core6."""
    spec, plain = compose("sequence=core6", f"method={method}", *TINY, *TINY_METHOD[method], *overrides)
    return SequenceSpec("two", spec.runs[:2]), plain


# One of each family, with and without old-task data: a stage treats a method as a run does, and test_runs runs them all.
@pytest.fixture(scope="module", params=["frozen", "ppo", "dagger", "sft", "ewc", "sft_cf"])
def done(request, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    spec, plain = short(request.param)
    return spec, results, run_sequence(spec, results, plain)


def test_record_is_that_of_its_episodes(done):
    spec, results, outcome = done
    record, episodes = outcome.record.plain(), Episodes.read(outcome.path / "episodes.csv.gz")
    assert outcome.worked
    assert record["tasks"] == ["pick_place-v1", "pick_can-v1"]
    assert len(record["success"]) == 2 + SKILLS
    for name, rates in record["success"].items():
        assert len(rates) == 3
        for stage, rate in enumerate(rates):
            assert rate["successes"] == episodes.success(f"stage{stage}", name, "test").sum()
    matrix = np.array([[record["success"][task.name][stage]["rate"] for task in spec.tasks] for stage in range(3)])
    for name, measure in transfer.MEASURES.items():
        assert record["transfer"][name]["value"] == pytest.approx(float(measure(matrix)))
    assert len(record["retention"]) == len(record["divergence"]) == len(record["budget"]["used"]) == 2
    assert str(results) not in json.dumps(record)
    for file in ("sequence.json", "curve.jsonl", "config.yaml", "log.txt", "policy.safetensors", "checkpoints/stage1.safetensors"):
        assert (outcome.path / file).is_file(), file


def test_the_first_stage_is_the_run_alone(done):
    spec, results, outcome = done
    alone = run(spec.runs[0], results, {})
    name = spec.tasks[0].name
    assert outcome.record.success[name][1].rate == alone.record.new_task.final.greedy.rate
    assert outcome.record.divergence[0]["kl_forward"]["new"] == alone.record.forward_kl


def test_forward_transfer_needs_the_runs_alone_and_says_so(done, tmp_path):
    spec, results, _ = done
    before = forward_transfer_auc(spec, results)
    assert isinstance(before, Undefined)
    assert f"-m task=pick_can method={spec.first.method_name} seed=0" in before.why
    run(spec.runs[1], results, {})
    after = forward_transfer_auc(spec, results)
    assert after.low <= after.value <= after.high
    if spec.first.method_name == "frozen":
        assert after.value == 0
    keep(results, tmp_path / "kept")
    restore(tmp_path / "kept", again := tmp_path / "again")
    assert not run_sequence(spec, again, {}).worked
    assert forward_transfer_auc(spec, again) == after


def test_the_same_sequence_again_does_no_work_and_another_place_gives_the_same_record(done, tmp_path):
    spec, results, outcome = done
    assert not run_sequence(spec, results, {}).worked
    again = run_sequence(spec, tmp_path, short(spec.first.method_name)[1]).record.plain()
    own = {"wall_s", "measuring_s"}
    assert {key: value for key, value in again.items() if key not in own} == {key: value for key, value in outcome.record.plain().items() if key not in own}


def test_no_interval_of_transfer_is_paired_where_the_world_pairs_no_episodes(tmp_path, monkeypatch):
    spec, plain = short("frozen")
    told = []
    for name in ("estimates", "forward_transfer_auc_estimate"):
        real = getattr(transfer, name)
        monkeypatch.setattr(transfer, name, lambda *arguments, paired=True, real=real: told.append(paired) or real(*arguments, paired=paired))
    monkeypatch.setattr("razorbench.runs.sequence.pairs_episodes", lambda world: False)
    run_sequence(spec, tmp_path, plain)
    run(spec.runs[1], tmp_path, {})
    forward_transfer_auc(spec, tmp_path)
    assert told == [False, False]


def test_a_sequence_and_a_task_exclude_each_other():
    with pytest.raises(UsageError, match="exclude each other"):
        compose("sequence=core6", "task=stack", "method=frozen")


def test_every_sequence_is_of_registered_tasks_and_core6_orders_are_orders_of_the_suite():
    with config.registry() as registry:
        core = registry.item("suite", "core")["tasks"]
        full = registry.item("suite", "full")["tasks"]
        sequences = {name: registry.item("sequence", name)["tasks"] for name in registry.names("sequence")}
        assert sorted(full) == TASKS
    assert tuple(sequences["core6"]) == tuple(core)
    for name in ("core6_reversed", "core6_mixed"):
        assert sorted(sequences[name]) == sorted(core)
        assert sequences[name] != core
    assert sorted(sequences["full12"]) == sorted(full)
    assert not {"push_far", "lift_heavy"} & set(core)


def test_a_method_that_builds_on_another_run_is_refused():
    with pytest.raises(UsageError, match="method=sft_rl builds on a run of another method"):
        short("sft_rl")


def test_a_task_may_come_again(tmp_path):
    """As CW20 is CW10 twice: rows by position, each time other random numbers, and each episode played once."""
    spec, plain = short("ppo", "eval.snapshots=1")
    twice = SequenceSpec("again", (*spec.runs, spec.runs[0]))
    outcome = run_sequence(twice, tmp_path, plain)
    record, episodes = outcome.record.plain(), Episodes.read(outcome.path / "episodes.csv.gz")
    assert record["tasks"] == ["pick_place-v1", "pick_can-v1", "pick_place-v1"]
    assert list(record["success"]) == ["pick_place", "pick_can", *record["original_skills"]]
    assert all(len(rates) == 4 and {rate["episodes"] for rate in rates} == {4} for rates in record["success"].values())
    assert len({row[:5] for row in episodes.rows}) == len(episodes.rows)
    matrix = np.array([[record["success"][task.name][stage]["rate"] for task in twice.tasks] for stage in range(4)])
    for name, measure in transfer.MEASURES.items():
        assert record["transfer"][name]["value"] == pytest.approx(float(measure(matrix)))
    console = Console(width=100, record=True, file=io.StringIO())
    terminal.sequence_report(outcome.record, Undefined("no run"), console)
    assert [line.split()[:2] for line in console.export_text().splitlines() if line.strip()[:1] in "123" and "pick" in line] == [
        ["1", "pick_place"],
        ["2", "pick_can"],
        ["3", "pick_place"],
    ]
    assert "run `python -m razorbench -m task=pick_can,pick_place method=ppo" in forward_transfer_auc(twice, tmp_path).why
    other = replace(spec.runs[0], task=replace(spec.runs[0].task, slot=1))
    with pytest.raises(UsageError, match="sequence=again has pick_place with different settings"):
        SequenceSpec("again", (*spec.runs, other))
