"""Catalog of the conf folders, read as plain YAML: it builds nothing and imports nothing heavy."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from razorbench.errors import UsageError, among, nearest
from razorbench.types import Settings

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TITLES = {
    "task": "new tasks",
    "suite": "suites of new tasks",
    "sequence": "sequences of new tasks",
    "skill": "original skills",
    "method": "methods",
    "base": "base policies",
    "budget": "budgets",
    "experiment": "reference studies, for -m +experiment=NAME",
    "study": "studies",
}


@dataclass(frozen=True)
class Entry:
    """A yaml file. keys: its settings, with those of its defaults in the same group."""

    text: str
    keys: Settings

    @property
    def line(self) -> str:
        """First line of the description."""
        return self.description.partition("\n")[0]

    @cached_property
    def description(self) -> str:
        """The leading comment, or the docstring of the target's module."""
        lines = self.text.splitlines()
        leading = next((position for position, line in enumerate(lines) if not line.startswith("#")), len(lines))
        comment = "\n".join(line.lstrip("# ") for line in lines[:leading])
        return comment or _docstring(str(self.keys.get("_target_", "")))


class Catalog:
    """The shipped conf folder, and a user's own folder if given."""

    def __init__(self, own: str | None = None) -> None:
        self._folders: list[Traversable] = [files("razorbench.conf"), *([own_folder(own)] if own is not None else [])]

    def names(self, group: str) -> list[str]:
        """Return the names of a group."""
        return sorted({name for folder in self._folders for name in _files(folder, group)})

    def entry(self, group: str, name: str, heirs: tuple[str, ...] = ()) -> Entry:
        """Read an entry of a group. heirs: entries that name it in their defaults.

        Raises UsageError if there is no entry, if two have that name, or if it cannot be read.
        """
        matches = [files[name] for folder in self._folders if name in (files := _files(folder, group))]
        if not matches:
            raise UsageError(f"{group}={name}: no such {group}{among(name, self.names(group))}")
        if len(matches) > 1:
            raise UsageError(f"{matches[1]} has the name of a shipped {group}: give the file another name")
        text, keys = _read(matches[0])
        defaults, keys = keys.get("defaults"), {key: value for key, value in keys.items() if key != "defaults"}
        for default in defaults if isinstance(defaults, list) else ():
            parent = str(default).removeprefix(f"/{group}/")
            if parent in self.names(group) and parent not in (*heirs, name):
                keys = {**self.entry(group, parent, (*heirs, name)).keys, **keys}
        return Entry(text, keys)

    def lines(self) -> Iterator[str]:
        """Yield every group's title and a line for each entry, or why the entry cannot be used."""
        for group, title in _TITLES.items():
            yield title
            width = max([16, *map(len, self.names(group))])
            for name in self.names(group):
                try:
                    yield f"  {name.ljust(width)} {_about(group, self.entry(group, name))}"
                except UsageError as error:
                    yield f"  {name.ljust(width)} cannot be used: {error}"

    def described(self, name: str) -> Iterator[str]:
        """Yield the descriptions of all entries with this name. Raises UsageError if there are none."""
        groups = [group for group in _TITLES if name in self.names(group)]
        if not groups:
            meant = nearest(name, (known for group in _TITLES for known in self.names(group)))
            raise UsageError(f"{name}: nothing has that name{f' (did you mean {meant}?)' if meant else ''}; see `razorbench list` for what there is")
        for group in groups:
            yield f"{group}={name}\n{self.entry(group, name).description}\n"


def own_folder(config_dir: str) -> Path:
    """Return a user's own conf folder. Raises UsageError if there is no such folder."""
    if not Path(config_dir).is_dir():
        raise UsageError(f"--config-dir {config_dir}: no such folder; give the one that holds task/ or method/")
    return Path(config_dir)


def unsound(error: yaml.MarkedYAMLError, name: str) -> str:
    """Return a sentence about the syntax error of a yaml file."""
    where = "" if error.problem_mark is None else f", in line {error.problem_mark.line + 1}"
    return f"{name} is not sound YAML: {error.problem}{where}; correct that line"


def _about(group: str, entry: Entry) -> str:
    if group == "budget":
        caps = {"env_steps": "env steps", "demo_episodes": "demonstrations", "gradient_steps": "gradient steps"}
        numbers = {words: entry.keys.get(cap) for cap, words in caps.items()}
        return f"{', '.join(f'{n:,} {words}' if isinstance(n, int) else f'{n} {words}' for words, n in numbers.items())}. {entry.line}"
    tasks = entry.keys.get("tasks")
    return ", ".join(map(str, tasks)) if group == "suite" and isinstance(tasks, list) else str(entry.keys.get("about", entry.line))


def _files(folder: Traversable, group: str) -> dict[str, Traversable]:
    place = folder.joinpath(group)
    if not place.is_dir():
        return {}
    return {file.name.removesuffix(".yaml"): file for file in place.iterdir() if file.name.endswith(".yaml") and not file.name.startswith(("_", "."))}


def _read(file: Traversable) -> tuple[str, Settings]:
    try:
        text = file.read_text(encoding="utf-8")
        keys = yaml.load(text, _LOADER)
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}): restore it, or delete it") from error
    except yaml.MarkedYAMLError as error:
        raise UsageError(unsound(error, str(file))) from error
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not sound YAML: {' '.join(str(error).split())}") from error
    if not isinstance(keys, dict):
        raise UsageError(f"{file} holds no settings: write one a line, as in `key: value`")
    return text, keys


def _docstring(target: str) -> str:
    """Return the docstring of a target's module, else of the target itself, without importing the module."""
    module, _, name = target.rpartition(".")
    try:
        spec = importlib.util.find_spec(module)
        tree = ast.parse(Path(str(spec and spec.origin)).read_text(encoding="utf-8"))
    except Exception as error:
        return f"{target} cannot be found from here ({error})"
    own = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name]
    return next((text for node in (tree, *own) if (text := ast.get_docstring(node))), "")
