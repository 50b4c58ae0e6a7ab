"""What every registered task and skill must keep."""

from dataclasses import replace
from importlib.resources import as_file, files
from itertools import combinations

import gymnasium
import numpy as np
import pytest
import task_page
from conftest import ROOT, SKILLS, TASKS, task

from razorbench.envs.physics import SLOTS
from razorbench.envs.sort_parity import pad_under
from razorbench.method.data import ACTION_NOISE
from razorbench.policy.network import distribution
from razorbench.registry import config
from razorbench.registry.building import build
from razorbench.task import Split, spaces
from razorbench.world.conformance import check_shipped
from razorbench.world.engine import MujocoEngine
from razorbench.world.rollout import Cell, play_expert

ALL = [*SKILLS, *TASKS]
STYLES = [(name, style) for name in ALL for style in task(name).experts]


@pytest.mark.parametrize(("name", "style"), STYLES)
def test_enough_demonstrations_succeed_under_their_noise(name, style):
    """Without noise 0.98 and more do: the conformance suite sees to that."""
    played = play_expert([Cell(task(name), Split.SELECT, np.arange(500))], style, noise=ACTION_NOISE)
    assert played.success.mean() >= (0.95 if name in SKILLS else 0.2)


@pytest.mark.parametrize("name", ALL)
def test_observations_lie_in_the_space_and_ask_for_one_instruction(name):
    played = play_expert([Cell(task(name), Split.SELECT, np.arange(20))], noise=0.3, keep=True)
    observations, _, _ = played.pairs()
    space = spaces(task(name))[0]
    assert all(space.contains(row) for row in observations)
    instruction = observations[:, task(name).world.instruction]
    assert np.array_equal(instruction.sum(axis=1), np.ones(len(instruction)))
    assert (instruction[:, task(name).slot] == 1).all()


@pytest.mark.parametrize("name", ALL)
def test_it_has_all_that_a_task_needs_to_ship(name):
    page = ROOT / "docs" / "tasks.md"
    with as_file(files("razorbench.envs").joinpath("golden.npz")) as file:
        assert check_shipped(task(name), [task(other) for other in ALL], SKILLS, file, page) == []


LACKING = {
    "one style": ({"experts": {"direct": task("stack").experts["direct"]}}, "experts has 1 style: a new task that ships needs two"),
    "no terms": ({"terms": {}}, "terms is empty"),
    "terms that fall": ({"terms": {"far": lambda r: 1 - task("stack").terms["touch"](r)}}, "terms do not rise while the expert works"),
    "a slot of another new task": ({"slot": SLOTS.index("pick_place")}, "slot 8 is also that of pick_place: take a free one"),
    "no golden trajectory": ({"id": "stack-v2"}, "it has no golden trajectory"),
    "no row": ({"id": "tower-v1"}, "docs/tasks.md has no row for it"),
}


@pytest.mark.parametrize("lacks", LACKING)
def test_what_a_task_lacks_to_ship_is_told_in_a_sentence(lacks, tmp_path):
    change, sentence = LACKING[lacks]
    (page := tmp_path / "tasks.md").write_text("| `stack` |")
    with as_file(files("razorbench.envs").joinpath("golden.npz")) as file:
        faults = check_shipped(replace(task("stack"), **change), [task(other) for other in ALL], SKILLS, file, page)
    assert any(fault.startswith(sentence) for fault in faults)


@pytest.mark.parametrize("name", TASKS)
def test_styles_are_apart(name):
    """By 2 cm of the tool's way on average, or by half a second."""
    the = task(name)
    shown = {style: task_page.show(the, style, n=100) for style in the.experts}
    for one, other in combinations(shown.values(), 2):
        later = 0.05 * abs(one.length[one.success].mean() - other.length[other.success].mean())
        assert task_page.distance(one, other) > 0.02 or later > 0.5


def test_distance_between_paths_of_known_shape():
    ends = np.linspace(0, 1, 50)[None, :, None]
    straight = task_page.Shown(np.array([True]), np.array([9]), ends * (0.3, 0.0, 0.0))
    aside = task_page.Shown(np.array([True]), np.array([9]), ends * (0.3, 0.0, 0.0) + (0.0, 0.04, 0.0))
    assert task_page.distance(straight, straight) == 0
    assert task_page.distance(straight, aside) == pytest.approx(0.04)


FACTORED = [name for name in TASKS if task(name).slot < SLOTS.index("free_1")]


@pytest.mark.parametrize("name", FACTORED)
def test_instruction_is_a_factor(name):
    by = {}
    with config.registry() as registry:
        for word in ("own", "shared"):
            composed = registry.compose([f"task={name}", f"task.instruction={word}"])
            by[word] = build(config.plain_config(composed)["task"], "task")
        assert registry.item("task", name).fingerprint() in {built.fingerprint() for built in by.values()}
    assert by["own"].slot == SLOTS.index(name)
    assert SLOTS[by["shared"].slot] in SKILLS
    assert by["own"].fingerprint() != by["shared"].fingerprint()


@pytest.mark.parametrize("name", ALL)
def test_gymnasium_makes_the_same_task_as_the_configuration(name):
    spec = gymnasium.spec(f"RazorBench/{name.title().replace('_', '')}-v1")
    made = gymnasium.make(spec).unwrapped.task
    assert made.fingerprint() == task(name).fingerprint()
    envs = gymnasium.make_vec(spec, num_envs=3, vectorization_mode="vector_entry_point")
    observations, _ = envs.reset(seed=0)
    assert observations.shape == (3, 72)
    envs.close()


def test_a_delayed_command_takes_effect_one_decision_late():
    prompt = replace(task("carry"), delayed=False)
    late = replace(prompt, delayed=True)
    rng = np.random.default_rng(3)
    engine, ids = MujocoEngine([prompt, late], 2), np.arange(2)
    start = prompt.starts(Split.SELECT, np.array([0, 0]))
    engine.begin(ids, ids, start)
    ahead = rng.uniform(-1, 1, 4)
    engine.step(ids, np.stack([[0, 0, 0, 1], ahead]))
    # The delayed one has not moved yet: it holds still, as the other was told to.
    assert np.allclose(engine.state[0], engine.state[1], atol=1e-12)
    engine.step(ids, np.stack([[0, 0, 0, 1], [0, 0, 0, 1]]))
    moved = engine.readings(ids).tool
    assert np.linalg.norm(moved[1] - moved[0]) > 0.005


def test_slots_of_a_delayed_task_forget_the_command_that_was_waiting():
    late = replace(task("carry"), delayed=True)
    engine, ids = MujocoEngine([late], 1), np.zeros(1, dtype=int)
    paths = []
    for _ in range(2):
        engine.begin(ids, 0, late.starts(Split.SELECT, ids))
        for _ in range(3):
            engine.step(ids, np.ones((1, 4)))
        paths.append(engine.state[0].copy())
    assert np.array_equal(*paths)


def _pads_used(act, n=200):
    """Which pad each SELECT start of sort_parity was solved on, -1 for none, and whether it asked for an even one."""
    the = task("sort_parity")
    engine, ids = MujocoEngine([the], n), np.arange(n)
    engine.begin(ids, 0, the.starts(Split.SELECT, ids))
    used = np.full(n, -1)
    for _ in range(the.horizon):
        engine.step(ids, act(engine, ids))
        solved = engine.success(ids) & (used < 0)
        used[solved] = pad_under(engine.readings(ids))[solved]
    return used, engine.readings(ids).symbol > 0


@pytest.mark.parametrize(("style", "even_pads", "odd_pads"), [("middle", {2}, {3}), ("two", {0}, {1}), ("four", {0, 4}, {1, 5})])
def test_sort_parity_asks_for_both_and_each_labelling_is_kept(style, even_pads, odd_pads):
    used, even = _pads_used(lambda engine, ids: engine.expert(ids, style))
    assert 60 < even.sum() < 140
    assert set(used[even]) == even_pads
    assert set(used[~even]) == odd_pads


def test_first_style_of_sort_parity_is_what_the_base_prefers(base):
    used, even = _pads_used(lambda engine, ids: np.clip(distribution(base.policy, engine.observe(ids)).mean, -1, 1))
    agrees = used == np.where(even, 2, 3)
    assert agrees.sum() > 30
    assert agrees[used >= 0].mean() > 0.95


def test_the_tasks_of_these_tests_are_those_of_the_workcell():
    with config.registry() as registry:
        worlds = {name: registry.item(group, name).world.version for group in ("skill", "task") for name in registry.names(group)}
    assert {name for name, world in worlds.items() if world == task("push").world.version} == {*SKILLS, *TASKS}
    assert len(set(worlds.values())) > 1
