"""Films; they need an OpenGL library, and say so where there is none."""

import gc
import os
import subprocess
import sys

import imageio.v2 as imageio
import numpy as np
import pytest
from conftest import TINY, TINY_METHOD, task

from razorbench.commands.main import main
from razorbench.world.gallery import gallery

pytestmark = pytest.mark.usefixtures("few_states")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    with pytest.raises(SystemExit) as done:
        main(["task=pick_place", "method=sft", f"results={results}", *TINY, *TINY_METHOD["sft"]])
    assert done.value.code == 0
    return next(results.rglob("record.json")).parent


# imageio leaves the pipes of its mp4 reader and writer to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.gl
@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_film(run_folder, kind, capsys):
    with pytest.raises(SystemExit) as done:
        main(["video", str(run_folder), "--format", kind, "--episodes", "1"])
    assert done.value.code == 0
    paths = capsys.readouterr().out.split()
    assert len(paths) == 2
    for path in paths:
        with imageio.get_reader(path) as reader:
            frames = [frame for frame in reader]
        assert len(frames) > 5
        assert np.std(frames[0]) > 20
        assert any(not np.array_equal(frames[0], frame) for frame in frames)
    gc.collect()


@pytest.mark.gl
def test_gallery_has_a_clip_of_each_style_and_one_sheet(tmp_path):
    paths = gallery([task("lift"), task("stack")], tmp_path, "gif")
    assert [path.name for path in paths] == ["contact_sheet.png", "lift-direct.gif", "stack-direct.gif", "stack-detour.gif"]
    sheet = imageio.imread(paths[0])
    assert sheet.shape == (240, 5 * 326 - 6, 3)
    # Three cells are drawn, two are left white; the line of the tool's way is in each of the three.
    cells = [sheet[30:, k * 326 : k * 326 + 320].astype(int) for k in range(5)]
    magenta = [((cell[..., 0] > 180) & (cell[..., 1] < 90) & (cell[..., 2] > 90)).sum() for cell in cells]
    assert min(magenta[:3]) > 30
    assert (cells[3] == 255).all()
    assert (cells[4] == 255).all()


@pytest.mark.gl
def test_gymnasium_render():
    from razorbench.world.gym_envs import TaskEnv

    env = TaskEnv("razorbench.envs.lift.make", "lift-v1", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (480, 640, 3)
    env.close()


def test_a_visual_model_takes_the_physics_models_states():
    world = task("lift").world
    physics, visual = world.model(None), world.visual_model(None)
    assert (physics.nq, physics.nv, physics.nu) == (visual.nq, visual.nv, visual.nu)
    assert visual.ngeom > physics.ngeom
    assert np.allclose(physics.body_mass[physics.body("link2").id], visual.body_mass[visual.body("link2").id])


def test_without_opengl_one_sentence(run_folder):
    done = subprocess.run(
        [sys.executable, "-m", "razorbench", "video", str(run_folder)],
        capture_output=True, text=True, check=False, env={**os.environ, "MUJOCO_GL": "disable"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "no OpenGL library could draw here" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_never_touches_opengl():
    loaded = "'OpenGL' in sys.modules or 'razorbench.world.camera' in sys.modules"
    code = f"import sys, razorbench.commands.main, razorbench.commands.terminal, razorbench.registry.config, razorbench.runs.run; sys.exit({loaded})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
