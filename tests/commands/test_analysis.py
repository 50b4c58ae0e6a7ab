"""The commands over finished runs, on results whose truth is known."""

import json
import re

import pytest
from conftest import ROOT
from synthetic import costs, record, write_run

from razorbench.commands import main
from razorbench.errors import UsageError
from razorbench.statistics.finished_runs import PREDICTORS, Run, chosen, read_runs, snapshots
from razorbench.statistics.pooling import kinds

TASKS = ("pick_place", "stack", "pick_can")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for task in TASKS:
        for seed in range(3):
            write_run(folder, task, "ppo", seed, speed=0.2, harm=0.05, family="on-policy reward")
            write_run(folder, task, "sft", seed, speed=0.2, harm=0.4)
            write_run(folder, task, "lwf", seed, speed=0.2, harm=0.05, family="continual learning")
    return folder


def command(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main.main([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return done.value.code, out.out, out.err


def test_compare_says_more_less_and_undecided(results, capsys):
    code, out, _ = command(capsys, "compare", results, "ppo", "sft")
    assert code == 0
    assert "retention@best: ppo against sft: more" in out
    assert "3 tasks" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    code, out, _ = command(capsys, "compare", results, "sft", "ppo", "--by", "retention@end")
    assert code == 0
    assert "retention@end: sft against ppo: less" in out
    code, out, _ = command(capsys, "compare", results, "ppo", "lwf", "--by", "retention@0.5")
    assert code == 1
    assert re.search(r"ppo against lwf: undecided \(\d+ tasks\)", out)
    _, out, _ = command(capsys, "compare", results, "ppo", "sft", "--by", "retention_kl1")
    (told,) = (line for line in out.splitlines() if line.lstrip().startswith("retention_kl1 "))
    assert re.search(r"\d +more\s*$", told)


def copied(results, folder, keep, curves=True):
    for path in results.rglob("record.json"):
        record = json.loads(path.read_text())
        if keep(record["task"].removesuffix("-v1"), record["method"]["name"], record["seed"]):
            target = folder / path.parent.relative_to(results)
            target.mkdir(parents=True)
            for name in ("record.json", "curve.jsonl")[: 2 if curves else 1]:
                (target / name).write_text((path.parent / name).read_text())
    return folder


@pytest.mark.parametrize(
    ("keep", "lacking"),
    [
        (lambda task, method, seed: task == "stack" and seed == 0, "1 run of ppo, 6 needed; 1 run of sft, 6 needed; 1 task, 3 needed"),
        (lambda task, method, seed: task == "stack", "3 runs of ppo, 6 needed; 3 runs of sft, 6 needed; 1 task, 3 needed"),
        (lambda task, method, seed: seed == 0, "3 runs of ppo, 6 needed; 3 runs of sft, 6 needed"),
        (lambda task, method, seed: seed == 0 or method == "ppo", "3 runs of sft, 6 needed"),
        (lambda task, method, seed: (task == "stack") == (method == "ppo"), "3 runs of ppo, 6 needed; 0 tasks, 3 needed"),
    ],
    ids=["one run", "one task", "one seed", "one seed of an arm", "no task that both have"],
)
def test_too_few_runs_are_no_verdict_and_say_how_to_add_them(results, tmp_path, capsys, keep, lacking):
    folder = copied(results, tmp_path, keep)
    code, out, _ = command(capsys, "compare", folder, "ppo", "sft", "--by", "retention@end")
    assert code == 1
    assert f"ppo against sft: too few runs ({lacking})\n" in out
    assert f"add: python -m razorbench -m results={folder} budget=standard base=mlp method=" in out


def test_runs_without_snapshots_have_an_end_and_nothing_else(results, tmp_path, capsys):
    folder = copied(results, tmp_path, lambda task, method, seed: True, curves=False)
    code, out, _ = command(capsys, "compare", folder, "ppo", "sft")
    assert code == 1
    assert "retention@best: ppo against sft: too few runs (0 runs of ppo, 6 needed; 0 runs of sft, 6 needed; 0 tasks, 3 needed)" in out
    assert "undefined: ppo in 9 of 9 runs (9: its snapshots were not kept); sft in 9 of 9 runs" in out
    assert command(capsys, "compare", folder, "ppo", "sft", "--by", "retention@end")[0] == 0


def test_runs_set_apart_for_one_reason_are_told_in_one_line(tmp_path, capsys):
    for seed in range(3):
        write_run(tmp_path, "stack", "ppo", seed, speed=0.2, harm=0.05)
        write_run(tmp_path, "stack", "sft", seed, speed=0.2, harm=0.4)
        write_run(tmp_path / "tokens", "stack", "sft", seed, speed=0.2, harm=0.4, base=f"tokens-s{seed}")
    write_run(tmp_path / "quick", "stack", "sft", 0, speed=0.2, harm=0.4, budget={"name": "quick", **costs()})
    _, _, err = command(capsys, "compare", tmp_path, "ppo", "sft")
    quick, tokens = sorted(err.splitlines())
    assert quick.endswith("is of budget quick, not standard")
    assert tokens.endswith("is of base tokens, not mlp; and so 2 more")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ppo", "sgt"), "sgt: no such method among the runs (did you mean sft?); there are lwf, ppo, sft"),
        (("ppo", "sft", "--base", "tokens"), "no run with base=tokens budget=standard among 27; there are base=mlp budget=standard"),
        (("ppo", "sft", "--by", "luck"), "invalid choice: 'luck'"),
        (("ppo", "sft", "--by", "retention@0.8"), "invalid choice: 'retention@0.8'"),
        (("ppo",), "the following arguments are required: B"),
    ],
)
def test_wrong_use_of_compare(results, capsys, arguments, sentence):
    code, _, err = command(capsys, "compare", results, *arguments)
    assert code == 2
    assert sentence in err


def test_damaged_and_missing_results_are_named(tmp_path, capsys):
    code, _, err = command(capsys, "compare", tmp_path, "ppo", "sft")
    assert code == 2
    assert "no record.json below this folder" in err
    folder = write_run(tmp_path, "stack", "sft", 0, speed=0.2, harm=0.1)
    (folder / "curve.jsonl").write_text("{")
    code, _, err = command(capsys, "compare", tmp_path, "ppo", "sft")
    assert code == 2
    assert "curve.jsonl cannot be read" in err


def test_records_of_different_kinds_are_never_pooled(tmp_path):
    for protocol in (4, 5):
        write_run(tmp_path, "stack", "sft", protocol, speed=0.2, harm=0.1, protocol=protocol)
    with pytest.raises(UsageError, match=r"more than one protocol \(4, 5\)"):
        kinds(read_runs(tmp_path, {}))


def test_points_are_the_snapshots_after_the_first_update(results):
    runs = read_runs(results, {})
    found = snapshots(runs, ["forward KL, new task"]).points("forward KL, new task")
    assert len(found.x) == 27 * 12
    assert sorted(set(found.family)) == ["continual learning", "offline supervised", "on-policy reward"]
    assert found.x.min() > 0
    curve = [json.loads(line) for line in (next(results.rglob("curve.jsonl"))).read_text().splitlines()]
    original = curve[5]["original"].values()
    by_hand = sum(each["rate"] * (1 - each["rate"]) / 24 for each in original) / 16
    assert by_hand in found.noise
    # What a run did not measure makes no point.
    assert len(snapshots(runs, ["weights, L1"]).points("weights, L1").x) == 0


def test_every_predictor_lies_where_records_have_it():
    measured = record(divergence={"kl_forward": {"new": 1.5}}, drift={"weights": {"rank": None}})
    assert measured.number(PREDICTORS["forward KL, new task"]) == 1.5
    assert {measured.number(path) for path in PREDICTORS.values()} == {1.5, None}


@pytest.mark.pages
def test_every_predictor_is_on_the_page_of_measures():
    page = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    for path in PREDICTORS.values():
        for key in path.split(".")[1:]:
            assert re.search(rf"`[^`]*\b{key}\b[^`]*`", page), f"{path}: {key}"


@pytest.mark.parametrize(
    ("there", "told", "found"),
    [
        ("mlp quick", (None, None), ("mlp", "quick")),
        ("tokens quick, tokens quick", (None, None), ("tokens", "quick")),
        ("mlp quick, mlp standard, tokens standard", (None, None), ("mlp", "standard")),
        ("mlp quick, tokens long", (None, "long"), ("tokens", "long")),
        ("mlp quick, tokens long", ("tokens", None), ("tokens", "long")),
        ("mlp quick, mlp long", (None, None), "more than one budget: choose one of long, quick with --budget"),
        ("large quick, tokens quick", (None, None), "more than one base: choose one of large, tokens with --base"),
        ("mlp quick", ("tokens", "long"), ("tokens", "long")),
    ],
)
def test_what_there_is_one_of_need_not_be_told(there, told, found):
    runs = [Run(record(base=f"{base}-s0", budget={"name": budget, **costs()}), ()) for base, budget in map(str.split, there.split(", "))]
    if isinstance(found, str):
        with pytest.raises(UsageError, match=found):
            chosen(runs, *told)
    else:
        assert chosen(runs, *told) == found


def test_a_folder_of_one_base_and_budget_needs_no_flags(tmp_path, capsys):
    for seed in range(2):
        for method in ("ppo", "sft"):
            budget = {"name": "quick", **costs(demo_episodes=5)}
            write_run(tmp_path, "stack", method, seed, speed=0.2, harm=0.1, base="tokens-s0", budget=budget, hashes={"run": f"{method}{seed}".encode().hex()})
    code, out, err = command(capsys, "compare", tmp_path, "ppo", "sft")
    assert (code, err) == (1, "")
    assert "budget=quick base=tokens method=" in out


def test_two_worlds_stand_side_by_side_and_are_never_pooled(tmp_path, capsys):
    for seed in range(3):
        for method, harm in (("ppo", 0.05), ("sft", 0.4)):
            for task, base, world in (("stack", "mlp", None), ("button_side", "theirs", "elsewhere-1")):
                write_run(tmp_path, task, method, seed, speed=0.2, harm=harm, base=f"{base}-s{seed}", world=world)
    code, out, err = command(capsys, "compare", tmp_path, "ppo", "sft")
    assert (code, err) == (1, "")
    ours, theirs = out[out.index("world workcell-2") :], out[: out.index("world workcell-2")]
    assert "world elsewhere-1" in theirs
    assert "task=button_side" in theirs
    assert "task=stack" not in theirs
    assert "task=button_side" not in ours
    for seed in range(3):
        write_run(tmp_path / "same", "stack", "sft_kl", seed, speed=0.2, harm=0.4, world="elsewhere-1")
    code, _, err = command(capsys, "compare", tmp_path, "ppo", "sft", "--base", "mlp", "--mixed")
    assert code == 2
    assert "the runs with base=mlp are of several worlds (elsewhere-1, workcell-2), which are never pooled" in err


def test_a_report_decides_claims_on_runs_of_one_world(tmp_path, monkeypatch, capsys):
    for seed in range(2):
        for method in ("ppo", "sft"):
            for task, base, world in (("stack", "mlp", None), ("stack", "tokens", None), ("button_side", "theirs", "elsewhere-1")):
                write_run(tmp_path / base, task, method, seed, speed=0.2, harm=0.1, base=f"{base}-s{seed}", world=world)
    bases = []
    monkeypatch.setattr("razorbench.commands.report.decide", lambda registered, styles, runs, *more: bases.append(sorted(runs)) or [])
    assert command(capsys, "report", tmp_path, "--out", tmp_path / "out")[0] == 0
    assert bases == [["mlp", "tokens"]]
