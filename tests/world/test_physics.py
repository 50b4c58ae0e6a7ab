"""The coarse timestep, explicit damping and sleeping bodies leave the physics sound."""

import mujoco
import numpy as np
import pytest
from conftest import task

from razorbench.envs.physics import Variant, workcell
from razorbench.task import Split
from razorbench.world.engine import MujocoEngine
from razorbench.world.rollout import Cell, play_expert

STEPS_PER_S = 100


def data_at(model, state):
    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    mujoco.mj_forward(model, data)
    return data


def test_explicit_damping_is_stable_on_every_joint():
    """Euler's explicit damping is stable below 2 and free of ringing below 1, as timestep times damping over inertia."""
    model = workcell().model(None)
    data = data_at(model, task("reach").starts(Split.TEST, np.array([0])).state[0])
    inertia = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, inertia)
    assert (model.opt.timestep * model.dof_damping.reshape(model.nv, -1)[:, 0] / np.diag(inertia)).max() < 0.7


def test_a_dropped_cube_only_loses_energy_and_comes_to_rest():
    model = workcell().model(None)
    state = task("reach").starts(Split.TEST, np.array([0])).state[0]
    data = data_at(model, state)
    cube = model.body("object").id
    place = model.jnt_qposadr[model.joint("object").id]
    data.qpos[place + 2] += 0.08
    energies = []
    for _ in range(STEPS_PER_S):
        mujoco.mj_step(model, data)
        velocity = np.zeros(6)
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, cube, velocity, 1)
        spin = 0.5 * (model.body_inertia[cube] * velocity[:3] ** 2).sum()
        energies.append(0.5 * model.body_mass[cube] * (velocity[3:] ** 2).sum() + spin + model.body_mass[cube] * 9.81 * data.xpos[cube, 2])
    start, rest = model.body_mass[cube] * 9.81 * 0.10, model.body_mass[cube] * 9.81 * 0.02
    # A spring-like contact gives back what it stores while it is pressed: no more than a fifth of the fall.
    assert max(energies) < start * 1.02
    assert np.diff(energies).max() < 0.2 * (start - rest)
    assert energies[-1] == pytest.approx(rest, rel=0.02)
    assert data.tree_asleep[model.body_treeid[cube]] >= 0


@pytest.mark.parametrize("name", ["push", "lift", "pick_place", "drawer_open", "lever_pull", "button_press"])
def test_experts_press_nothing_far_into_anything(name):
    the, n = task(name), 24
    model = the.world.model(the.variant)
    pads = {model.geom("pad_left").id, model.geom("pad_right").id}
    engine, ids = MujocoEngine([the], n), np.arange(n)
    engine.begin(ids, 0, the.starts(Split.SELECT, ids))
    everywhere, at_pads = [], []
    for _ in range(30):
        engine.step(ids, engine.expert(ids))
        for state in engine.state[::4]:
            for contact in data_at(model, state).contact:
                (at_pads if pads & set(contact.geom) else everywhere).append(-1000 * contact.dist)
    # Millimetres; what rests is pressed in by a tenth.
    assert np.quantile(everywhere, 0.5) < 0.5
    assert np.quantile(at_pads, 0.99) < 8.0
    assert max(everywhere + at_pads) < 12


def test_a_held_cube_creeps_less_than_5_mm_in_3_s():
    the, n = task("carry"), 32
    engine, ids = MujocoEngine([the], n), np.arange(n)
    engine.begin(ids, 0, the.starts(Split.SELECT, ids))
    for _ in range(25):
        engine.step(ids, engine.expert(ids))
    before = engine.readings(ids)
    held = before.object[:, 2] > 0.05
    offset = before.object[:, 2] - before.tool[:, 2]
    for _ in range(60):
        engine.step(ids, np.tile([0.0, 0.0, 0.0, -1.0], (n, 1)))
    after = engine.readings(ids)
    assert held.mean() > 0.9
    assert np.abs(after.object[:, 2] - after.tool[:, 2] - offset)[held].max() < 0.005


def test_free_motion_is_that_of_a_tenth_of_the_timestep():
    """Tool paths under random actions stay within 2 cm of those at 1 ms, from start to end of ten decisions."""
    world, n = workcell(), 8
    fine = world.spec(Variant())
    fine.option.timestep = world.model(None).opt.timestep / 10
    fine = fine.compile()
    the = task("reach")
    engine, ids = MujocoEngine([the], n), np.arange(n)
    start = the.starts(Split.SELECT, ids)
    engine.begin(ids, 0, start)
    twins = [data_at(fine, state) for state in start.state]
    rng, tool = np.random.default_rng(0), fine.site("tool").id
    for _ in range(10):
        actions = rng.uniform(-1, 1, (n, 4))
        actions[:, 2] = np.abs(actions[:, 2])  # upwards, away from contacts
        controls = world.control(engine.readings(ids), actions)
        engine.step(ids, actions)
        for twin, control in zip(twins, controls, strict=True):
            twin.ctrl[:] = control
            mujoco.mj_step(fine, twin, 10 * world.substeps)
            mujoco.mj_forward(fine, twin)
        there = np.array([twin.site_xpos[tool] for twin in twins])
        assert np.linalg.norm(engine.readings(ids).tool - there, axis=1).max() < 0.02


def test_sleeping_bodies_change_no_outcome(monkeypatch):
    cells = [Cell(task(name), Split.SELECT, np.arange(60)) for name in ("push", "lift", "pick_place")]
    asleep = play_expert(cells, noise=0.1)
    awake = workcell().spec(Variant())
    awake.option.enableflags &= ~int(mujoco.mjtEnableBit.mjENBL_SLEEP)
    awake = awake.compile()
    monkeypatch.setattr(workcell(), "model", lambda variant: awake)
    played = play_expert(cells, noise=0.1)
    assert abs(played.success.mean() - asleep.success.mean()) < 0.02
    assert abs(played.length.mean() - asleep.length.mean()) < 0.3
