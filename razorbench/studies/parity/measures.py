"""Change of a fine-tuned network from its base in outputs, weights and activations; computed from log-probabilities without clamping.

pi_0 is the base, pi the fine-tuned network.
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
"""Title, and R2 of a parabola in table 1 of arXiv 2509.04259, None if it has none."""
DIVERGENCES = ("kl_forward", "kl_reverse", "tv", "l2", "js")


def divergences(base: Tensor, tuned: Tensor) -> dict[str, Tensor]:
    """Return the mean over inputs of each divergence, (R,): KL and JS in nats, tv half the L1 distance, l2 the root of the summed squares.

    base: log-probabilities of pi_0, (N, C); tuned: those of pi, (R, N, C).
    """
    p0, p = base.exp(), tuned.exp()
    mixture = torch.logaddexp(base, tuned) - math.log(2)
    per_input = {
        "kl_forward": (p0 * (base - tuned)).sum(dim=-1),
        "kl_reverse": (p * (tuned - base)).sum(dim=-1),
        "tv": (p0 - p).abs().sum(dim=-1) / 2,
        "l2": (p0 - p).square().sum(dim=-1).sqrt(),
        "js": (p0 * (base - mixture) + p * (tuned - mixture)).sum(dim=-1) / 2,
    }
    return {name: value.mean(dim=-1) for name, value in per_input.items()}


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
    matrices. The paper gives no formulas.
    """
    changes = [after - before for before, after in zip(base, tuned, strict=True)]
    flat = torch.cat([change.flatten(1) for change in changes], dim=1)
    matrices = changes[::2]
    singular = [torch.linalg.svdvals(change) for change in matrices]
    return {
        "weights_l1": flat.abs().mean(dim=1),
        "weights_l2": flat.square().sum(dim=1).sqrt(),
        "weights_fisher": (flat.square() * torch.cat([f.flatten(1) for f in information], dim=1)).sum(dim=1),
        "weights_spectral": torch.stack([values[:, 0] for values in singular]).sum(dim=0),
        "weights_changed": (flat != 0).float().mean(dim=1),
        "weights_rank": torch.stack([_rank(values, change) for values, change in zip(singular, matrices, strict=True)]).sum(dim=0).float(),
    }


def _rank(singular: Tensor, matrices: Tensor) -> Tensor:
    return (singular > singular[:, :1] * max(matrices.shape[1:]) * torch.finfo(singular.dtype).eps).sum(dim=1)


def fisher(parameters: Parameters, inputs: Tensor, rng: torch.Generator) -> Parameters:
    """Return the diagonal Fisher information of one run's parameters: mean over inputs (N, in) of (d log pi(y) / d theta)^2, y drawn from pi.

    In a linear layer, the gradient of one input is the outer product of the layer's input and the gradient at its output, so its square is computed
    without forming it.
    """
    with torch.enable_grad():
        entering, leaving = forward([parameter.detach().requires_grad_() for parameter in parameters], inputs)
        final = leaving[-1].log_softmax(dim=-1)
        drawn = torch.multinomial(final[0].detach().exp(), 1, generator=rng)
        slopes = torch.autograd.grad(final[0].gather(-1, drawn).sum(), leaving)
    information = []
    for activation, slope in zip(entering, slopes, strict=True):
        squared = slope.square()
        information += [activation.detach().square().mT @ squared / len(inputs), squared.mean(dim=1, keepdim=True)]
    return information


def accuracy(tuned: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of right outputs, greedy and (in closed form) sampled, (R,) each. tuned: log-probabilities (R, N, C); right: (N, C)."""
    right = right.expand(tuned.shape)
    greedy = right.gather(-1, tuned.argmax(dim=-1, keepdim=True)).float().mean(dim=(1, 2))
    return greedy, (tuned.exp() * right).sum(dim=-1).mean(dim=-1)


@dataclass(frozen=True)
class Probe:
    """Held-out examples of a task, with the base's activations, (1, N, H) per layer, and log-probabilities, (N, C)."""

    examples: Examples
    activations: list[Tensor]
    log_probs: Tensor

    @classmethod
    def of(cls, parameters: Parameters, examples: Examples) -> Self:
        """Evaluate the base on the examples."""
        entering, leaving = forward(parameters, examples.inputs)
        return cls(examples, entering[1:], leaving[-1][0].log_softmax(dim=-1))

    def measure(self, parameters: Parameters) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return greedy and sampled accuracy, and the changes of outputs and activations from the base, (R,) each."""
        entering, leaving = forward(parameters, self.examples.inputs)
        tuned = leaving[-1].log_softmax(dim=-1)
        change = divergences(self.log_probs, tuned) | activation_change(self.activations, entering[1:])
        return *accuracy(tuned, self.examples.right), change


@dataclass(frozen=True)
class HeldOut:
    """Held-out images of both tasks: TEST images for the measures, SELECT images to choose checkpoints."""

    new: Examples
    old: Examples
    select_new: Examples
    select_old: Examples


@dataclass(frozen=True)
class Base:
    """A base's parameters, probes of both tasks, and Fisher information on old-task inputs, as in the paper."""

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
        parity, sampled, change_new = self.new.measure(parameters)
        old, _, change_old = self.old.measure(parameters)
        base_old = accuracy(self.old.log_probs[None], self.old.examples.right)[0]
        select_new, select_old = self.held_out.select_new, self.held_out.select_old
        return {
            "parity": parity,
            "parity_sampled": sampled,
            "old": old,
            "forgetting": base_old - old,
            "select_parity": accuracy(log_probs(parameters, select_new.inputs), select_new.right)[0],
            "select_old": accuracy(log_probs(parameters, select_old.inputs), select_old.right)[0],
            **{f"{name}_new": value for name, value in change_new.items()},
            **{f"{name}_old": value for name, value in change_old.items()},
            **weight_change(self.parameters, parameters, self.information),
        }
