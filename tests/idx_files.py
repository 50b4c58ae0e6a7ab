"""Images and labels as idx files, the format of MNIST."""

import gzip
import struct


def idx(shape, content, magic=None):
    return (magic or bytes((0, 0, 8, len(shape)))) + struct.pack(f">{len(shape)}I", *shape) + bytes(content)


def folder(path, images=12, labels=12, side=3):
    """A folder of both pairs, Fashion-MNIST's files gzipped."""
    for name in ("mnist", "fashion"):
        (path / name).mkdir()
        for split in ("train", "t10k"):
            files = {
                f"{split}-images-idx3-ubyte": idx((images, side, side), [k % 256 for k in range(images * side * side)]),
                f"{split}-labels-idx1-ubyte": idx((labels,), [k % 10 for k in range(labels)]),
            }
            for file, content in files.items():
                target = path / name / file
                if name == "mnist":
                    target.write_bytes(content)
                else:
                    target.with_name(f"{file}.gz").write_bytes(gzip.compress(content))
    return path
