"""The conformance suite passes everything registered, and says what is wrong with an impossible task."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT, SKILLS, TASKS, razorbench, task

from razorbench.registry import config
from razorbench.task import Split, Start
from razorbench.world.conformance import check_task
from razorbench.world.rollout import Cell, play_expert

ALL = [*SKILLS, *TASKS]


@pytest.mark.parametrize("name", ALL)
def test_everything_registered_conforms(name):
    assert check_task(task(name)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_no_other_tasks_expert_solves_it(name):
    assert check_task(task(name), [task(other) for other in ALL]) == []


def test_no_observation_is_constant_over_the_suite():
    """Over noisy expert episodes, instructions that no task uses apart."""
    tasks = [task(name) for name in ALL]
    observations, _, _ = play_expert([Cell(each, Split.SELECT, np.arange(40)) for each in tasks], noise=0.3, keep=True).pairs()
    instruction = tasks[0].world.instruction
    unused = set(range(instruction.start, instruction.stop)) - {instruction.start + each.slot for each in tasks}
    assert set(np.flatnonzero(np.ptp(observations, axis=0) == 0)) == unused


def _shifted(start, **moved):
    def shift(u):
        begun = start(u)
        state = begun.state.copy()
        for column, value in moved.items():
            state[:, int(column[1:])] = value
        return Start(state, begun.goal)

    return shift


def _inside_the_block(u):
    begun = LIFT.start(u)
    begun.state[:, _OBJECT : _OBJECT + 3] = begun.state[:, _BLOCK : _BLOCK + 3]
    return begun


def _raising(*_):
    raise KeyError("cube")


LIFT = task("lift")
# A state is the time, then the positions.
_OBJECT, _BLOCK = (1 + int(LIFT.world.model(None).joint(name).qposadr[0]) for name in ("object", "block"))
FAULTY = {
    "never solved": ({"success": lambda r: np.zeros(len(r.tool), dtype=bool)}, "expert direct solves 0.0%"),
    "always solved": ({"success": lambda r: np.ones(len(r.tool), dtype=bool)}, "100.0% of the starts are solved before any action"),
    "solved by doing nothing": ({"success": lambda r: r.object[:, 2] < 0.021, "horizon": 3}, "doing nothing solves"),
    "solved by chance": ({"success": lambda r: r.tool_velocity[:, 2] < -0.4}, "random actions solves"),
    "success of the wrong shape": ({"success": lambda r: np.zeros(3, dtype=bool)}, "success gives shape (3,) for 8 environments"),
    "success that is no boolean": ({"success": lambda r: r.object[:, 2]}, "success gives float64: it must give booleans"),
    "success that fails": ({"success": _raising}, "success raised KeyError ('cube')"),
    "start of the wrong shape": ({"start": lambda u: Start(np.zeros((len(u), 3)), np.zeros((len(u), 4)))}, "start gives a state of shape (8, 3)"),
    "start that fails": ({"start": _raising}, "start raised KeyError ('cube')"),
    "start that never varies": ({"start": lambda u: LIFT.start(np.full_like(u, 0.5))}, "only 1 of 100 train starts differ"),
    "start off the table": ({"start": _shifted(LIFT.start, **{f"c{_OBJECT}": 2.0})}, "the object is on the table or above it"),
    "start under the table": ({"start": _shifted(LIFT.start, **{f"c{_OBJECT + 2}": -0.3})}, "the object is on the table or above it"),
    "start inside the block": ({"start": lambda u: _inside_the_block(u)}, "mm inside one another"),
    "start that knows its neighbours": ({"start": lambda u: LIFT.start(np.roll(u, 1, axis=0) if len(u) > 1 else u)}, "differ"),
    "no expert": ({"experts": {}}, "experts is empty"),
    "expert of the wrong shape": ({"experts": {"direct": lambda r: np.zeros((len(r.tool), 3))}}, "expert direct gives shape (8, 3)"),
    "expert that fails": ({"experts": {"direct": _raising}}, "expert direct raised KeyError"),
    "no such slot": ({"slot": 32}, "slot is 32: the observation has instruction slots 0 to 31"),
    "no time": ({"horizon": 0}, "horizon is 0"),
    "term out of range": ({"terms": {"far": lambda r: 3 + r.object[:, 2]}}, "term far lies between 3.02 and 3.02"),
    "term that is not finite": ({"terms": {"far": lambda r: r.object[:, 2] * np.nan}}, "term far gives a number that is not finite"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_an_impossible_task_is_refused_with_a_sentence(name):
    change, sentence = FAULTY[name]
    faults = check_task(replace(LIFT, **change))
    assert any(sentence in fault for fault in faults), faults
    assert all("\n" not in fault for fault in faults)


def test_another_tasks_behaviour_must_not_solve_it():
    carried_off = replace(LIFT, entailed_by=())
    faults = check_task(carried_off, [task("carry")])
    assert len(faults) == 1
    assert faults[0].startswith("the expert direct of carry solves 100.0% of the SELECT starts")


def test_the_check_of_all_tasks_says_what_it_leaves_out(monkeypatch, capsys):
    with config.registry() as registry:
        there = [task("lift"), *(registry.item("skill", name) for name in ("mw_push", "mw_reach"))]
    monkeypatch.setattr(config.Registry, "all_tasks", lambda self: there)
    code, out, _ = razorbench(capsys, "check", "all", "--config-dir", str(ROOT / "examples" / "conf"))
    conforms, left_out = out.splitlines()
    assert (code, conforms) == (0, "lift-v1: conforms")
    command = f"`razorbench check mw_push --config-dir {ROOT / 'examples' / 'conf'}`"
    assert left_out == f"left out: mw_push, mw_reach (metaworld-1 has an engine of its own); check each, as in {command}"
