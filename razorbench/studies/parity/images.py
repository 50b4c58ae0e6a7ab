"""Pairs of image tasks: a new task to learn and an old task to retain. Reads only local files and never unpickles.

By default both come from scikit-learn's bundled 8 x 8 digits. The old task has the same images with permuted pixels and labels: it is as hard as the new
task and has the same pixel statistics, but does not share its features, and each of the ten outputs means another digit. The tasks therefore compete for
the same hidden units and outputs, and learning one forgets the other. With a folder of MNIST and Fashion-MNIST, the paper's pair (arXiv 2509.04259,
section 4), the new task is on MNIST and the old task is Fashion-MNIST.
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from razorbench.errors import FileDamaged, UsageError
from razorbench.types import FloatArray, IntArray

CLASSES = 10


@dataclass(frozen=True)
class Images:
    """Flattened images, (N, P) in [0, 1], and their labels, (N,) in 0..9."""

    pixels: FloatArray
    labels: IntArray

    def part(self, chosen: IntArray | slice) -> Self:
        """Return the chosen images, in that order."""
        return type(self)(self.pixels[chosen], self.labels[chosen])

    def drawn(self, count: int, what: str, rng: np.random.Generator) -> Self:
        """Draw count images without replacement. what: their purpose. Raises UsageError if there are fewer."""
        if count > len(self.labels):
            raise UsageError(f"{count} images are needed to {what} and there are {len(self.labels)}: lower the number of images")
        return self.part(rng.permutation(len(self.labels))[:count])


@dataclass(frozen=True)
class ImageTask:
    """A task's training images and held-out images."""

    train: Images
    test: Images


def digits(held_out: int, rng: np.random.Generator) -> tuple[ImageTask, ImageTask]:
    """Return the new and the old task on scikit-learn's 1797 digits. held_out: number of held-out images, the same in both.

    rng draws the split and the permutations of pixels and labels. Raises UsageError if no image is left for training.
    """
    from sklearn.datasets import load_digits  # takes a second, which only this study should pay

    pixels, labels = load_digits(return_X_y=True)
    if held_out >= len(labels):
        raise UsageError(f"{held_out} images are needed to measure on and there are {len(labels)} digits, some for training: lower test_images")
    order = rng.permutation(len(labels))
    new = Images(pixels[order] / 16, labels[order])
    old = Images(new.pixels[:, rng.permutation(pixels.shape[1])], rng.permutation(CLASSES)[new.labels])
    test, train = slice(held_out), slice(held_out, None)
    return ImageTask(new.part(train), new.part(test)), ImageTask(old.part(train), old.part(test))


def mnist_pair(folder: Path, held_out: int, rng: np.random.Generator) -> tuple[ImageTask, ImageTask]:
    """Return MNIST and Fashion-MNIST from folder/mnist and folder/fashion, each with the usual four files, gzipped or not.

    The files are {train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte; rng draws the held-out images from t10k. Raises UsageError if a file is
    missing or has too few images, FileDamaged if a file is malformed, if images and labels differ in number, or if images differ in size.
    """
    pair = []
    for name in ("mnist", "fashion"):
        pair.append(ImageTask(_split(folder / name, "train"), _split(folder / name, "t10k").drawn(held_out, "measure on", rng)))
    sizes = sorted({images.pixels.shape[1] for task in pair for images in (task.train, task.test)})
    if len(sizes) > 1:
        raise FileDamaged(f"{folder} holds images of {' and '.join(map(str, sizes))} pixels: all must be of one size")
    return pair[0], pair[1]


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the unsigned bytes of an idx file, gzipped if its name ends in .gz, as an array. dimensions: their number.

    Format (LeCun, Cortes and Burges, "The MNIST database"): two zero bytes, 8 for unsigned bytes, the number of dimensions, each size as a
    big-endian 32-bit integer, then the bytes in C order. Raises UsageError if the file cannot be read and FileDamaged if it has another format.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FileDamaged(f"{path} is not a whole gzip file ({error}): fetch it again") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    start, magic = 4 + 4 * dimensions, bytes((0, 0, 8, dimensions))
    if content[:4] != magic:
        raise FileDamaged(f"{path} starts with {content[:4].hex(' ') or 'nothing'}: an idx file of {dimensions}-dimensional bytes starts with {magic.hex(' ')}")
    if len(content) < start:
        raise FileDamaged(f"{path} ends inside its header, after {len(content)} of {start} bytes: fetch it again")
    shape = np.frombuffer(content, dtype=">u4", count=dimensions, offset=4).tolist()
    if len(content) != start + math.prod(shape):
        raise FileDamaged(f"{path} has {len(content) - start} bytes of data where its header says {' x '.join(map(str, shape))}: fetch it again")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _split(folder: Path, split: str) -> Images:
    names = [_find(folder, f"{split}-{name}-ubyte") for name in ("images-idx3", "labels-idx1")]
    images, labels = read_idx(names[0], 3), read_idx(names[1], 1)
    if len(images) != len(labels):
        raise FileDamaged(f"{names[0]} has {len(images)} images and {names[1].name} {len(labels)} labels: they do not belong together")
    if labels.size and labels.max() >= CLASSES:
        raise FileDamaged(f"{names[1]} holds label {labels.max()}: labels are 0 to {CLASSES - 1}")
    return Images(images.reshape(len(images), math.prod(images.shape[1:])) / np.float32(255), labels.astype(np.int64))


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UsageError(f"{folder / name} is missing, with and without .gz: images must be a folder of mnist/ and fashion/ with the usual four files each")
