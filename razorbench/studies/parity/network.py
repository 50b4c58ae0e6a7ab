"""Many small networks trained in parallel: a ReLU MLP with a leading axis of runs, and Adam with a learning rate per run.

Parameters are weights (R, in, out) and biases (R, 1, out), alternating. Runs are independent: the loss is the sum of the runs' losses, so each run's
gradient is that of its own loss.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

Parameters = list[Tensor]
Loss = Callable[[Parameters], Tensor]
"""Maps the parameters of R runs to the sum of their losses; may draw a new minibatch at every call."""


def initial(sizes: Sequence[int], rng: torch.Generator) -> Parameters:
    """Return one run's initial parameters, uniform within 1/sqrt(in) as in torch.nn.Linear. sizes: (inputs, hidden ..., outputs)."""
    return [(2 * torch.rand(1, rows, outputs, generator=rng) - 1) / math.sqrt(inputs) for inputs, outputs in itertools.pairwise(sizes) for rows in (inputs, 1)]


def forward(parameters: Parameters, inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return each layer's input, (R, N, in), and its output before the ReLU, (R, N, out). inputs: (R, N, in) or (N, in)."""
    entering, leaving = [inputs.expand(len(parameters[0]), *inputs.shape[-2:])], []
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        leaving.append(torch.baddbmm(bias, entering[-1], weight))
        entering.append(leaving[-1].relu())
    return entering[:-1], leaving


def log_probs(parameters: Parameters, inputs: Tensor) -> Tensor:
    """Return the log-probabilities of the outputs, nats, (R, N, C). inputs: (R, N, in) or (N, in)."""
    return forward(parameters, inputs)[1][-1].log_softmax(dim=-1)


def schedule(peaks: Tensor, cosine: Tensor, updates: int, warmup: float) -> Tensor:
    """Return the learning rate of every update, (updates, R): linear warm-up, then constant, or a half cosine to 0.

    peaks: (R,); cosine: mask of the runs that decay, (R,); warmup: share of the updates.
    """
    update, rise = torch.arange(1, updates + 1), math.ceil(warmup * updates)
    ramp = (update / max(rise, 1)).clamp(max=1)
    decay = (1 + torch.cos(math.pi * (update - rise).clamp(min=0) / max(updates - rise, 1))) / 2
    return peaks * torch.where(cosine, (ramp * decay)[:, None], ramp[:, None])


def train(parameters: Parameters, loss: Loss, rates: Tensor) -> Iterator[Parameters]:
    """Train with Adam (Kingma and Ba, arXiv 1412.6980; torch's defaults, no weight decay); yield the parameters, changed in place, after each update.

    rates: learning rates (updates, R).
    """
    parameters = [parameter.clone().requires_grad_() for parameter in parameters]
    means, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    for update, rate in enumerate(rates, start=1):
        gradients = torch.autograd.grad(loss(parameters), parameters)
        step, correction = (rate / (1 - 0.9**update))[:, None, None], math.sqrt(1 - 0.999**update)
        with torch.no_grad():
            for value, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
                mean.lerp_(gradient, 0.1)
                square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                value -= step * mean / (square.sqrt() / correction + 1e-8)
        yield parameters
