"""Fuzzing of everything that reads a submission, guided by coverage: `pip install atheris`, then `python tests/fuzz_submission.py [-max_total_time=600]`.

The first byte of an input chooses what reads the rest. A crash is any exception, a result that breaks its promise, more than two seconds, or more than
two gigabytes; libFuzzer then stops and keeps the input.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["razorbench.submissions"]):
    from razorbench.submissions import check_run, hostile, rows, validate, weights
    from razorbench.submissions import package as submitted
    from razorbench.submissions.schema import FILE, SUMS

import torch
from packages import CURVE, EPISODES, POLICY, RECORD, RUN, packed, small_known, small_runs

from razorbench.store.folder import content
from razorbench.store.packing import xz

LIKE = {"a": torch.zeros(2, 3), "log_std": torch.zeros(4), "scalar": torch.tensor(0.0)}


def parsed(data):
    if (words := hostile.text("x", data, hostile.Faults())) is not None:
        json.dumps(hostile.parsed("x", words, hostile.Faults()), allow_nan=False)


def unpacked(data):
    found = hostile.unpacked("x", data, 5_000, hostile.Faults())
    assert found is None or len(found) <= 5_000


def tensors(data):
    found = hostile.tensors("x", data, LIKE, hostile.Faults())
    assert found is None or all(each.isfinite().all() and each.shape == LIKE[name].shape for name, each in found.items())


class Package:
    """A valid package, of which one file at a time is another."""

    def __init__(self, folder):
        self.known = small_known()
        self.root = folder / "package"
        packed(small_runs(folder / "results"), self.known, self.root)
        self.submission, (self.run,), faults = validate.validate(submitted.Package(self.root), self.known)
        assert not faults
        self.expected = check_run.Expected.of("stack", 0, self.submission, self.known)
        self.updates = [point.update for point in self.run.curve[1:]]

    def whole(self, file):
        return content(self.root / file)

    def with_file(self, file, data, read):
        """Read the package with other content in a file; what was there comes back."""
        path = self.root / file
        before = path.read_bytes()
        path.write_bytes(xz(data) if path.suffix == ".xz" else data)
        faults = hostile.Faults()
        try:
            return read(faults)
        finally:
            path.write_bytes(before)
            json.dumps([str(fault) for fault in faults])

    def submission(self, data):
        self.with_file(FILE, data, lambda faults: validate._submission(submitted.Package(self.root), faults))

    def sums(self, data):
        self.with_file(SUMS, data, lambda faults: validate._sums(submitted.Package(self.root), [FILE, RECORD], [], faults))

    def record(self, data):
        def read(faults):
            if (declared := check_run.read_declared(submitted.Package(self.root), RUN, faults)) is not None:
                check_run.check_head(declared, self.expected, RECORD, faults)
                if not faults:
                    check_run.check_points(declared, self.expected, CURVE, faults)

        self.with_file(RECORD, data, read)

    def curve(self, data):
        def read(faults):
            if (declared := check_run.read_declared(submitted.Package(self.root), RUN, faults)) is not None:
                check_run.check_points(declared, self.expected, CURVE, faults)

        self.with_file(CURVE, data, read)

    def episodes(self, data):
        wanted = rows.expected_rows(self.updates, self.expected.task, self.expected.base, self.known)

        def read(faults):
            if (text := submitted.Package(self.root).text(EPISODES, faults)) is not None:
                rows.parse(EPISODES, text, wanted, faults)

        self.with_file(EPISODES, data, read)

    def policy(self, data):
        self.with_file(POLICY, data, lambda faults: weights.read_policy(submitted.Package(self.root), POLICY, self.expected.base.policy, faults))


def main():
    with tempfile.TemporaryDirectory() as folder:
        package = Package(Path(folder))
        readers = [parsed, unpacked, tensors, package.submission, package.sums, package.record, package.curve, package.episodes, package.policy]
        (corpus := Path(folder) / "corpus").mkdir()
        wholes = {0: RECORD, 3: FILE, 4: SUMS, 5: RECORD, 6: CURVE, 7: EPISODES}
        for k, file in wholes.items():
            (corpus / f"{k}").write_bytes(bytes([k]) + package.whole(file))
        (corpus / "1").write_bytes(b"\x01" + xz(b"one, two"))
        header = b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
        (corpus / "2").write_bytes(b"\x02" + len(header).to_bytes(8, "little") + header + bytes(24))
        (corpus / "8").write_bytes(b"\x08" + package.whole(POLICY)[:4000])

        def one(data):
            if data:
                readers[data[0] % len(readers)](data[1:])

        options = ["-timeout=2", "-rss_limit_mb=2048", "-max_len=60000", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, *sys.argv[1:], str(corpus)], one)
        try:
            atheris.Fuzz()
        finally:
            shutil.rmtree(corpus)


if __name__ == "__main__":
    main()
