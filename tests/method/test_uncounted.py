"""Costs that cannot be counted are noticed, and the record says so."""

from __future__ import annotations

import multiprocessing
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from spending import by_hand, own_engine, push, spec, tried

from razorbench.method.counting import UNCOUNTED, uncounted
from razorbench.policy import network as policies
from razorbench.runs.run import run


def without_optimizer(base, handle, copy):
    handle.demonstrations(2, np.random.default_rng(0))
    for update in (1, 2):
        by_hand(copy, 20)
        handle.update(copy, update, 2)


def hidden_behind_a_counted_step(base, handle, copy):
    handle.demonstrations(2, np.random.default_rng(0))
    optimizer = torch.optim.SGD(policies.actor_parameters(copy), lr=1e-3)
    for update in (1, 2, 3):
        push(copy, optimizer)
        by_hand(copy, 20)
        handle.update(copy, update, 3)


def between_counted_steps(base, handle, copy):
    handle.demonstrations(2, np.random.default_rng(0))
    optimizer = torch.optim.SGD(policies.actor_parameters(copy), lr=1e-3)
    for _ in range(5):
        by_hand(copy)
        push(copy, optimizer)
    handle.update(copy, 1, 1)


def on_their_data(base, handle, copy):
    with torch.no_grad():
        copy.log_std.data.add_(0.1)
    handle.demonstrations(2, np.random.default_rng(0))
    handle.update(copy, 1, 1)


def own_data(base, handle, copy):
    push(copy, torch.optim.SGD(policies.actor_parameters(copy), lr=1e-3), 3)
    handle.update(copy, 1, 1)


def elsewhere(base, handle, copy):
    subprocess.run(["true"], check=True)
    worker = multiprocessing.get_context("spawn").Process(target=print)
    worker.start()
    worker.join()


def ordinary(base, handle, copy):
    """Counted steps alone; what was reported is gone back to, also in the base's place, and another object is returned."""
    handle.demonstrations(2, np.random.default_rng(0))
    optimizer = handle.optimizer(copy, 1e-3)
    push(copy, optimizer, 2)
    handle.update(copy, 1, 2)
    kept = {name: tensor.clone() for name, tensor in copy.state_dict().items()}
    push(copy, optimizer, 2)
    copy.load_state_dict(kept)
    push(copy, optimizer)
    copy.load_state_dict(base.state_dict())
    push(copy, optimizer)
    handle.update(copy, 2, 2)
    return policies.clone(copy)


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        (without_optimizer, {"weight_changes": 1}),
        (hidden_behind_a_counted_step, {"weight_changes": 3}),
        (between_counted_steps, {"weight_changes": 4}),
        (on_their_data, {"weight_changes": 1}),
        (own_data, {"data": 1}),
        (elsewhere, {"processes": 2}),
        (ordinary, {}),
        (own_engine, {}),
    ],
)
def test_what_cannot_be_counted_is_said(what, seen):
    assert tried(what).counts.uncounted == seen
    assert len(uncounted(seen)) == len(seen)
    assert set(seen) <= set(UNCOUNTED)


def test_the_record_says_what_went_uncounted(tmp_path):
    made, config = spec(hidden_behind_a_counted_step)
    record = run(replace(made, method_name="own"), tmp_path, config).record.plain()
    assert record["budget"]["uncounted"] == {"weight_changes": 3}
    assert record["budget"]["gradient_steps"] == 3
