"""Divergences where the base goes when it is asked for its old skills in a new task's scenes."""

import itertools
import sys

import numpy as np
import pytest
import recall_file
from conftest import TINY, compose
from recall_tables import across_bases, asking
from synthetic import write_run

from razorbench.measures import recall_states
from razorbench.measures.divergence import PER_STATE
from razorbench.measures.probe_states import Ruler
from razorbench.measures.recall_states import Asking
from razorbench.policy import network
from razorbench.runs.run import run
from razorbench.statistics.finished_runs import PREDICTORS, STATES, read_runs
from razorbench.store.estimate import Estimate, Undefined
from razorbench.task import Split
from razorbench.world.scenes import with_goals


@pytest.fixture(scope="module")
def spec():
    return compose("task=pick_place", "method=sft", *TINY)[0]


def test_the_base_is_asked_for_every_old_skill_at_every_place_in_the_new_tasks_scenes(spec):
    skills, goals = spec.base.skills[:3], spec.base.goals
    states = Asking(2, 10**9).visited(spec.base.policy, spec.task, skills, goals)
    columns = spec.task.world.instruction
    assert set(states[:, columns].argmax(axis=1)) == {skill.slot for skill in skills}
    places = with_goals(spec.task, goals)
    # Nothing says that an old skill is done: every episode lasts as long as the new task's may.
    assert len(states) == len(skills) * len(places) * 2 * spec.task.horizon
    own, *others = (task.starts(Split.PROBE, np.arange(2)) for task in (spec.task, *places))
    assert all(np.array_equal(other.state, own.state) for other in others)
    assert len({start.goal.tobytes() for start in (own, *others)}) == 1 + len(places)
    assert len(Asking(2, 100).visited(spec.base.policy, spec.task, skills, goals)) == 100


def test_divergences_are_those_of_the_records(spec):
    base, tuned = spec.base.policy, network.clone(spec.base.policy)
    for parameter in network.actor_parameters(tuned):
        parameter.data += 0.01
    found = Ruler(base, spec.base.probes, spec.task, spec.base.skills).measure(tuned)
    ours = recall_states.measure(base, tuned, spec.base.probes[spec.task.name].states)
    assert ours == pytest.approx({name: found[name]["new"] for name in PER_STATE}, rel=1e-12)
    assert set(recall_states.measure(base, base, spec.base.probes[spec.task.name].states).values()) == {0.0}


def test_the_final_policies_of_a_study_are_measured_once(tmp_path, monkeypatch, capsys):
    spec, plain = compose("task=pick_place", "method=sft", *TINY)
    outcome = run(spec, tmp_path / "study", plain)
    monkeypatch.setattr(sys, "argv", ["asked", str(tmp_path / "study"), str(out := tmp_path / "asked.csv")])
    recall_file.main()
    (hash_,) = found = recall_file.read(out)
    assert hash_ == outcome.record.hashes.run and set(found[hash_]) == set(PER_STATE)
    assert found[hash_]["kl_forward"] > 0
    # What is there already is kept, also where its policy is not.
    out.write_text(out.read_text().replace(f"{found[hash_]['moved']:.6g}\n", "0.125\n") + "f00,1,2,3,0.5\n")
    recall_file.main()
    assert recall_file.read(out)[hash_]["moved"] == 0.125 and recall_file.read(out)["f00"] == {
        "kl_forward": 1,
        "kl_reverse": 2,
        "action_mse": 3,
        "moved": 0.5,
    }
    monkeypatch.setattr(sys, "argv", ["asked", str(tmp_path / "nowhere"), str(out)])
    with pytest.raises(SystemExit) as stopped:
        recall_file.main()
    assert stopped.value.code == 2
    assert "no run with its policy.safetensors below this folder" in capsys.readouterr().err


FAMILIES = (("ppo", "on-policy reward", 0.05), ("sft", "offline supervised", 0.3), ("lwf", "continual learning", 0.2))


def test_states_that_tell_forgetting_do_so_where_they_were_found_and_elsewhere(tmp_path):
    recorded = [name for name, path in PREDICTORS.items() if path.split(".")[1] in PER_STATE and path.split(".")[2] in STATES]
    for task in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta"):
        for method, family, harm in FAMILIES:
            for seed in range(2):
                name = f"{task}{method}{seed}".encode().hex()
                write_run(tmp_path, task, method, seed, speed=0.3, harm=harm, family=family, predictors=recorded, hashes={"run": name, "task_spec": task})
    runs = read_runs(tmp_path, {})
    design = ("alpha", "beta", "gamma")
    sets = {"design": [run for run in runs if run.task in design], "test": [run for run in runs if run.task not in design]}
    found = {each.record.hashes.run: dict.fromkeys(PER_STATE, each.record.forgetting.value) for each in runs}
    table = asking(sets, found)
    assert table.columns[2:] == ("design: held-out family", "test: held-out family", "fitted on design, applied to test")
    assert len(table.rows) == 5 * len(PER_STATE)
    for states, divergence, *values in table.rows:
        numbers = [each.value if isinstance(each, Estimate) else each for each in values]
        if states.startswith("where the base goes"):
            assert min(numbers) > 0.9, (divergence, values)
        elif states == "new task: the base's own":
            assert max(numbers) < 0.9, (divergence, values)
    few = asking({"design": sets["design"], "test": [run for run in sets["test"] if run.task == "zeta"]}, found)
    assert few.rows[0][3] == few.rows[0][4] == Undefined("too few runs: 1 of 3 tasks")
    assert isinstance(few.rows[0][2], Estimate)


def test_one_curve_for_several_bases(tmp_path):
    found = {}
    for base, arms in (("small", ("ppo", "sft")), ("large", ("sft", "ppo", "lwf"))):
        for task in ("alpha", "beta", "gamma"):
            for method in arms:
                family = next(family for name, family, _ in FAMILIES if name == method)
                hashes = {"run": f"{base}{task}{method}".encode().hex(), "task_spec": task}
                write_run(tmp_path / base, task, method, 0, speed=0.3, harm=0.3, family=family, base=f"{base}-s0", hashes=hashes, predictors=list(PREDICTORS))
    runs = {base: read_runs(tmp_path / base, dict.fromkeys(("alpha", "beta", "gamma"), ("direct",))) for base in ("small", "large")}
    for each in itertools.chain(*runs.values()):
        # The same curve for both bases on one divergence, another for each on the other.
        shift = {"small": 0.0, "large": 5.0}[each.base]
        kept = each.record.forgetting.value
        found[each.record.hashes.run] = dict.fromkeys(PER_STATE, kept) | {"kl_reverse": kept + shift}
    title, about, table = across_bases("Held-out base", runs, found)
    assert title == "### Held-out base"
    assert about.startswith("One curve for `large`, `small`, over the arms that they share: ppo, sft. Final policies of 12 runs; ")
    (asked_row,) = (line.strip("| ").split(" | ")[1:] for line in table.splitlines() if line.startswith("| base rollouts in the new"))
    kl, reverse, *_ = (float(cell.split()[0].replace(",", "")) for cell in asked_row)
    assert kl > 0.9 > reverse
    assert across_bases("", {"small": runs["small"]}, found) == []
