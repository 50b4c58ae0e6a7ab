"""Two thousand changes of a valid package: each is found out or harmless, and none crashes, hangs or writes anything."""

import json
import lzma
import random
import shutil
import time
from pathlib import Path

import pytest
from packages import CURVE, EPISODES, POLICY, RECORD
from test_submission import known, results, seal, whole  # noqa: F401

from razorbench.store.folder import turned
from razorbench.store.packing import xz
from razorbench.submissions.package import Package
from razorbench.submissions.validate import validate

pytestmark = pytest.mark.slow
EACH = 250
FILES = ("submission.json", "SHA256SUMS", RECORD, CURVE, EPISODES, POLICY)
JUNK = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, 1e-308, float("nan"), float("inf")),
    *("", "x", "\u0000", "../../etc/passwd", "x" * 10_000, "os.system", "ü", [], [[]], [0] * 1000, {}, {"": 0}, {"a": {"b": {}}}),
)


def places(node, path=()):
    """Every place in plain data."""
    yield path
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(value, (*path, key))


def changed(node, generator):
    """Plain data with one place replaced, removed, doubled or moved a little."""
    *parents, last = generator.choice([path for path in places(node) if path])
    inside = node
    for key in parents:
        inside = inside[key]
    old, what = inside[last], generator.randrange(5)
    if what == 0:
        del inside[last]
    elif what == 1 and isinstance(old, int | float) and not isinstance(old, bool):
        inside[last] = old + generator.choice([1, -1, 1e-6, 0.01])
    elif what == 2 and isinstance(inside, dict):
        inside[f"{last}{generator.choice(['', 'x', '.'])}"] = generator.choice(JUNK)
    elif what == 3 and isinstance(inside, list):
        inside.insert(last, old)
    else:
        inside[last] = generator.choice(JUNK)
    return node


def lines_changed(content, generator):
    lines = content.splitlines()
    k, what = generator.randrange(len(lines)), generator.randrange(5)
    if what == 0:
        del lines[k]
    elif what == 1:
        lines.insert(generator.randrange(len(lines)), lines[k])
    elif what == 2:
        other = generator.randrange(len(lines))
        lines[k], lines[other] = lines[other], lines[k]
    else:
        words = lines[k].split(",")
        words[generator.randrange(len(words))] = generator.choice(["0", "1", "-1", "7", "base", "final", "\x00", '"', "é", "9" * 50, "", "nan", "1,2"])
        lines[k] = ",".join(words)
    return "\n".join(lines) + "\n"


def bytes_changed(data, generator):
    k, what = generator.randrange(max(len(data), 1)), generator.randrange(4)
    if what == 0:
        return data[:k]
    if what == 1:
        return data[:k] + generator.randbytes(generator.randrange(1, 9)) + data[k:]
    return data[:k] + generator.randbytes(1 + (what == 3) * 7) + data[k + 1 + (what == 3) * 7 :]


def mutate(package, generator):
    """Change one thing; say what."""
    file, what = generator.choice(FILES), generator.randrange(10)
    path = package / file
    if what == 0:
        path.unlink()
        kind = generator.randrange(4)
        if kind == 1:
            path.symlink_to("/etc/passwd")
        elif kind == 2:
            path.mkdir()
        return f"{file} became {('nothing', 'a link', 'a folder', 'nothing')[kind]}"
    if what == 1:
        name = generator.choice(["more", "runs/more", "runs/stack/seed0/more.pkl", "runs/stack/seed1/record.json", ".hidden", "a" * 150, "ä"])
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_bytes(generator.randbytes(10))
        return f"{name} was added"
    if what < 8 and path.suffix == ".json":
        path.write_text(json.dumps(changed(json.loads(path.read_text()), generator)))
        return f"{file}: its content"
    if what < 8 and path.name == "curve.jsonl.xz":
        points = changed([json.loads(line) for line in lzma.decompress(path.read_bytes()).splitlines()], generator)
        path.write_bytes(xz("".join(json.dumps(each) + "\n" for each in points).encode()))
        return f"{file}: its content"
    if what < 8 and path.suffix == ".xz":
        columns = lzma.decompress(path.read_bytes()).decode()
        try:
            columns = turned(lines_changed(turned(columns), generator))
        except ValueError:  # rows of other lengths have no columns
            columns = lines_changed(columns, generator)
        path.write_bytes(xz(columns.encode()))
        return f"{file}: its lines"
    path.write_bytes(bytes_changed(path.read_bytes(), generator))
    return f"{file}: its bytes"


def claimed(submission, runs):
    """All that a board would show of a package."""
    measured = {"new_task", "original", "forgetting", "retention", "score"}
    about = submission.model_dump(include={"track", "scores", "suite", "method"})
    return json.dumps([about, [run.record.model_dump(include=measured) for run in runs]], sort_keys=True)


@pytest.mark.parametrize("seed", range(8))
def test_no_mutation_gets_through(seed, whole, known, tmp_path):  # noqa: F811
    submission, runs, faults = validate(Package(whole), known)
    assert not faults
    before, generator, rejected = claimed(submission, runs), random.Random(seed), 0
    (home := tmp_path / "home").mkdir()
    (home / "witness").write_text("as it was")
    for turn in range(EACH):
        package = Path(shutil.copytree(whole, home / "package"))
        said = mutate(package, generator)
        if generator.random() < 0.8:
            try:
                seal(package)
            except OSError:
                pass
        began = time.perf_counter()
        submission, runs, faults = validate(Package(package), known)
        assert time.perf_counter() - began < 30, (turn, said)
        rejected += bool(faults)
        assert faults or claimed(submission, runs) == before, (turn, said)
        assert all(len(str(fault)) < 1000 and str(fault).isprintable() for fault in faults), (turn, said, list(map(str, faults)))
        assert sorted(path.name for path in home.iterdir()) == ["package", "witness"]
        assert (home / "witness").read_text() == "as it was"
        shutil.rmtree(package)
    assert rejected > EACH / 2
