"""Joint angles for tool positions, so that episodes can start anywhere without inverse kinematics.

The angles are polynomials of the position, fitted once to damped least squares; `python -m razorbench.envs.posture FILE` repeats the fit.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.resources import as_file, files

import mujoco
import numpy as np

from razorbench.types import FloatArray

READY = np.array([0.0, -0.3, 0.0, -2.4, 0.0, 2.1, -np.pi / 4])
"""An elbow-up posture, the null space's target."""
TOOL_REGION = np.array([[0.30, -0.30, 0.05], [0.66, 0.30, 0.36]])
"""Region of the fit, m."""


def posture(tool: FloatArray) -> FloatArray:
    """Return joint angles (N, 7) that put the downward gripper at tool positions (N, 3), to about a centimeter."""
    angles = np.zeros((len(tool), 7))
    for column, weight in zip(_monomials(tool), _weights(), strict=True):
        angles += column[:, None] * weight[None, :]
    return angles


@cache
def _weights() -> FloatArray:
    with as_file(files("razorbench.envs").joinpath("posture.npy")) as path:
        weights: FloatArray = np.load(path, allow_pickle=False)
    return weights


def _monomials(tool: FloatArray) -> list[FloatArray]:
    """Return all products of the scaled coordinates up to degree 4, (N,) each."""
    middle, half = TOOL_REGION.mean(axis=0), np.ptp(TOOL_REGION, axis=0) / 2
    x, y, z = ((tool - middle) / half).T
    return [x**i * y**j * z**k for i in range(5) for j in range(5 - i) for k in range(5 - i - j)]


def fit(model: mujoco.MjModel) -> FloatArray:
    """Fit joint angles as polynomials of the tool position to damped least-squares inverse kinematics on a grid, (monomials, 7).

    Rounds to 1e-6, so that the linear algebra of different machines gives the same starts.
    """
    data = mujoco.MjData(model)
    site = model.site("tool").id
    down = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0]).reshape(3, 3)
    axes = [np.linspace(TOOL_REGION[0, i], TOOL_REGION[1, i], 5) for i in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    angles = np.empty((len(grid), 7))
    jacobian = np.zeros((6, model.nv))
    for row, target in enumerate(grid):
        data.qpos[:7] = READY
        for _ in range(20):
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            matrix = data.site_xmat[site].reshape(3, 3)
            twist = 0.5 * sum(np.cross(matrix[:, i], down[:, i]) for i in range(3))
            error = np.concatenate([target - data.site_xpos[site], twist])
            mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
            j = jacobian[:, :7]
            # The second term pulls the null space towards the ready posture.
            inverse = j.T @ np.linalg.inv(j @ j.T + 1e-6 * np.eye(6))
            data.qpos[:7] += inverse @ error + 0.2 * (np.eye(7) - inverse @ j) @ (READY - data.qpos[:7])
        angles[row] = data.qpos[:7]
    features = np.stack(_monomials(grid), axis=1)
    fitted: FloatArray = np.linalg.lstsq(features, angles, rcond=None)[0]
    return np.round(fitted, 6)


if __name__ == "__main__":
    from razorbench.envs.physics import workcell

    np.save(sys.argv[1], fit(workcell().model(None)))  # type: ignore[has-type] # the import is a circle
