"""The board's own packages, kept without their policies: `validate` and `replay` say what is kept, and what vouches for the rest."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, razorbench

pytestmark = pytest.mark.slow
KEPT = ROOT / "baselines" / "results"


def test_what_is_kept_is_said(capsys):
    code, out, _ = razorbench(capsys, "validate", str(KEPT / "entries" / "sft"))
    assert code == 0
    first, second = out.splitlines()
    assert f"{KEPT / 'entries' / 'sft'} agrees with itself: sft, 18 runs; made under protocol 6, the present one is" in first
    assert first.endswith("; kept without policies: replayed on 2026-11-28 by RazorBench, score on fresh starts 0.543  95% 0.42 to 0.67")
    assert second.startswith("checked now, from its rows: checksums, rates, intervals, forgetting, retention and scores")
    code, out, _ = razorbench(capsys, "replay", str(KEPT / "entries" / "sft"))
    assert code == 0
    assert "nothing to play; made under protocol 6, the present one is" in out


def test_what_nobody_vouches_for_is_not_kept(capsys, tmp_path):
    """Without a level a package without policies is none; with one, what is kept has to be what was vouched for."""
    package = Path(shutil.copytree(KEPT / "entries" / "sft", tmp_path / "entries" / "sft"))
    code, out, _ = razorbench(capsys, "validate", str(package))
    assert code == 1
    assert "runs/pick_place/seed0/policy.safetensors: presence is missing, expected a file" in out
    record = package / "runs" / "pick_can" / "seed1" / "record.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "score": 1.0}))
    code, out, _ = razorbench(capsys, "validate", str(package), "--levels", str(KEPT / "levels"))
    assert code == 1
    assert "runs/pick_can/seed1/record.json: SHA-256 is" in out
