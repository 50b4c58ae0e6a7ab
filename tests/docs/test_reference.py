"""The runs that the repository keeps: nothing doubled, nothing lost, and found done by the study that they came from."""

import shutil

import pytest
from conftest import TINY, TINY_METHOD, compose
from kept_runs import enter, keep, restore
from packages import SETTINGS, packed, small_known, small_runs

from razorbench.runs.run import run
from razorbench.statistics.finished_runs import read_runs
from razorbench.submissions import board
from razorbench.submissions.levels import read_levels

pytestmark = pytest.mark.usefixtures("few_states")


def test_a_study_goes_on_from_what_was_kept(tmp_path):
    study, kept, again = (tmp_path / name for name in ("study", "kept", "again"))
    small_runs(study)
    # What a sweep is in the middle of is no run yet.
    (study / "stack" / "sft" / "seed5-abc").mkdir()
    assert (keep(study, kept), keep(study, kept)) == (3, 0)
    assert not list(kept.rglob("policy.safetensors"))
    packed(study, small_known(), kept / "entries" / "sft")
    shutil.rmtree(kept / "runs" / "stack" / "sft")
    assert keep(study, kept) == 0
    assert (restore(kept, again), restore(kept, again)) == (3, 0)
    for seed in (0, 1):
        spec, plain = compose("task=stack", "budget=quick", "method=frozen", f"seed={seed}", *(f"eval.{key}={value}" for key, value in SETTINGS.items()))
        outcome = run(spec, again, plain)
        assert not outcome.worked
    ours, theirs = ([(each.record, each.curve) for each in read_runs(folder, {})] for folder in (study, again))
    assert ours == theirs


def test_a_method_with_all_its_runs_becomes_an_entry(tmp_path):
    study, kept, known = tmp_path / "study", tmp_path / "kept", small_known()
    small_runs(study)
    assert keep(study, kept) == 3
    assert enter(study, kept, known, "two", "mlp", "quick", print) == ["frozen"]
    assert enter(study, kept, known, "two", "mlp", "quick", print) == []
    assert sorted(path.name for path in (kept / "runs" / "stack").iterdir()) == ["frozen", "sft"]
    assert not list((kept / "runs" / "stack" / "frozen").iterdir())
    assert keep(study, kept) == 0
    shown = board.entry(kept / "entries" / "frozen", known, read_levels(kept / "levels"))
    assert (shown.level, shown.why, len(shown.runs)) == ("replayed", "not retrained: its track, costs and curve are declared", 2)
    assert shown.submission.description.startswith("Frozen: no update at all.")
    assert not list(kept.rglob("policy.safetensors"))


def test_a_run_that_was_kept_without_its_policy_is_done_again_where_another_builds_on_it(tmp_path):
    overrides = ["task=stack", "method=sft_rl", *TINY, *TINY_METHOD["sft_rl"]]
    spec, plain = compose(*overrides)
    first = run(spec, tmp_path / "study", plain)
    keep(tmp_path / "study", tmp_path / "kept")
    shutil.rmtree(tmp_path / "kept" / "runs" / "stack" / "sft_rl")
    restore(tmp_path / "kept", again := tmp_path / "again")
    (upstream,) = (again / "stack" / "ppo").iterdir()
    assert not (upstream / "policy.safetensors").exists()
    second = run(spec, again, plain)
    assert (upstream / "policy.safetensors").exists() and not (upstream / "curve.jsonl.xz").exists()
    assert second.record.model_dump(include={"score", "divergence", "upstream"}) == first.record.model_dump(include={"score", "divergence", "upstream"})
