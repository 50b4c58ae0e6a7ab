"""Gallery of all tasks and demonstration styles: a clip of each, and one contact sheet of the last frames with the tool's path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from razorbench.task import Split, Task
from razorbench.types import FloatArray
from razorbench.world.camera import Camera, Picture, caption, write
from razorbench.world.engine import MujocoEngine

_WIDTH, _HEIGHT, _COLUMNS = 320, 240, 5
_START = 9
"""The SELECT start to film; on it all styles of all tasks differ."""
_HOLD = 10
"""Number of times that a clip repeats its last frame."""


def gallery(tasks: Sequence[Task], folder: Path, kind: str) -> list[Path]:
    """Film each style of each task on one SELECT start and draw the contact sheet. Returns the files, the sheet first."""
    folder.mkdir(parents=True, exist_ok=True)
    sheet, cells, paths = folder / "contact_sheet.png", [], []
    for task in tasks:
        camera = Camera(task, _WIDTH, _HEIGHT, "close")
        try:
            for style in task.experts:
                states, places, goal = _episode(task, style)
                title = task.name if len(task.experts) == 1 else f"{task.name}, {style}"
                frames = [caption(camera.picture(state, goal), title) for state in states]
                path = folder / f"{task.name}-{style}.{kind}"
                write(path, iter(frames + [frames[-1]] * _HOLD))
                cells.append(caption(camera.picture(states[-1], goal, trail=places), title))
                paths.append(path)
        finally:
            camera.close()
    Image.fromarray(_tiled(cells)).save(sheet, optimize=True)
    return [sheet, *paths]


def _episode(task: Task, style: str) -> tuple[list[FloatArray], FloatArray, FloatArray]:
    """Play one expert episode without noise. Returns states, tool positions (T, 3), m, and the goal's place (3,), m."""
    engine, ids = MujocoEngine([task], 1, threads=1), np.zeros(1, dtype=np.int64)
    engine.begin(ids, 0, task.starts(Split.SELECT, np.array([_START])))
    states, places = [engine.state[0].copy()], [engine.readings(ids).tool[0].copy()]
    for _ in range(task.horizon):
        engine.step(ids, engine.expert(ids, style))
        states.append(engine.state[0].copy())
        places.append(engine.readings(ids).tool[0].copy())
        if engine.success(ids)[0]:
            break
    return states, np.array(places), engine.goal[0, :3]


def _tiled(cells: Sequence[Picture]) -> Picture:
    """Return a sheet of equally large pictures in rows, with white margins."""
    margin = 6
    rows = -(-len(cells) // _COLUMNS)
    height, width = cells[0].shape[0] + margin, cells[0].shape[1] + margin
    sheet = np.full((rows * height - margin, _COLUMNS * width - margin, 3), 255, dtype=np.uint8)
    for k, cell in enumerate(cells):
        top, left = (k // _COLUMNS) * height, (k % _COLUMNS) * width
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return sheet
