"""The claims: rules by hand, verdicts on results whose truth is known, and commands that can be run."""

import hashlib
import json
import re

import pytest
from conftest import ROOT
from synthetic import write_run

from razorbench.commands import main
from razorbench.commands.claims import digest
from razorbench.registry import config
from razorbench.registry.combining import combinations
from razorbench.statistics import claim_rules
from razorbench.statistics.claim_rules import PLACES, Cells, Contrast, Evidence, Finding, Prediction, Rivals, Size
from razorbench.statistics.claims import Claim
from razorbench.statistics.finished_runs import read_runs
from razorbench.statistics.missing_runs import Design, Wanted, sweeps
from razorbench.statistics.verdicts import LESS, MORE, SAME, TOO_FEW, UNDECIDED, Verdict
from razorbench.store.estimate import Estimate

TASKS = ("pick_place", "pick_can", "place_in_drawer", "drawer_moved", "button_side", "sort_parity")
SECOND = {"pick_place": "detour", "pick_can": "scoop", "place_in_drawer": "detour", "drawer_moved": "side", "button_side": "finger", "sort_parity": "two"}
STYLES = {task: ("middle" if task == "sort_parity" else "direct", style) for task, style in SECOND.items()}


def finding(word, beside=False, at="best", **more):
    return Finding("", at, (MORE,), None, "", Verdict((word,)), beside, **more)


@pytest.mark.parametrize(
    ("parts", "said", "decided"),
    [
        ([finding(MORE), finding(MORE)], "more (2 of 2 as expected)", True),
        ([finding(MORE), finding(UNDECIDED)], "1 more; 1 undecided (1 of 2 as expected)", True),
        ([finding(SAME), finding(MORE), finding(SAME)], "2 same; 1 more (1 of 3 as expected)", True),
        ([finding(UNDECIDED), finding(UNDECIDED)], "undecided (0 of 2 as expected)", False),
        ([finding(TOO_FEW)], "too few runs (0 of 1 as expected)", False),
        ([finding(UNDECIDED), finding(MORE, beside=True)], "undecided (0 of 1 as expected)", False),
        ([finding(MORE, at="end")], "", True),
    ],
)
def test_a_claim_says_the_words_of_its_parts(parts, said, decided):
    claim = Claim("C", "", parts)
    assert (claim.said("best"), claim.decided) == (said, decided)


def test_missing_runs_are_asked_for_together():
    wanted = [Wanted("mlp", "", method, task, seed) for method in ("ppo", "sft") for task in "ab" for seed in (0, 1)] + [Wanted("mlp", "far", "sft", "a", 2)]
    parts = [finding(UNDECIDED, wanted=wanted), finding(UNDECIDED, wanted=wanted[:3], study="projection"), finding(MORE, True, wanted=wanted[:1])]
    sweep = ["sweep base=mlp method=ppo,sft task=a,b seed=0,1", "sweep base=mlp method=sft task=a seed=2 demos=far"]
    assert sweeps(wanted, "sweep") == sweep
    assert Claim("C", "", parts).commands("sweep", "study=") == [*sweep, "study=projection"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """PPO keeps much and sft little, on every base; sft's second style reaches no success of .9; ppo_kl is as ppo is."""
    folder = tmp_path_factory.mktemp("results")
    for task in TASKS:
        for seed in range(3):
            write_run(folder, task, "ppo", seed, speed=0.4, harm=0.05, family="on-policy reward")
            write_run(folder, task, "ppo_kl", seed, speed=0.4, harm=0.05, family="on-policy reward")
            write_run(folder, task, "sft", seed, speed=0.4, harm=0.4, demos=STYLES[task][0])
            write_run(folder, task, "sft", seed, speed=0.05, harm=0.4, demos=SECOND[task])
            for base, harm in (("mlp_small", 0.5), ("mlp_large", 0.1)):
                write_run(folder / base, task, "sft", seed, speed=0.4, harm=harm, demos=STYLES[task][0], base=f"{base}-s{seed}")
    return folder


@pytest.fixture(scope="module")
def evidence(results):
    by_base = {}
    for run in read_runs(results, STYLES):
        by_base.setdefault(run.base, []).append(run)
    return Evidence(by_base, Design(TASKS, (0, 1, 2), SECOND), ("ppo", "sft"), results / "studies")


def test_a_contrast_in_every_place(evidence):
    found = {each.at: each for each in Contrast("ppo", "sft", (MORE,)).decide(evidence)}
    assert tuple(found) == PLACES
    assert [each.verdict.words for each in found.values()] == [(MORE,)] * 3
    assert found["end"].n == "6 tasks, 18 of 18 pairs"
    assert 0.4 < found["end"].effect.low < found["end"].effect.high < 1
    assert not found["end"].wanted and not found["end"].notes


def test_a_level_that_is_not_reached_is_too_few_runs_and_says_why(evidence):
    level, best, end = Contrast("ppo", "sft/2", (MORE,)).decide(evidence)
    assert level.verdict.words == (TOO_FEW,)
    assert level.verdict.why == "0 runs of sft/2, 6 needed; 0 tasks, 3 needed"
    assert level.notes == ["sft/2 in 18 of 18 runs (18: the run never reaches the level)"]
    assert level.n == "0 tasks, 0 of 18 pairs"
    # Nothing is missing of the design, so more seeds are asked for.
    assert {run.seed for run in level.wanted} == {3, 4, 5}
    assert (best.verdict.words, end.verdict.words) == ((MORE,), (MORE,))


def test_arms_that_are_the_same_are_not_more(evidence):
    for each in Contrast("ppo_kl", "ppo", (MORE,)).decide(evidence):
        assert MORE not in each.verdict.words
        assert abs(each.effect.value) < 0.05


def test_an_arm_without_runs_is_asked_for(evidence):
    found = Contrast("sft_rl", "ppo", (SAME,)).decide(evidence)[-1]
    assert (found.effect, found.verdict.words, found.n) == (None, (TOO_FEW,), "0 tasks, 0 of 0 pairs")
    assert {(run.method, run.seed) for run in found.wanted} == {("sft_rl", 0), ("sft_rl", 1), ("sft_rl", 2)}


def test_size_is_the_difference_between_bases(evidence):
    best, end = Size("sft", "mlp_large", "mlp_small", (SAME,)).decide(evidence)
    assert (best.at, end.at) == ("best", "end")
    assert end.verdict.words == (MORE,)
    assert end.effect.value > 0.5


def test_the_law_needs_runs_tasks_and_families(evidence):
    runs = evidence.of("mlp")
    few = {
        "1 task, 3 needed": [run for run in runs if run.task == "pick_can"],
        "1 family, 2 needed": [run for run in runs if run.family == "on-policy reward"],
        "3 runs of all, 6 needed": [run for run in runs if run.seed == 0 and run.arm == "ppo"][:3],
    }
    for lacking, chosen in few.items():
        part = Evidence({"mlp": chosen}, evidence.design, evidence.methods, evidence.studies)
        for rule in (Prediction("family_left_out", 0.5), Rivals(["reverse KL, new task"], "mlp", "family_left_out")):
            (found,) = rule.decide(part)
            assert found.verdict.words == (TOO_FEW,)
            assert lacking in found.verdict.why
    (found,) = Prediction("r2", -5.0).decide(evidence)
    assert found.verdict.words == (MORE,)
    (lead,) = Rivals(["reverse KL, new task"], "mlp", "r2").decide(evidence)
    # The synthetic reverse KL is noise.
    assert lead.verdict.words == (MORE,)


@pytest.mark.parametrize(("bar", "word"), [(0.3, MORE), (0.4, UNDECIDED), (0.5, UNDECIDED), (0.6, UNDECIDED), (0.7, LESS)])
def test_an_interval_is_judged_by_both_of_its_ends(evidence, bar, word):
    assert claim_rules._judged(Estimate(0.5, 0.4, 0.6), bar, evidence.of("mlp")).words == (word,)


HEADER = "family,size,update,failure,reached,off_max,excess_kl,excess_kl_low,excess_kl_high"
ROWS = (
    "tabular,3,natural gradient,0.1,5,0.9,1,1,1",
    "tabular,3,natural gradient,1e-6,5,1e-9,0,0,0",
    "tabular,9,natural gradient,1e-6,5,1e-4,0.2,0.1,0.3",
    "heads,3,natural gradient,1e-6,5,1e-9,0,0,0",
)


def test_the_theory_claim_counts_every_cell_of_the_study(tmp_path):
    evidence = Evidence({}, Design([], [0], {}), [], tmp_path)
    (missing,) = Cells().decide(evidence)
    assert (missing.study, missing.verdict.words) == ("projection", (TOO_FEW,))
    (tmp_path / "projection").mkdir()
    (tmp_path / "projection" / "distance.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")
    off, exact = Cells().decide(evidence)
    assert (off.verdict.words, off.n, off.effect) == ((MORE,), "10 bandits", Estimate(0.2, 0.1, 0.3))
    assert exact.verdict.words == (SAME,)
    assert Claim("C10", "", [off, exact]).said("") == "1 more; 1 same (1 of 2 as expected)"


def claims(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main.main(["claims", *map(str, arguments)])
    out, err = capsys.readouterr()
    return done.value.code, out, err


def test_known_truths(results, capsys):
    code, out, _ = claims(capsys, results, "--json")
    told = json.loads(out)
    decided = {claim["name"]: claim for claim in told["claims"]}
    assert list(decided) == [f"C{k + 1}" for k in range(10)]
    assert told["status"] == "exploratory"
    assert told["sha256"] == hashlib.sha256((ROOT / "conf" / "study" / "claims2.yaml").read_bytes()).hexdigest()
    assert [each["at"] for each in decided["C1"]["findings"]] == [*PLACES, *PLACES]
    assert decided["C1"]["decided"] and not decided["C5"]["decided"]
    assert any(f"results={results} budget=standard base=mlp method=sft_rl task=" in command for command in decided["C5"]["commands"])
    assert decided["C10"]["commands"] == [f"python -m razorbench results={results} study=projection"]
    assert code == 1
    by_contrast = {(each["finding"]["what"], each["finding"]["at"]): each for each in told["primary"]}
    assert len(by_contrast) == 6
    assert not by_contrast["ppo - sft/2", "0.9"]["passes"]
    # They predict *same*, which is not so here.
    assert "more" in by_contrast["ppo - sft", "best"]["finding"]["verdict"]["words"]
    assert not by_contrast["ppo - sft", "best"]["passes"]
    assert not by_contrast["ppo - sft", "0.9"]["passes"]


def test_the_digest_is_of_the_rules_in_use(tmp_path):
    assert digest(str(tmp_path)) == digest()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "claims2.yaml").write_bytes(b"mine")
    assert digest(str(tmp_path)) == hashlib.sha256(b"mine").hexdigest() != digest()


def test_every_command_asked_for_is_one_that_there_is(results, capsys):
    _, out, _ = claims(capsys, results, "--json")
    commands = [command for claim in json.loads(out)["claims"] for command in claim["commands"]]
    assert len(commands) > 5
    for command in commands:
        words = command.split()[3:]
        if words[0] == "-m":
            with config.registry() as registry:
                for each in list(combinations(words[1:], multirun=True))[:1]:
                    registry.compose(each)
        else:
            with config.registry() as registry:
                registry.study(words)


def test_the_page_says_what_each_claim_came_to(results, capsys):
    _, out, _ = claims(capsys, results)
    assert "C1  RL retains more than SFT\n" in out
    assert "sft/2 in 18 of 18 runs (18: the run never reaches the level)" in " ".join(out.split())
    assert "add: python -m razorbench -m results=" in out
    assert "Status: exploratory" in out
    assert all(len(line) <= 80 for line in out.splitlines() if "expects" in line or "pairs" in line)


def test_no_first_edition_word_is_left(results, capsys):
    _, out, _ = claims(capsys, results)
    for word in ("holds", "underpowered", "better", "worse"):
        assert f" {word} " not in out.replace("better than its rivals", "")


@pytest.mark.parametrize("chosen", [("pick_can", "ppo", 0), ("pick_can", None, None), (None, "ppo", None), (None, None, 0)])
def test_few_runs_are_no_verdict_and_no_traceback(results, tmp_path, capsys, chosen):
    """One run; one task; one arm; one seed of each, which is enough runs and tasks."""
    for path in results.rglob("record.json"):
        record = json.loads(path.read_text())
        found = record["task"].removesuffix("-v1"), record["method"]["name"], record["seed"]
        if record["base"].startswith("mlp-") and all(wanted in (None, one) for wanted, one in zip(chosen, found, strict=True)):
            target = tmp_path / path.parent.relative_to(results)
            target.mkdir(parents=True)
            for name in ("record.json", "curve.jsonl"):
                (target / name).write_text((path.parent / name).read_text())
    code, out, err = claims(capsys, tmp_path, "--json")
    assert code == 1, err
    first = json.loads(out)["claims"][0]
    words = {word for each in first["findings"] for word in each["verdict"]["words"]}
    assert (TOO_FEW in words) and ((words == {TOO_FEW}) == (chosen != (None, None, 0)))
    assert first["commands"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("nowhere",), "nowhere: no such folder; give the one that"), (("--budget",), "claims: argument --budget: expected one argument")],
)
def test_wrong_use(capsys, arguments, sentence):
    code, _, err = claims(capsys, *arguments)
    assert code == 2
    assert sentence in err


def test_a_budget_without_runs_is_refused(results, capsys):
    code, _, err = claims(capsys, results, "--budget", "quick")
    assert (code, "no run with budget=quick among" in err, "there is standard" in err) == (2, True, True), err


def test_worlds_are_decided_apart_and_each_asks_for_its_own_runs(results, tmp_path, capsys):
    """Elsewhere harm is the other way round; together the two would cancel."""
    for base, runs in (("theirs", 3), ("small", 2)):
        for task in ("pick_can", "pick_place", "stack"):
            for seed in range(runs):
                for method, harm in (("ppo", 0.4), ("sft", 0.05)):
                    world = {"base": f"{base}-s{seed}", "world": "elsewhere-1"}
                    write_run(tmp_path / "there" / base, task, method, seed, speed=0.4, harm=harm, **world)
    (tmp_path / "here").symlink_to(results)
    _, out, _ = claims(capsys, tmp_path, "--json")
    told = json.loads(out)
    assert set(told) == {"status", "sha256", "worlds"} and set(told["worlds"]) == {"workcell-2", "elsewhere-1"}
    here, there = ({claim["name"]: claim for claim in told["worlds"][world]["claims"]} for world in ("workcell-2", "elsewhere-1"))
    assert [claim["C1"]["findings"][2]["verdict"]["words"] for claim in (here, there)] == [["more"], ["less"]]
    alone = json.loads(claims(capsys, results, "--json")[1])
    without_folder = str(tmp_path), str(results)
    assert json.dumps(here).replace(*without_folder) == json.dumps({claim["name"]: claim for claim in alone["claims"]})
    commands = [command for claim in there.values() for command in claim["commands"] if "razorbench -m " in command]
    assert commands and all(" base=theirs " in command for command in commands)
    assert {task for command in commands for task in re.search(r" task=(\S+)", command)[1].split(",")} == {"pick_can", "pick_place", "stack"}
    _, out, _ = claims(capsys, tmp_path)
    assert "world workcell-2\n\nC1" in out and "world elsewhere-1, base theirs\n\nC1" in out
    assert "world " not in claims(capsys, results)[1]
