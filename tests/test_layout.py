"""The rooms of the package, and who may import what."""

import ast
import os
import re
import subprocess
import sys
from functools import cache
from importlib import import_module

import pytest
from conftest import ROOT

# From the top. A room imports only rooms below it. The package imports no task and no method.
ROOMS = (
    *("__main__", "commands", "submissions", "studies", "registry", "bench", "reports", "runs", "statistics", "monitor", "bases", "measures", "method"),
    *("world", "task", "policy", "identity", "store", "meter", "seeding", "errors", "types"),
)
FILES = sorted((ROOT / "razorbench").rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}


@cache
def imported(path):
    """The modules that a file imports, at its top, in its functions, or for its types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {full if (full := f"{node.module}.{alias.name}") in MODULES else node.module for alias in node.names}
    return frozenset(found)


def room(module):
    return module.split(".")[1] if "." in module else module


def arrows():
    """The rooms that each room imports."""
    found = {name: set() for name in ROOMS}
    for module, path in MODULES.items():
        if module != "razorbench":
            found[room(module)] |= {room(each) for each in imported(path) if each.startswith("razorbench.")} - {room(module)}
    return found


def test_every_room_stands_in_the_list():
    assert {room(module) for module in MODULES} - {"razorbench"} == set(ROOMS)


def test_arrows_run_down_only():
    up = [f"{above} imports {below}" for above, those in arrows().items() for below in those if ROOMS.index(above) > ROOMS.index(below)]
    assert up == []


def test_the_house_is_small():
    """Rooms, and floors: the longest way down."""
    floor, below = {}, arrows()
    for name in reversed(ROOMS):
        floor[name] = 1 + max((floor[each] for each in below[name]), default=0)
    print(f"{len(ROOMS)} rooms, {max(floor.values())} floors, {sum(map(len, below.values()))} arrows")
    assert len(ROOMS) <= 24
    assert max(floor.values()) <= 12
    assert len(list((ROOT / "razorbench").glob("*.py"))) <= 8


def test_no_file_imports_itself_through_others():
    """Within a room too."""
    waiting = {module: {each for each in imported(path) if each in MODULES} - {module} for module, path in MODULES.items() if path.name != "__init__.py"}
    while free := [module for module, those in waiting.items() if not those & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert sorted(waiting) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_knows_a_task_or_a_method_and_one_room_knows_hydra(path):
    assert not {name for name in imported(path) if name.startswith(("razorbench.envs", "razorbench.baselines"))}
    if path.parent.name != "registry":
        assert not {name for name in imported(path) if name.split(".")[0] in ("hydra", "omegaconf")}


DOORS = {
    "envs": ("razorbench.task", "razorbench.types", "razorbench.errors", "razorbench.envs"),
    "baselines": ("razorbench.method", "razorbench.task", "razorbench.types", "razorbench.errors", "razorbench.baselines"),
}
"""What files of tasks and of methods may import of this package: the public doors, and files of their own folder."""


def names_taken(text, door):
    """The names that a Python text takes from a module; the module's own name if it takes the module whole."""
    nodes = list(ast.walk(ast.parse(text)))
    taken = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) and node.module == door for alias in node.names}
    return taken | {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names if alias.name == door}


def modules_taken(text):
    """The modules that a Python text takes names from, or takes whole."""
    nodes = list(ast.walk(ast.parse(text)))
    return {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)} | {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }


def authored():
    """The texts of all that authors write, by the folder whose rules they keep: tasks, methods, and the examples in the docs."""
    for folder in DOORS:
        for path in sorted((ROOT / folder).glob("*.py")):
            yield pytest.param(path.read_text(encoding="utf-8"), folder, id=f"{folder}/{path.name}")
    for page in ("CONTRIBUTING.md", "docs/leaderboard.md"):
        for number, block in enumerate((ROOT / page).read_text(encoding="utf-8").split("```python\n")[1:]):
            code = block.split("```")[0]
            yield pytest.param(code, "envs" if "razorbench.envs" in code else "baselines", id=f"{page}-{number}")


@pytest.mark.parametrize(("text", "folder"), authored())
def test_tasks_and_methods_come_in_by_the_public_doors(text, folder):
    ours = {module for module in modules_taken(text) if module.split(".")[0] in ("razorbench", "hydra", "omegaconf")}
    own = f"razorbench.{folder}"
    assert {module for module in ours if module not in DOORS[folder] and not module.startswith(f"{own}.")} == set()
    for door in ("razorbench.method", "razorbench.task"):
        assert names_taken(text, door) <= set(import_module(door).__all__)


@pytest.mark.parametrize("door", ["razorbench.method", "razorbench.task"])
def test_a_public_door_says_so_first_and_opens_before_any_other(door):
    code = f"import {door} as door; print(door.__doc__.splitlines()[0]); [getattr(door, name) for name in door.__all__]"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("The public door for authors of ")


SB3_INSIDE = {"mlp_extractor", "action_net", "value_net", "log_std"}
"""Parts of Stable-Baselines3's policies. `log_std` is also a setting of a run and a number of our Gaussian."""


def test_one_file_and_lora_look_inside_a_policy():
    """The others ask `razorbench/policy/network.py`."""
    found = set()
    for folder in ("razorbench", "baselines", "envs", "docs/make"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in SB3_INSIDE:
                    holder = node.value.id if isinstance(node.value, ast.Name) else ""
                    if node.attr != "log_std" or holder not in ("self", "other", "spec", "config"):
                        found.add(str(path.relative_to(ROOT)))
    assert found == {"razorbench/policy/network.py", "baselines/lora.py"}


def test_nothing_is_ever_unpickled():
    for folder in ("razorbench", "envs", "baselines", "docs/make"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert "import pickle" not in text
            # Which unpickles nothing, if it is told so.
            assert all("weights_only=True" in call for call in re.findall(r"torch\.load\(.*", text)), path
            assert "allow_pickle=True" not in text


@pytest.mark.parametrize("name", ["envs", "baselines"])
def test_packages_have_one_name(name, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(ImportError, match=f"import razorbench.{name}"):
        __import__(name)
