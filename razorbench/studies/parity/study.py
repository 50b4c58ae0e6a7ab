"""The paper's toy experiment on images: fine-tune a network on parity and measure how much it forgets of an old task (arXiv 2509.04259, section 4).

A base network learns two tasks jointly from few images: to name any digit with the parity of the image, and an old task with one label per image; an
indicator input selects the task. Then every method fine-tunes it on parity only, at many learning rates, two schedules and two durations; held-out
images measure it during training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from razorbench.errors import UsageError
from razorbench.policy.network import one_thread
from razorbench.seeding import generator, key
from razorbench.studies.findings import Findings, Say, within
from razorbench.studies.parity import report
from razorbench.studies.parity.images import CLASSES, digits, mnist_pair
from razorbench.studies.parity.law import Sweep
from razorbench.studies.parity.measures import Base, HeldOut
from razorbench.studies.parity.methods import METHODS, Batches, Examples, conditioned, objective, supervised
from razorbench.studies.parity.network import initial, log_probs, schedule, train
from razorbench.types import FloatArray

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Parity:
    """Settings of the study, with the paper's values where they differ: it has larger and more images."""

    images: str | None = None
    """Folder with mnist/ and fashion/ in idx files; None for scikit-learn's digits, with permuted pixels as the old task."""
    seeds: tuple[int, ...] = tuple(range(8))
    """Seeds of the bases; each has its own images, initial weights and draws."""
    hidden: tuple[int, ...] = (64, 32)
    """Widths of the hidden layers (paper: 512, 256)."""
    pretrain_images: int = 250
    """Images per task to pretrain on (paper: 500)."""
    pretrain_epochs: int = 40
    pretrain_rate: float = 1e-3
    tune_images: int = 600
    """New-task images to fine-tune on, none from pretraining."""
    test_images: int = 450
    """TEST images per task; there are as many SELECT images to choose checkpoints."""
    batch_size: int = 32
    learning_rates: int = 15
    lowest_rate: float = 3e-5
    highest_rate: float = 1e-2
    """Ends of the log-spaced learning rates (paper: 3e-6 to 1e-3, for a wider network)."""
    epochs: tuple[int, ...] = (10, 20)
    """Durations (paper: 1 and 2, on an unstated number of images)."""
    warmup: float = 0.1
    """Share of the updates with a rising learning rate."""
    checkpoints: int = 5
    """Checkpoints per run, evenly spaced, the last at its end."""
    group_size: int = 8
    """Outputs per image that the rewarded methods draw."""
    kl_coef: float = 0.1
    """Weight of the KL penalty of `grpo_kl`, as in the paper."""
    targets: tuple[float, ...] = (0.94, 0.95, 0.96)
    """Parity accuracies at which methods are compared."""

    def __post_init__(self) -> None:
        """Raise UsageError for settings that cannot be run."""
        if len(set(self.seeds)) < max(2, len(self.seeds)):
            raise UsageError(f"seeds is {list(self.seeds)}: intervals over seeds need two or more distinct seeds")
        counts = ("hidden", "pretrain_images", "pretrain_epochs", "tune_images", "test_images", "batch_size", "learning_rates", "epochs", "checkpoints")
        within(self, **dict.fromkeys(counts, (1, math.inf)), **dict.fromkeys(("pretrain_rate", "lowest_rate", "highest_rate"), (1e-12, 1.0)))
        within(self, seeds=(0, math.inf), warmup=(0.0, 1.0), kl_coef=(0.0, math.inf), targets=(0.0, 1.0))
        if self.lowest_rate > self.highest_rate:
            raise UsageError(f"lowest_rate is {self.lowest_rate:g} and highest_rate is {self.highest_rate:g}: the lowest must not be above the highest")
        if self.group_size < 2:
            raise UsageError(f"group_size is {self.group_size}: comparing rewards needs a group of 2 or more")
        shortest = min(self.epochs) * math.ceil(self.tune_images / self.batch_size)
        if shortest < self.checkpoints:
            raise UsageError(f"checkpoints is {self.checkpoints} and the shortest run has {shortest} updates: lower checkpoints or raise epochs")

    def run(self, say: Say) -> Findings:
        """Pretrain, fine-tune and measure; the same settings give the same findings. Raises UsageError and FileDamaged, see `images`."""
        with one_thread():
            measured = [self._seed(seed, say) for seed in self.seeds]
        values, bases = ([seed[part] for seed in measured] for part in (0, 1))
        peaks, cosine = self._grid()
        updates = np.concatenate([np.tile(self._checkpoints(epochs), (len(peaks), 1)) for epochs in self.epochs])
        sweep = Sweep(
            values={name: np.stack([seed[name] for seed in values]) for name in values[0]},
            base={name: np.array([seed[name] for seed in bases]) for name in bases[0]},
            seeds=self.seeds,
            methods=tuple(METHODS),
            rates=np.tile(peaks.numpy(), len(self.epochs)),
            schedules=[SCHEDULES[decays] for decays in cosine.tolist()] * len(self.epochs),
            epochs=np.repeat(self.epochs, len(peaks)),
            updates=updates,
        )
        return report.findings(sweep, self.targets)

    def _seed(self, seed: int, say: Say) -> tuple[dict[str, FloatArray], dict[str, float]]:
        """Return the measures of all checkpoints from one base, (M, R, T) each, and those of the base itself."""
        rng, draws = generator("parity", seed), torch.Generator().manual_seed(int(key("parity", seed)))
        base, examples = self._pretrain(rng, draws)
        start = {name: float(value) for name, value in base.measure(base.parameters).items()}
        say(f"seed {seed}: the base has {start['parity']:.3f} at parity and {start['old']:.3f} at the old task")
        tuned = [[self._tune(method, epochs, base, examples, draws) for epochs in self.epochs] for method in METHODS]
        return {name: np.stack([np.concatenate([part[name] for part in parts]) for parts in tuned]) for name in start}, start

    def _pretrain(self, rng: np.random.Generator, draws: torch.Generator) -> tuple[Base, Examples]:
        """Return the base, and the new-task examples to fine-tune on."""
        new, old = mnist_pair(Path(self.images), 2 * self.test_images, rng) if self.images else digits(2 * self.test_images, rng)
        learned = Examples.parity(new.train.drawn(self.pretrain_images + self.tune_images, "train on the new task", rng))
        joint = learned.first(self.pretrain_images) + Examples.identity(old.train.drawn(self.pretrain_images, "train on the old task", rng))
        labels = conditioned(torch.ones(CLASSES), joint.right)
        inputs = joint.inputs.shape[1]
        updates = self.pretrain_epochs * math.ceil(len(labels) / self.batch_size)
        loss = supervised(joint, labels, Batches(self.batch_size, 1, draws))
        *_, parameters = train(initial((inputs, *self.hidden, CLASSES), draws), loss, torch.full((updates, 1), self.pretrain_rate))
        test, select = slice(self.test_images), slice(self.test_images, None)
        held_out = HeldOut(
            new=Examples.parity(new.test.part(test)),
            old=Examples.identity(old.test.part(test)),
            select_new=Examples.parity(new.test.part(select)),
            select_old=Examples.identity(old.test.part(select)),
        )
        return Base.of([parameter.detach() for parameter in parameters], held_out, draws), learned.rest(self.pretrain_images)

    def _tune(self, method: str, epochs: int, base: Base, examples: Examples, draws: torch.Generator) -> dict[str, FloatArray]:
        """Return the measures of every checkpoint for all learning rates and schedules, (R, T) each."""
        peaks, cosine = self._grid()
        with torch.no_grad():
            base_log_probs = log_probs(base.parameters, examples.inputs)[0]
        loss = objective(method, examples, base_log_probs, self.group_size, self.kl_coef, Batches(self.batch_size, len(peaks), draws))
        checkpoints = self._checkpoints(epochs)
        start = [parameter.expand(len(peaks), -1, -1) for parameter in base.parameters]
        steps = enumerate(train(start, loss, schedule(peaks, cosine, checkpoints[-1], self.warmup)), start=1)
        points = [base.measure(parameters) for update, parameters in steps if update in checkpoints]
        return {name: torch.stack([point[name] for point in points], dim=1).numpy() for name in points[0]}

    def _grid(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the peak learning rates of the runs of one duration, (R,), and the mask of those that decay, (R,)."""
        rates = torch.tensor(np.geomspace(self.lowest_rate, self.highest_rate, self.learning_rates), dtype=torch.float32)
        return rates.repeat(len(SCHEDULES)), torch.arange(len(SCHEDULES)).repeat_interleave(len(rates)) == 1

    def _checkpoints(self, epochs: int) -> list[int]:
        updates = epochs * math.ceil(self.tune_images / self.batch_size)
        return [updates * (k + 1) // self.checkpoints for k in range(self.checkpoints)]
