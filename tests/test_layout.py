"""Who may import what."""

import ast
from pathlib import Path

import pytest

import razorbench

ROOT = Path(razorbench.__file__).parents[1]
FILES = sorted((ROOT / "razorbench").rglob("*.py"))
IMPORTS = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def imported(path):
    for node in ast.walk(IMPORTS[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_core_knows_no_task_and_no_method_and_only_three_files_know_hydra(path):
    names = set(imported(path))
    assert not {name for name in names if name.startswith(("razorbench.envs", "razorbench.baselines"))}
    if path.name not in ("cli.py", "config.py", "launching.py"):
        assert not {name for name in names if name.split(".")[0] in ("hydra", "omegaconf")}


@pytest.mark.parametrize("folder", ["envs", "baselines"])
def test_tasks_and_methods_import_the_core_and_their_own_kind_only(folder):
    other = {"envs": "razorbench.baselines", "baselines": "razorbench.envs"}[folder]
    for path in (ROOT / folder).glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert other not in text
        assert "hydra" not in text


def test_nothing_is_ever_unpickled():
    for folder in ("razorbench", "envs", "baselines"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "import pickle" not in text
            assert "torch.load(" not in text
            assert "allow_pickle=True" not in text


@pytest.mark.parametrize("name", ["envs", "baselines"])
def test_packages_have_one_name(name, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(ImportError, match=f"import razorbench.{name}"):
        __import__(name)
