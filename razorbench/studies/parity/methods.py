"""The methods of the paper's toy (arXiv 2509.04259, section 4 and appendix B.3), as losses over many parallel runs.

An image has a set of right outputs. Every supervised method fits labels from q(y) proportional to preference(y) R(y): `sft_1` is uniform on outputs 0 and
1, `sft_2` on 0, 1, 4 and 5, and `oracle` uses the base's probabilities, q* = pi_0 R / sum pi_0 R, which among all q with E_q[R] = 1 has the smallest
KL(q || pi_0) (lemma A.1). Labels are redrawn at every visit of an image: with a few hundred images and many visits, a network would memorize fixed labels
instead of fitting q. The rewarded methods draw outputs from pi: `reinforce` trains on the right ones only (the paper's 1-0 REINFORCE, section 5.1), `grpo`
on all with group-normalized rewards, and `grpo_kl` adds a KL penalty to pi_0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from razorbench.studies.parity.images import CLASSES, Images
from razorbench.studies.parity.network import Loss, Parameters, log_probs

METHODS = {
    "oracle": "SFT on q* (oracle)",
    "grpo_kl": "GRPO + KL",
    "grpo": "GRPO",
    "reinforce": "1-0 REINFORCE",
    "sft_2": "SFT 2",
    "sft_1": "SFT 1",
}
"""Titles, in the paper's order of retention, best first; `reinforce` is not in its toy, but is like GRPO on its LLM."""
_LABELS = {"sft_1": (0, 1), "sft_2": (0, 1, 4, 5)}

Advantage = Callable[[Tensor], Tensor]
"""Maps rewards to advantages, groups along the last axis."""


@dataclass(frozen=True)
class Examples:
    """Examples. inputs: (N, P + 1), pixels and the task's indicator; right: mask of right outputs, (N, C)."""

    inputs: Tensor
    right: Tensor

    @classmethod
    def parity(cls, images: Images) -> Examples:
        """Return examples of the new task: indicator +1; every digit with the image's parity is right."""
        return cls._of(images, 1.0, 2)

    @classmethod
    def identity(cls, images: Images) -> Examples:
        """Return examples of the old task: indicator -1; the image's own label is right."""
        return cls._of(images, -1.0, CLASSES)

    @classmethod
    def _of(cls, images: Images, indicator: float, modulus: int) -> Examples:
        pixels, labels = torch.tensor(images.pixels, dtype=torch.float32), torch.tensor(images.labels)
        return cls(torch.nn.functional.pad(pixels, (0, 1), value=indicator), labels[:, None] % modulus == torch.arange(CLASSES) % modulus)

    def first(self, count: int) -> Examples:
        """Return the first count examples."""
        return Examples(self.inputs[:count], self.right[:count])

    def rest(self, count: int) -> Examples:
        """Return all but the first count examples."""
        return Examples(self.inputs[count:], self.right[count:])

    def __add__(self, other: Examples) -> Examples:
        return Examples(torch.cat([self.inputs, other.inputs]), torch.cat([self.right, other.right]))


@dataclass(frozen=True)
class Batches:
    """Minibatches with a separate order per run, reshuffled every epoch, and the generator of all draws."""

    size: int
    runs: int
    rng: torch.Generator

    def order(self, images: int) -> Iterator[Tensor]:
        """Yield indices of images, (runs, size), endlessly; the last minibatch of an epoch may be smaller."""
        while True:
            yield from torch.rand(self.runs, images, generator=self.rng).argsort(dim=1).split(self.size, dim=1)

    def draw(self, probabilities: Tensor, count: int) -> Tensor:
        """Draw count independent outputs from each of probabilities (R, N, C), (R, N, count)."""
        return torch.multinomial(probabilities.flatten(0, 1), count, replacement=True, generator=self.rng).view(*probabilities.shape[:2], count)


def conditioned(preference: Tensor, right: Tensor) -> Tensor:
    """Return q = preference R / sum preference R, (N, C). preference: (N, C) or (C,); right: (N, C)."""
    weight = preference * right
    return weight / weight.sum(dim=-1, keepdim=True)


def supervised(examples: Examples, labels: Tensor, batches: Batches) -> Loss:
    """Return the loss: the mean of -log pi(y), with y drawn from labels (N, C) at every visit."""
    order = batches.order(len(labels))

    def loss(parameters: Parameters) -> Tensor:
        chosen = next(order)
        drawn = batches.draw(labels[chosen], 1)
        return -log_probs(parameters, examples.inputs[chosen]).gather(-1, drawn).mean(dim=1).sum()

    return loss


def advantages(reward: Tensor) -> Tensor:
    """Return (reward - mean) / standard deviation of its group, groups along the last axis; 0 where all are equal (GRPO, arXiv 2402.03300)."""
    spread = reward.std(dim=-1, correction=0, keepdim=True)
    return (reward - reward.mean(dim=-1, keepdim=True)) / spread.where(spread > 0, 1.0)


def rewarded(examples: Examples, advantage: Advantage, group: int, penalty: Penalty | None, batches: Batches) -> Loss:
    """Return the loss: the mean of -A log pi(y) over a group of outputs y per image drawn from pi, plus the penalty if given.

    R(y) is 1 if y is right, else 0, and A = advantage(R). Every update draws from the current policy, so no ratio needs clipping.
    """
    order = batches.order(len(examples.inputs))

    def loss(parameters: Parameters) -> Tensor:
        chosen = next(order)
        current = log_probs(parameters, examples.inputs[chosen])
        drawn = batches.draw(current.detach().exp(), group)
        reward = examples.right[chosen].gather(-1, drawn).float()
        value = -(advantage(reward) * current.gather(-1, drawn)).mean(dim=-1)
        if penalty:
            value = value + penalty.of(current, chosen)
        return value.mean(dim=1).sum()

    return loss


@dataclass(frozen=True)
class Penalty:
    """coefficient KL(pi || pi_0), in closed form. base: log-probabilities of pi_0, (N, C).

    The paper does not state the direction; GRPO's estimator has this one, fine-tuned policy first (arXiv 2402.03300).
    """

    coefficient: float
    base: Tensor

    def of(self, current: Tensor, chosen: Tensor) -> Tensor:
        """Return the penalty per image, (R, N). current: log-probabilities of pi, (R, N, C), on the chosen images, (R, N)."""
        return self.coefficient * (current.exp() * (current - self.base[chosen])).sum(dim=-1)


def objective(method: str, examples: Examples, base: Tensor, group: int, kl_coef: float, batches: Batches) -> Loss:
    """Return the loss of one of METHODS. base: log-probabilities of pi_0 on the examples, (N, C)."""
    if method == "reinforce":
        return rewarded(examples, lambda reward: reward, group, None, batches)
    if method in ("grpo", "grpo_kl"):
        return rewarded(examples, advantages, group, Penalty(kl_coef, base) if method == "grpo_kl" else None, batches)
    preference = base.exp() if method == "oracle" else torch.isin(torch.arange(CLASSES), torch.tensor(_LABELS[method]))
    return supervised(examples, conditioned(preference, examples.right), batches)
