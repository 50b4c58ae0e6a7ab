"""How far a tuned network is from its base: outputs, weights and activations; all from log-probabilities, and nothing clamped.

pi_0 is the base, pi the tuned network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from razorbench.studies.parity.methods import Examples
from razorbench.studies.parity.network import Parameters, forward, log_probs

PREDICTORS = {
    "kl_forward": ("forward KL", 0.96),
    "kl_reverse": ("reverse KL", 0.93),
    "tv": ("total variation", 0.80),
    "l2": ("L2 between distributions", 0.56),
    "js": ("Jensen-Shannon", None),
    "activations_l1": ("activation change, L1", 0.52),
    "activations_l2": ("activation change, L2", 0.55),
    "weights_l1": ("weight change, L1", 0.34),
    "weights_l2": ("weight change, L2", None),
    "weights_fisher": ("weight change, Fisher-weighted L2", 0.58),
    "weights_spectral": ("weight change, spectral norm", 0.58),
    "weights_changed": ("share of weights changed", None),
    "weights_rank": ("rank of the weight change", None),
}
"""Title, and R2 of a parabola in table 1 of arXiv 2509.04259, None where it has none."""
DIVERGENCES = ("kl_forward", "kl_reverse", "tv", "l2", "js")


def divergences(base: Tensor, tuned: Tensor) -> dict[str, Tensor]:
    """Return the mean over inputs of each divergence, (R,): KL and JS in nats, tv half the L1 distance, l2 the root of the summed squares.

    base: log-probabilities of pi_0, (N, C); tuned: those of pi, (R, N, C).
    """
    p0, p = base.exp(), tuned.exp()
    mixture = torch.logaddexp(base, tuned) - math.log(2)
    each = {
        "kl_forward": (p0 * (base - tuned)).sum(dim=-1),
        "kl_reverse": (p * (tuned - base)).sum(dim=-1),
        "tv": (p0 - p).abs().sum(dim=-1) / 2,
        "l2": (p0 - p).square().sum(dim=-1).sqrt(),
        "js": (p0 * (base - mixture) + p * (tuned - mixture)).sum(dim=-1) / 2,
    }
    return {name: value.mean(dim=-1) for name, value in each.items()}


def activation_change(base: Sequence[Tensor], tuned: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return the mean and the root mean square over a layer's features, each then averaged over inputs and layers, (R,).

    base, tuned: activations after each ReLU, (1, N, H) and (R, N, H).
    """
    changes = [after - before for before, after in zip(base, tuned, strict=True)]
    return {
        "activations_l1": torch.stack([change.abs().mean(dim=(1, 2)) for change in changes]).mean(dim=0),
        "activations_l2": torch.stack([change.square().mean(dim=2).sqrt().mean(dim=1) for change in changes]).mean(dim=0),
    }


def weight_change(base: Parameters, tuned: Parameters, information: Parameters) -> dict[str, Tensor]:
    """Return measures of the change d, (R,): mean |d|, root of sum d^2, sum F d^2, spectral norm, share of d != 0, and rank.

    Spectral norm and numerical rank (singular values above max(shape) times the float32 spacing of the largest) are sums over the weight
    matrices. The paper gives no formulas for its own.
    """
    changes = [after - before for before, after in zip(base, tuned, strict=True)]
    flat = torch.cat([change.flatten(1) for change in changes], dim=1)
    matrices = changes[::2]
    singular = [torch.linalg.svdvals(change) for change in matrices]
    return {
        "weights_l1": flat.abs().mean(dim=1),
        "weights_l2": flat.square().sum(dim=1).sqrt(),
        "weights_fisher": (flat.square() * torch.cat([one.flatten(1) for one in information], dim=1)).sum(dim=1),
        "weights_spectral": torch.stack([values[:, 0] for values in singular]).sum(dim=0),
        "weights_changed": (flat != 0).float().mean(dim=1),
        "weights_rank": torch.stack([_rank(values, change) for values, change in zip(singular, matrices, strict=True)]).sum(dim=0).float(),
    }


def _rank(singular: Tensor, matrices: Tensor) -> Tensor:
    return (singular > singular[:, :1] * max(matrices.shape[1:]) * torch.finfo(singular.dtype).eps).sum(dim=1)


def fisher(parameters: Parameters, inputs: Tensor, rng: torch.Generator) -> Parameters:
    """Return the diagonal Fisher information of one run's parameters: mean over inputs (N, in) of (d log pi(y) / d theta)^2, y drawn from pi.

    In a linear layer an input's gradient is the outer product of what enters and of the gradient at what leaves, so squares come without it.
    """
    with torch.enable_grad():
        entering, leaving = forward([one.detach().requires_grad_() for one in parameters], inputs)
        final = leaving[-1].log_softmax(dim=-1)
        drawn = torch.multinomial(final[0].detach().exp(), 1, generator=rng)
        slopes = torch.autograd.grad(final[0].gather(-1, drawn).sum(), leaving)
    information = []
    for before, slope in zip(entering, slopes, strict=True):
        squared = slope.square()
        information += [before.detach().square().mT @ squared / len(inputs), squared.mean(dim=1, keepdim=True)]
    return information


def accuracy(tuned: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of right outputs when greedy and, exact, when sampling, (R,). tuned: log-probabilities (R, N, C); right: (N, C)."""
    right = right.expand(tuned.shape)
    greedy = right.gather(-1, tuned.argmax(dim=-1, keepdim=True)).float().mean(dim=(1, 2))
    return greedy, (tuned.exp() * right).sum(dim=-1).mean(dim=-1)


@dataclass(frozen=True)
class Probe:
    """Held-out examples of a task with the base's activations, (1, N, H) per layer, and log-probabilities, (N, C), on them."""

    examples: Examples
    activations: list[Tensor]
    log_probs: Tensor

    @classmethod
    def of(cls, parameters: Parameters, examples: Examples) -> Self:
        """Ask the base."""
        entering, leaving = forward(parameters, examples.inputs)
        return cls(examples, entering[1:], leaving[-1][0].log_softmax(dim=-1))

    def measure(self, parameters: Parameters) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return accuracies, greedy and sampling, and how far outputs and activations are from the base's, (R,) each."""
        entering, leaving = forward(parameters, self.examples.inputs)
        tuned = leaving[-1].log_softmax(dim=-1)
        far = divergences(self.log_probs, tuned) | activation_change(self.activations, entering[1:])
        return *accuracy(tuned, self.examples.right), far


@dataclass(frozen=True)
class HeldOut:
    """Images of both tasks that nothing is trained on: TEST ones to measure on, SELECT ones to choose checkpoints on."""

    new: Examples
    old: Examples
    select_new: Examples
    select_old: Examples


@dataclass(frozen=True)
class Base:
    """One run's parameters, its probes of both tasks, and its Fisher information on old-task inputs, as the paper has it."""

    parameters: Parameters
    held_out: HeldOut
    new: Probe
    old: Probe
    information: Parameters

    @classmethod
    @torch.no_grad()
    def of(cls, parameters: Parameters, held_out: HeldOut, rng: torch.Generator) -> Self:
        """Measure the base on held-out examples."""
        information = fisher(parameters, held_out.old.inputs, rng)
        return cls(parameters, held_out, Probe.of(parameters, held_out.new), Probe.of(parameters, held_out.old), information)

    @torch.no_grad()
    def measure(self, parameters: Parameters) -> dict[str, Tensor]:
        """Return accuracies, forgetting (the drop of greedy old-task accuracy) and every predictor, (R,) each.

        A predictor on inputs of the new or the old task ends in `_new` or `_old`; accuracies on SELECT images start with `select_`.
        """
        parity, sampled, far_new = self.new.measure(parameters)
        kept, _, far_old = self.old.measure(parameters)
        before = accuracy(self.old.log_probs[None], self.old.examples.right)[0]
        select_new, select_old = self.held_out.select_new, self.held_out.select_old
        return {
            "parity": parity,
            "parity_sampled": sampled,
            "old": kept,
            "forgetting": before - kept,
            "select_parity": accuracy(log_probs(parameters, select_new.inputs), select_new.right)[0],
            "select_old": accuracy(log_probs(parameters, select_old.inputs), select_old.right)[0],
            **{f"{name}_new": value for name, value in far_new.items()},
            **{f"{name}_old": value for name, value in far_old.items()},
            **weight_change(self.parameters, parameters, self.information),
        }
