"""Reading what a stranger sent: whatever it is, it ends in faults or in exactly what is allowed, and never in anything else."""

import json
import lzma
import os
import socket
import zlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from razorbench.store.packing import xz
from razorbench.submissions import hostile
from razorbench.submissions.hostile import Faults, listing, parsed, read, tensors, unpacked

LIKE = {"a": torch.arange(6.0).reshape(2, 3), "log_std": torch.zeros(4), "scalar": torch.tensor(1.5)}


def test_files_are_listed_and_all_else_is_a_fault(tmp_path):
    root = tmp_path / "package"
    (root / "runs" / "stack").mkdir(parents=True)
    (root / "runs" / "stack" / "record.json").write_text("{}")
    (root / "submission.json").write_text("1")
    faults = Faults()
    assert listing(root, faults) == {"runs/stack/record.json": 2, "submission.json": 1}
    assert not faults
    (root / "away").symlink_to("/etc")
    (root / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
    (root / ".hidden").write_text("")
    (root / "new\nline").write_text("")
    deep = root.joinpath(*"abcdefgh")
    deep.mkdir(parents=True)
    (deep / "file").write_text("")
    assert set(listing(root, faults)) == {"runs/stack/record.json", "submission.json"}
    assert {(fault.file, fault.found) for fault in faults} == {
        ("away", "a link"),
        ("passwd", "a link"),
        ("pipe", "no regular file"),
        ("socket", "no regular file"),
        (".hidden", ".hidden"),
        ("'new\\nline'", "'new\\nline'"),
        ("a/b/c/d/e/f", f"more than {hostile.MOST_DEPTH} folders"),
    }


def test_there_is_an_end_to_files(tmp_path, monkeypatch):
    monkeypatch.setattr(hostile, "MOST_FILES", 3)
    for k in range(5):
        (tmp_path / f"f{k}").write_text("")
    faults = Faults()
    assert len(listing(tmp_path, faults)) == 3
    assert str(faults[0]) == "the package: number of files is more than 3, expected at most 3"


def test_only_small_regular_files_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    faults = Faults()
    assert read(tmp_path, "file", 5, faults) == b"12345"
    assert not faults
    for name in ("file", "link", "folder", "pipe", "none"):
        assert read(tmp_path, name, 4, faults) is None
    assert [fault.field for fault in faults] == ["size", "kind", "kind", "kind", "presence"]


def test_a_bomb_is_not_unpacked():
    bomb = xz(bytes(50_000_000))
    faults = Faults()
    assert unpacked("x", bomb, 1000, faults) is None
    assert faults[0].field == "unpacked size"
    assert unpacked("x", xz(b"fine"), 4, Faults()) == b"fine"
    for data in (b"", b"no", xz(b"one") + xz(b"two"), xz(b"one") + b"x", xz(b"one")[:-3], zlib.compress(b"x"), lzma.compress(b"x", preset=9)):
        faults = Faults()
        assert unpacked("x", data, 100, faults) is None
        assert faults[0].field == "compression"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "[1e999]",
        "[1e308]",
        "[-1e31]",
        '["\\u001b[31m"]',
        '["\\u202e"]',
        '["\\ud800"]',
        '"' * 300_000,
        '"\\' * 300_000,
        '["' + '\\"' * 300_000,
        '{"a": 1, "a": 2}',
        "[" * 100_000,
        "9" * 5000,
        '["]]]]", ' * 5000,
        '{"a":' * 200,
        "\ud800",
        "nul",
    ],
)
def test_what_is_no_decent_json_is_a_fault(content):
    faults = Faults()
    assert parsed("x", content, faults) is None
    assert len(faults) == 1
    assert len(str(faults[0])) < 400


words = st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs")))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(-1e30, 1e30) | words,
    lambda node: st.lists(node) | st.dictionaries(words, node),
    max_leaves=20,
)


@given(plain)
def test_decent_json_is_read_as_it_is(value):
    faults = Faults()
    assert parsed("x", json.dumps(value), faults) == value
    assert not faults


@given(st.text() | st.text('[]{}",:0eEnulltrufas\\-. '))
def test_any_text_is_json_or_a_fault(content):
    faults = Faults()
    value = parsed("x", content, faults)
    if not faults:
        assert json.loads(content) == value


def file_of(header, body=b""):
    words = json.dumps(header).encode() if isinstance(header, dict) else header
    return len(words).to_bytes(8, "little") + words + body


def test_exactly_the_tensors_wanted_are_read():
    faults = Faults()
    found = tensors("x", save(LIKE), LIKE, faults)
    assert not faults
    assert all(torch.equal(found[name], LIKE[name]) for name in LIKE)
    assert tensors("x", save(LIKE, metadata={"about": "this"}), LIKE, faults) is not None
    other = {name: tensor for name, tensor in LIKE.items() if name != "a"}
    wrong = {
        "a is missing, expected there": save(other),
        "more is there, expected no such tensor": save({**LIKE, "more": torch.zeros(1)}),
        "a is ": save({**other, "a": torch.zeros(3, 2)}),
        "log_std is ": save({**LIKE, "log_std": torch.zeros(4, dtype=torch.float64)}),
        "scalar is NaN or infinity among its values, expected finite values": save({**LIKE, "scalar": torch.tensor(float("nan"))}),
        "size is ": save(LIKE) + b"more",
        "header length is 7": file_of(b"{}")[:8].replace(b"\x02", b"\x07") + b"{}",
        "header is [], expected a mapping": file_of(b"[]"),
        "header length is -1": b"123",
        "header length is 18446744073709551615": b"\xff" * 8 + b"{}",
    }
    for sentence, data in wrong.items():
        faults = Faults()
        assert tensors("x", data, LIKE, faults) is None
        assert any(sentence in str(fault) for fault in faults), (sentence, list(map(str, faults)))


def test_overlapping_and_outlying_tensors_are_refused():
    about = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    like = {"a": torch.zeros(4), "b": torch.zeros(4)}
    for second in ([0, 16], [16, 48], [8, 24], [16, 32.0], [-16, 0], [], None, "x", [True, 16]):
        data = file_of({"a": about, "b": {**about, "data_offsets": second}}, bytes(16))
        faults = Faults()
        assert tensors("x", data, like, faults) is None
        assert faults


@given(st.integers(0, 10_000), st.binary(max_size=12), st.booleans())
def test_no_change_of_a_byte_is_read_as_anything_but_finite_tensors_of_the_right_shapes(place, change, cut):
    whole = save(LIKE)
    place %= len(whole)
    data = whole[:place] + change + (b"" if cut else whole[place + len(change) :])
    faults = Faults()
    found = tensors("x", data, LIKE, faults)
    assert (found is None) == bool(faults)
    if found is not None:
        assert {name: tensor.shape for name, tensor in found.items()} == {name: tensor.shape for name, tensor in LIKE.items()}
        assert all(torch.isfinite(tensor).all() for tensor in found.values())
