"""The walk-through of docs/leaderboard.md, block by block, on one task and one seed instead of eighteen runs."""

import re
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow
PAGE = ROOT / "docs" / "leaderboard.md"


def test_from_a_method_file_to_a_board(tmp_path):
    found = re.findall(r"```(\w*)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert [language for language, _ in found] == ["python", "yaml", "bash"]
    blocks = dict(found)
    (method := tmp_path / "my_conf" / "method").mkdir(parents=True)
    (tmp_path / "familiar.py").write_text(blocks["python"])
    (method / "familiar.yaml").write_text(blocks["yaml"])
    (suite := tmp_path / "my_conf" / "suite").mkdir()
    (suite / "one.yaml").write_text("tasks: [stack]\nseeds: [0]\n")
    smaller = {"task=core": "task=stack budget=quick", "seed=0,1,2": "seed=0", "pack results": "pack results --suite one --budget quick"}
    said = []
    commands = blocks["bash"].strip().splitlines()
    commands.insert(4, commands[3].replace("replay package", "replay package --retrain again"))
    for command in commands:
        for whole, part in smaller.items():
            command = command.replace(whole, part)
        assert command.startswith("python -m razorbench ")
        done = subprocess.run([sys.executable, *shlex.split(command)[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout)
    assert "package is valid: familiar, 1 runs" in said[2]
    assert "1 of 1 policies do what it says, 1 of them to the row" in said[3]
    assert "trained again                 1 runs agree, 1 of them to the bit" in said[4]
    assert "level `retrained`: levels/familiar.json" in said[4]
    assert (tmp_path / "site" / "index.html").exists()
