"""Files of demonstrations: recorded, learned from, and refused when they are not what they should be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import TINY, TINY_METHOD, compose, task
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from razorbench.errors import FileDamaged, UsageError
from razorbench.method import demonstrations
from razorbench.method.data import Demonstrations
from razorbench.runs.run import run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    found = demonstrations.record(task("pick_place"), "detour", 12, seed=3)
    path = tmp_path_factory.mktemp("demos") / "mine.safetensors"
    demonstrations.save(found, task("pick_place"), "detour", path)
    return found, path


def rewritten(path, to, tensors=None, **about):
    held = {**load_file(path), **(tensors or {})}
    the = task("pick_place")
    save_file(
        {name: tensor for name, tensor in held.items() if tensor is not None}, to, {"task": the.id, "spec": the.fingerprint(), "style": "detour", **about}
    )
    return to


def test_a_file_gives_back_what_was_recorded(recorded):
    found, path = recorded
    again, sha256 = demonstrations.load(path, task("pick_place"))
    for name in ("observations", "actions", "episode", "start"):
        assert np.array_equal(np.asarray(getattr(again, name)), np.asarray(getattr(found, name)))
    assert len(sha256) == 64
    assert 10 <= len(found.start) <= 12
    twin = demonstrations.record(task("pick_place"), "detour", 12, seed=3)
    assert torch.equal(twin.actions, found.actions)
    assert not torch.equal(demonstrations.record(task("pick_place"), "detour", 12, seed=4).actions[:5], found.actions[:5])


def test_choosing_renumbers_episodes():
    rows = torch.arange(6.0)[:, None]
    whole = Demonstrations(rows, rows, np.array([0, 0, 1, 2, 2, 2]), np.array([70, 80, 90]))
    part = demonstrations.choose(whole, 2, np.random.default_rng(0))
    assert part.episode.tolist() in ([0, 0, 1], [0, 0, 1, 1, 1], [0, 1, 1, 1])
    for number, start in enumerate(part.start):
        assert part.actions[part.episode == number].tolist() == rows[whole.episode == list(whole.start).index(start)].tolist()
    with pytest.raises(UsageError, match=r"demos has 3 episodes, the method needs 4: .* budget\.demo_episodes=3"):
        demonstrations.choose(whole, 4, np.random.default_rng(0))


def test_a_run_learns_from_a_file_and_names_its_content(recorded, tmp_path):
    found, path = recorded
    overrides = ["task=pick_place", "method=sft", *TINY, *TINY_METHOD["sft"]]
    spec, config = compose(*overrides, f"demos={path}")
    done = run(spec, tmp_path, config)
    sha256 = demonstrations.load(path, task("pick_place"))[1]
    assert done.record.method.demos == done.record.config.demos == f"sha256:{sha256}"
    assert str(path.parent) not in (done.path / "record.json").read_text()
    assert spec.folder(tmp_path).hash != compose(*overrides)[0].folder(tmp_path).hash
    handle = spec.handle()
    mine = handle.demonstrations(8, np.random.default_rng(0))
    assert set(mine.start) <= set(found.start)
    assert handle.used.demo_episodes == 8


BAD = {
    "too few columns": ({"observations": torch.zeros(5, 3)}, "observations has shape (5, 3), where (5, "),
    "not a number": ({"actions": "nan"}, "actions holds NaN or infinite values"),
    "out of the box": ({"actions": "large"}, "actions reach 7, and they must lie in [-1, 1]"),
    "missing": ({"start": None}, "it holds actions (float32), episode (int64), observations (float32), where"),
    "double precision": ({"actions": "double"}, "actions (float64)"),
    "another number of decisions": ({"episode": torch.zeros(3, dtype=torch.int64)}, "episode has shape (3,)"),
    "unnumbered episodes": ({"episode": "shifted"}, "episode must number decisions by"),
}


@pytest.mark.parametrize("fault", BAD)
def test_faulty_files_are_refused_by_name(fault, recorded, tmp_path):
    _, path = recorded
    change, sentence = BAD[fault]
    held = load_file(path)
    made = {"nan": held["actions"] * np.nan, "large": held["actions"] * 0 + 7, "double": held["actions"].double(), "shifted": held["episode"] + 1}
    tensors = {name: made[value] if isinstance(value, str) else value for name, value in change.items()}
    bad = rewritten(path, tmp_path / "bad.safetensors", tensors)
    with pytest.raises(FileDamaged) as refused:
        demonstrations.load(bad, task("pick_place"))
    assert str(refused.value).startswith(f"demos={bad}: ")
    assert sentence in str(refused.value)


def test_other_tasks_and_versions_are_refused_by_name(recorded, tmp_path):
    _, path = recorded
    with pytest.raises(UsageError, match="holds demonstrations of pick_place-v1, the run is of stack-v1"):
        demonstrations.load(path, task("stack"))
    with pytest.raises(UsageError, match="holds demonstrations of pick_place-v1, the run is of pick_place-v2"):
        demonstrations.load(path, replace(task("pick_place"), id="pick_place-v2"))
    with pytest.raises(UsageError, match="recorded with other physics, starts or success of pick_place-v1"):
        demonstrations.load(rewritten(path, tmp_path / "old.safetensors", spec="0" * 64), task("pick_place"))


@given(content=st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_any_other_file_is_refused(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "any.safetensors"
    path.write_bytes(content)
    with pytest.raises((FileDamaged, UsageError)):
        demonstrations.load(path, task("pick_place"))
    path.unlink()
    with pytest.raises(FileDamaged, match="there is no such file"):
        demonstrations.load(path, task("pick_place"))
