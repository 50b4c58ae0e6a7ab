"""How far a policy has moved inside: its weights and its hidden activations, beside the base's. Rivals of forward KL as predictors of forgetting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench import seeding
from razorbench.measures.probe_states import Probe
from razorbench.policy.network import actor_parameters, fisher_diagonal, hidden
from razorbench.store.record import Drift
from razorbench.task import Task
from razorbench.types import BoolArray, FloatArray

FISHER_STATES = 256
ACTIVATION_STATES = 256
NEIGHBOURS = 10


class DriftRuler:
    """Measures a policy against its base: actor weights, and activations on the states of the new task and of the original skills."""

    def __init__(self, base: ActorCriticPolicy, probes: Mapping[str, Probe], task: Task, skills: Sequence[Task]) -> None:
        old = np.concatenate([probes[skill.name].states for skill in skills])
        rng = seeding.generator("fisher", task.id)
        self._base = [parameter.detach().clone() for parameter in actor_parameters(base)]
        self._fisher = fisher_diagonal(base, torch.from_numpy(old[:: max(1, len(old) // FISHER_STATES)]), rng)
        self._states = {name: states[:: max(1, len(states) // ACTIVATION_STATES)] for name, states in (("new", probes[task.name].states), ("original", old))}
        self._hidden = {name: hidden(base, states) for name, states in self._states.items()}

    def measure(self, policy: ActorCriticPolicy) -> Drift:
        """Return `weights` and `activations`; None stands for undefined: similarities of constant activations, the rank of no change."""
        now = [parameter.detach() for parameter in actor_parameters(policy)]
        change = [(after - before).numpy().astype(np.float64) for before, after in zip(self._base, now, strict=True)]
        fisher = [values.numpy().astype(np.float64) for values in self._fisher]
        activations = {name: activation_drift(self._hidden[name], hidden(policy, states)) for name, states in self._states.items()}
        return Drift(weights=weight_drift(change, fisher), activations=activations)


def weight_drift(change: Sequence[FloatArray], fisher: Sequence[FloatArray]) -> dict[str, float | None]:
    """Return measures of a change of parameters; fisher: of the same shapes.

    `l1`: mean of |d|. `l2`: root of sum d^2. `fisher`: sum F d^2. `spectral`: sum over matrices of the largest singular value. `changed`: share of
    parameters that are another float. `rank`: entropy rank exp(-sum p ln p), p the singular values over their sum (Roy and Vetterli 2007), mean
    over the matrices that changed.
    """
    flat = np.concatenate([each.ravel() for each in change])
    spectra = [np.linalg.svd(each, compute_uv=False) for each in change if each.ndim == 2]
    ranks = [entropy_rank(values) for values in spectra if values.any()]
    return {
        "l1": float(np.abs(flat).mean()),
        "l2": float(np.sqrt((flat**2).sum())),
        "fisher": float(sum((f * d**2).sum() for f, d in zip(fisher, change, strict=True))),
        "spectral": float(sum(values[0] for values in spectra)),
        "changed": float((flat != 0).mean()),
        "rank": float(np.mean(ranks)) if ranks else None,
    }


def entropy_rank(values: FloatArray) -> float:
    """Return exp of the entropy of singular values (K,) over their sum: 1 for rank one, K if all are equal."""
    p = values[values > 0] / values.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def activation_drift(before: Sequence[FloatArray], after: Sequence[FloatArray]) -> dict[str, float | None]:
    """Return means over hidden layers, each (N, H) before and after, on the same states.

    `l1`: mean of |difference|. `l2`: root of the mean of its square. `cka`, `cknna`: similarities, 1 for no drift.
    """
    pairs = list(zip(before, after, strict=True))
    similar = {"cka": [linear_cka(x, y) for x, y in pairs], "cknna": [cknna(x, y) for x, y in pairs]}
    defined = {name: [value for value in values if value is not None] for name, values in similar.items()}
    return {
        "l1": float(np.mean([np.abs(y - x).mean() for x, y in pairs])),
        "l2": float(np.mean([np.sqrt(((y - x) ** 2).mean()) for x, y in pairs])),
        **{name: float(np.mean(values)) if len(values) == len(pairs) else None for name, values in defined.items()},
    }


def linear_cka(x: FloatArray, y: FloatArray) -> float | None:
    """Linear centred kernel alignment of activations x (N, P) and y (N, Q) (Kornblith et al. 2019, section 3); None if either is constant."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(x.T @ y) ** 2 / scale) if scale > 0 else None


def cknna(x: FloatArray, y: FloatArray, k: int = NEIGHBOURS) -> float | None:
    """Centred kernel nearest-neighbour alignment of x (N, P) and y (N, Q), as RL's Razor defines it (arXiv 2509.04259, appendix B.4).

    CKA's sums run only over pairs that are mutual k nearest neighbours in both, by the centred kernel, self excluded. Other definitions in use
    differ by up to 0.3: never compare across them. None if no pair qualifies.
    """
    kernels = [_centred_kernel(each) for each in (x, y)]
    both = _mutual(kernels[0], k) & _mutual(kernels[1], k)
    a, b = kernels[0][both], kernels[1][both]
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else None


def _centred_kernel(x: FloatArray) -> FloatArray:
    centred = x - x.mean(axis=0)
    kernel: FloatArray = centred @ centred.T
    return kernel


def _mutual(kernel: FloatArray, k: int) -> BoolArray:
    others = kernel.copy()
    np.fill_diagonal(others, -np.inf)
    near = np.zeros(kernel.shape, dtype=bool)
    np.put_along_axis(near, np.argpartition(-others, min(k, len(kernel) - 1) - 1, axis=1)[:, :k], True, axis=1)
    mutual: BoolArray = near & near.T
    return mutual
