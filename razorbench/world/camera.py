"""Films and pictures. Only this module uses OpenGL, and only to draw."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from razorbench.errors import UsageError
from razorbench.task import Task
from razorbench.types import FloatArray
from razorbench.world.engine import mujoco_world

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 640, 480
FRAMES_PER_SECOND = 20


class Camera:
    """Camera that draws physics states of a task. Raises UsageError if there is no OpenGL library.

    It makes its own context because `mujoco.Renderer` chooses the library when mujoco is imported.
    """

    def __init__(self, task: Task, width: int = WIDTH, height: int = HEIGHT, view: str = "front") -> None:
        self._model = mujoco_world(task).visual_model(task.variant)
        self._data = mujoco.MjData(self._model)
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        try:
            self._gl = _gl_context(width, height)
            self._gl.make_current()
            self._drawing = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        except Exception as error:
            raise UsageError(
                f"no OpenGL library could draw here (MUJOCO_GL={os.environ.get('MUJOCO_GL', 'unset')}): install one, as in "
                "`apt-get install libegl1 libgl1-mesa-dri`, or `libosmesa6` with MUJOCO_GL=osmesa"
            ) from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawing)
        self._scene, self._options = mujoco.MjvScene(self._model, maxgeom=1000), mujoco.MjvOption()
        self._view = mujoco.MjvCamera()
        self._view.type, self._view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, self._model.camera(view).id

    def picture(self, state: FloatArray, mark: FloatArray | None = None, trail: FloatArray | Sequence[FloatArray] = ()) -> Picture:
        """Return a picture (H, W, 3) of a physics state (nstate,). mark: a place (3,) for a green ball; trail: points (T, 3) of a line."""
        mujoco.mj_setState(self._model, self._data, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        mujoco.mj_forward(self._model, self._data)
        self._gl.make_current()
        mujoco.mjv_updateScene(self._model, self._data, self._options, None, self._view, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene)
        if mark is not None:
            self._geom(mujoco.mjtGeom.mjGEOM_SPHERE, mark, 0.012, (0.2, 0.8, 0.3, 0.6))
        for here, there in itertools.pairwise(trail):
            line = self._geom(mujoco.mjtGeom.mjGEOM_CAPSULE, np.zeros(3), 0.0, (0.9, 0.0, 0.6, 1.0))
            mujoco.mjv_connector(line, mujoco.mjtGeom.mjGEOM_CAPSULE, 0.004, here, there)
        mujoco.mjr_render(self._rectangle, self._scene, self._drawing)
        pixels = np.empty((self._rectangle.height, self._rectangle.width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(pixels, None, self._rectangle, self._drawing)
        return pixels[::-1]

    def _geom(self, shape: Any, place: FloatArray, radius: float, colour: tuple[float, ...]) -> Any:
        """Add a glowing shape to the scene."""
        geom = self._scene.geoms[self._scene.ngeom]
        mujoco.mjv_initGeom(geom, shape, np.full(3, radius), place, np.eye(3).ravel(), np.array(colour, dtype=np.float32))
        geom.emission, geom.category = 0.7, mujoco.mjtCatBit.mjCAT_DECOR.value  # decoration casts no shadow
        self._scene.ngeom += 1
        return geom

    def close(self) -> None:
        """Free the OpenGL context."""
        self._drawing.free()
        self._gl.free()


def _gl_context(width: int, height: int) -> Any:
    """Return an off-screen context: MUJOCO_GL if set, else EGL on Linux, which needs no display, else MuJoCo's own choice."""
    library = os.environ.get("MUJOCO_GL") or ("egl" if sys.platform == "linux" else "rendering.classic.gl_context")
    return importlib.import_module(f"mujoco.{library}").GLContext(width, height)


def caption(picture: Picture, title: str, verdict: str = "") -> Picture:
    """Return a picture (H, W, 3) with a title, and a verdict at the right (`solved` is green)."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=20)
    draw.rectangle((0, 0, image.width, 30), fill=(255, 255, 255))
    draw.text((8, 3), title, fill=(26, 32, 44), font=font)
    draw.text((image.width - 8, 3), verdict, fill=(47, 133, 90) if verdict == "solved" else (197, 48, 48), font=font, anchor="ra")
    return np.asarray(image)


def write(path: Path, frames: Iterator[Picture]) -> None:
    """Write a film; the path's suffix chooses gif or mp4."""
    import imageio.v2 as imageio

    if path.suffix == ".gif":
        imageio.mimwrite(path, [frame[::2, ::2] for frame in frames], duration=1000 / FRAMES_PER_SECOND, loop=0)
        return
    with imageio.get_writer(path, fps=FRAMES_PER_SECOND, codec="libx264", quality=7, macro_block_size=16) as writer:
        for frame in frames:
            writer.append_data(frame)  # type: ignore[attr-defined]
