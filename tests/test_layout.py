"""The rooms of the package, and who may import what."""

import ast
from functools import cache

import pytest
from conftest import ROOT

# From the top. A room imports only rooms below it. Tasks stand beside `world`, methods beside `method`: the package knows neither.
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


@pytest.mark.parametrize("folder", ["envs", "baselines"])
def test_tasks_and_methods_import_the_core_and_their_own_kind_only(folder):
    other = {"envs": "razorbench.baselines", "baselines": "razorbench.envs"}[folder]
    for path in (ROOT / folder).glob("*.py"):
        assert not {name for name in imported(path) if name.startswith((other, "hydra", "omegaconf"))}


def test_nothing_is_ever_unpickled():
    for folder in ("razorbench", "envs", "baselines", "docs/make"):
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
