"""The parity study's readers of image files, and its own digits."""

import gzip

import numpy as np
import pytest
from idx_files import folder, idx

from razorbench.errors import FileDamaged, UsageError
from razorbench.studies.parity.images import digits, mnist_pair, read_idx


def test_an_idx_file_is_read_plain_and_gzipped(tmp_path):
    content = idx((2, 1, 3), [0, 1, 2, 3, 4, 255])
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(content))
    for name in ("plain", "packed.gz"):
        assert read_idx(tmp_path / name, 3).tolist() == [[[0, 1, 2]], [[3, 4, 255]]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("magic", idx((2,), [1, 2], magic=bytes((0, 0, 13, 1))), "starts with 00 00 0d 01: an idx file of 1-dimensional bytes starts with 00 00 08 01"),
        ("dimensions", idx((1, 2), [1, 2]), "starts with 00 00 08 02"),
        ("empty", b"", "starts with nothing"),
        ("header", idx((2,), [])[:6], "ends inside its header, after 6 of 8 bytes"),
        ("truncated", idx((3,), [1, 2]), "has 2 bytes of data where its header says 3"),
        ("longer", idx((1,), [1, 2]), "has 2 bytes of data where its header says 1"),
        ("cut.gz", gzip.compress(idx((64,), range(64)), mtime=0)[:-12], "is not a whole gzip file"),
        ("plain.gz", idx((1,), [1]), "is not a whole gzip file"),
        ("garbled.gz", gzip.compress(bytes(64), mtime=0)[:12] + bytes(20), "is not a whole gzip file"),
    ],
)
def test_a_damaged_idx_file_is_named_in_a_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileDamaged, match=message):
        read_idx(tmp_path / name, 1)


def test_mnist_and_fashion_are_read_from_a_folder(tmp_path):
    new, old = mnist_pair(folder(tmp_path), 4, np.random.default_rng(0))
    assert new.train.pixels.shape == (12, 9)
    assert len(new.test.labels) == len(old.test.labels) == 4
    np.testing.assert_array_equal(new.train.pixels, old.train.pixels)
    assert new.train.pixels[0] == pytest.approx([k / 255 for k in range(9)], abs=1e-6)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    with pytest.raises(FileDamaged, match="has 12 images and train-labels-idx1-ubyte 11 labels"):
        mnist_pair(folder(tmp_path, labels=11), 4, np.random.default_rng(0))


def test_files_of_other_sizes_or_labels_and_missing_ones_are_refused(tmp_path):
    folder(tmp_path)
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="13 images are needed to measure on and there are 12"):
        mnist_pair(tmp_path, 13, rng)
    images = tmp_path / "mnist" / "t10k-images-idx3-ubyte"
    images.write_bytes(idx((12, 2, 2), range(48)))
    with pytest.raises(FileDamaged, match="holds images of 4 and 9 pixels"):
        mnist_pair(tmp_path, 4, rng)
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").write_bytes(idx((12,), range(12)))
    with pytest.raises(FileDamaged, match="holds label 11"):
        mnist_pair(tmp_path, 4, rng)
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(UsageError, match="is missing, with and without"):
        mnist_pair(tmp_path, 4, rng)


def test_the_old_task_on_digits_is_the_same_images_permuted_and_renamed():
    new, old = digits(500, np.random.default_rng(0))
    assert new.train.pixels.shape == (1297, 64)
    assert new.test.pixels.shape == (500, 64)
    np.testing.assert_array_equal(np.sort(new.train.pixels, axis=1), np.sort(old.train.pixels, axis=1))
    assert (new.train.pixels != old.train.pixels).any()
    renamed = {(int(a), int(b)) for a, b in zip(new.train.labels, old.train.labels, strict=True)}
    assert len(renamed) == 10
    assert {b for _, b in renamed} == set(range(10))
    with pytest.raises(UsageError, match="1797 images are needed to measure on and there are 1797 digits"):
        digits(1797, np.random.default_rng(0))
