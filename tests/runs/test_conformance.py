"""What `razorbench check` says of methods: nothing of ours, and one exact sentence for each way to break one."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from conftest import METHODS, TINY, TINY_METHOD, compose

from razorbench.method import Supervised, clone, log_likelihood
from razorbench.runs.conformance import check_method

QUICK = ("frozen", "sft", "weight_merge")
"""Methods that are checked by default: no loop, one loop, and two."""


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in METHODS])
def test_our_methods_conform(name):
    spec, _ = compose("task=pick_place", f"method={name}", *TINY, *TINY_METHOD[name])
    assert check_method(spec) == []


@dataclass(frozen=True)
class Sound(Supervised):
    """A method that conforms, in steps that its heirs break one at a time."""

    epochs: int = 1
    batch_size: int = 64

    family: ClassVar[str] = "ours"

    def adapt(self, base, task, budget, rng):
        demos = task.demonstrations(budget.demo_episodes, rng)
        policy = self.start(base)
        optimizer, total = task.optimizer(policy, self.learning_rate), 4
        for update in task.updates(total, **self.parts(policy, optimizer)):
            loss = -log_likelihood(policy, *self.batch(demos, rng)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.report(task, policy, update, total)
        return self.end(policy)

    def start(self, base):
        return clone(base)

    def parts(self, policy, optimizer):
        return {"policy": policy, "optimizer": optimizer}

    def batch(self, demos, rng):
        rows = rng.integers(len(demos.actions), size=self.batch_size)
        return demos.observations[rows], demos.actions[rows]

    def report(self, task, policy, update, total):
        task.update(policy, update, total)

    def end(self, policy):
        return policy


class Random(Sound):
    def batch(self, demos, rng):
        return super().batch(demos, np.random.default_rng())


class Forgetful(Sound):
    def parts(self, policy, optimizer):
        return {"policy": policy}


class Unkept(Sound):
    def parts(self, policy, optimizer):
        return {"policy": policy, "optimizer": optimizer, "seen": {"names": {1}}}


class Greedy(Sound):
    def report(self, task, policy, update, total):
        super().report(task, policy, update, total)
        task.envs(policy, 961, np.random.default_rng(0)).step_async(np.zeros((961, 4), dtype=np.float32))


class InPlace(Sound):
    def start(self, base):
        return base


class Silent(Sound):
    def report(self, task, policy, update, total):
        pass


class Skipping(Sound):
    def report(self, task, policy, update, total):
        super().report(task, policy, update + 1, total)


class Dressed(Sound):
    def end(self, policy):
        plain = policy.action_net.forward
        policy.action_net.forward = lambda x: plain(x) + 0.5
        return policy


class Nothing(Sound):
    def end(self, policy):
        return None


class Crashing(Sound):
    def end(self, policy):
        return {}["policy"]


BROKEN = {
    Random: "two runs with the same seed end with different policies or costs: draw random numbers from the `rng` that `adapt` gets, "
    "or from the global generators of Python, NumPy and torch, which the harness seeds",
    Forgetful: "a run that is killed after update 2 of 4 of loop 1 and resumes ends with another policy or other costs than a run that is not killed: "
    "give task.updates everything that its loop changes, as in task.updates(total, policy=policy, optimizer=optimizer, batches=batches)",
    Unkept: "a run that is killed after update 2 of 4 of loop 1 cannot resume: adapt raised TypeError (a checkpoint cannot hold set: "
    "give tensors, arrays, numbers, words, or mappings and lists of these) in `for update in task.updates(total, **self.parts(policy, optimizer)):`",
    Greedy: "env_steps would reach 961, the budget `standard` allows 960: lower the method's use or set budget.env_steps=961 or more",
    InPlace: "method=sft changed the policy that it was given: `adapt` must train a copy, from razorbench.method.clone",
    Silent: "the method trained (gradient steps counted: 4) and reported no update, so nothing was measured along the way: "
    "call task.update(policy, update, total) after each update",
    Skipping: "the method reported update 2 of 4 after update 0 of 4: number updates 1, 2, 3 and so on to one total, "
    "as `for update in task.updates(total, ...)` does",
    Nothing: "method=sft returned NoneType: `adapt` must return the tuned policy",
    Crashing: "adapt raised KeyError ('policy') in `return {}[\"policy\"]`",
}


@pytest.fixture(scope="module")
def tiny():
    return compose("task=pick_place", "method=sft", *TINY)[0]


def test_the_method_that_the_broken_ones_break_conforms(tiny):
    assert check_method(replace(tiny, method=Sound())) == []


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_each_fault_is_named_in_one_sentence(broken, tiny):
    assert check_method(replace(tiny, method=broken())) == [BROKEN[broken]]


def test_a_policy_that_is_not_its_file_is_named(tiny):
    (fault,) = check_method(replace(tiny, method=Dressed()))
    assert fault.startswith("the policy acts otherwise than its own parameters do in the base's architecture, by up to ")


def test_settings_that_could_change_are_named(tiny):
    @dataclass
    class Loose:
        learning_rate: float = 1e-4
        family: ClassVar[str] = "ours"
        version: ClassVar[int] = 1
        old_task_data: ClassVar[bool] = False

        def adapt(self, base, task, budget, rng):
            return base

    assert check_method(replace(tiny, method=Loose())) == [
        "Loose is a dataclass that is not frozen, so a run could change its settings: write @dataclass(frozen=True) above the class"
    ]
