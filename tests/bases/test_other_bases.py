"""Every method adapts every kind of base policy; whole runs on tiny budgets."""

from pathlib import Path

import numpy as np
import pytest
from conftest import METHODS, TINY, TINY_METHOD, compose

from razorbench import baselines
from razorbench.runs.run import run

pytestmark = pytest.mark.usefixtures("few_states")

BASES = sorted({card.stem.rpartition("-s")[0] for card in Path(baselines.__file__).parent.glob("policies/*.json")} - {"mlp"})
ONE_PER_KIND = ("frozen", "ppo", "sft", "lora")
"""Those that run by default on sizes other than the default one, where nothing differs but shapes."""


def cases():
    for base in BASES:
        for method in METHODS:
            slow = base != "tokens" and method not in ONE_PER_KIND
            yield pytest.param(base, method, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize(("base", "method"), cases())
def test_method_adapts_base(base, method, tmp_path):
    spec, composed = compose("task=pick_can", f"method={method}", f"base={base}", *TINY, *TINY_METHOD[method])
    record = run(spec, tmp_path, composed).record.plain()
    assert record["base"] == f"{base}-s0"
    forward = record["divergence"]["kl_forward"]
    assert np.isfinite(forward["new"])
    assert (forward["new"] == 0.0) == (method == "frozen")
    assert record["retention"]["value"] == 1.0 or method != "frozen"
    assert ("new_mean_part" in forward) == (base != "tokens")
