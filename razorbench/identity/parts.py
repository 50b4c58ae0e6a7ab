"""Plain data that identifies an object in a run's hash.

Shipped objects are identified by their declared version, which `lock.json` guards. A user's objects carry a digest of their code and of the user's
modules that they import. Import paths, source text and builds of this package do not enter.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from razorbench.errors import UsageError
from razorbench.identity import source
from razorbench.identity.catalog import Catalog
from razorbench.types import Settings

PACKAGE = __name__.partition(".")[0]
_INSTALLED = tuple({Path(path).resolve() for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")})


@functools.cache
def shipped(group: str) -> Mapping[str, str]:
    """Return the targets of a shipped group: tasks and original skills by id, other groups by name."""
    targets, catalog = {}, Catalog()
    for folder in ("task", "skill") if group == "task" else (group,):
        for name in catalog.names(folder):
            keys: Settings = {}
            with suppress(UsageError):
                keys = catalog.entry(folder, name).keys
            targets[str(keys.get("id")) if group == "task" else name] = str(keys.get("_target_"))
    return targets


def made_of(item: Any) -> Any:
    """Return plain data that differs if two items of one kind differ in anything that affects results.

    Numbers, strings and containers are themselves, arrays a digest of their bytes. A function is its code, defaults, closure and `functools.partial`
    arguments; any other object is its class and attributes.
    """
    return _made_of(item, ())


def own(item: Any) -> bool:
    """Return whether a function or class belongs to a user rather than to this package."""
    return str(getattr(item, "__module__", None)).partition(".")[0] != PACKAGE


def _made_of(item: Any, above: tuple[int, ...]) -> Any:
    if item is None or isinstance(item, bool | int | str):
        return item
    if isinstance(item, float):
        return item if np.isfinite(item) else repr(item)
    if id(item) in above:
        return "itself"
    inner = functools.partial(_made_of, above=(*above, id(item)))
    if isinstance(item, Enum):
        return [_name(type(item)), item.name]
    if isinstance(item, Mapping):
        return {str(key): inner(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [inner(value) for value in item]
    if isinstance(item, set | frozenset):
        return sorted((inner(value) for value in item), key=repr)
    if hasattr(item, "__array__"):
        array = np.ascontiguousarray(item.detach() if hasattr(item, "detach") else item)
        return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    if isinstance(item, functools.partial):
        return {"partial": inner(item.func), "given": inner([item.args, item.keywords])}
    if isinstance(item, MethodType):
        return {"method": inner(item.__func__), "of": inner(item.__self__)}
    if isinstance(item, FunctionType):
        over = [cell.cell_contents for cell in item.__closure__ or () if cell.cell_contents is not None]
        return {"code": code(item), "defaults": inner([item.__defaults__, item.__kwdefaults__]), "closes_over": inner(over)}
    if isinstance(item, type | ModuleType):
        return code(item)
    if not hasattr(item, "__dict__") and not is_dataclass(item):
        return _name(item if hasattr(item, "__qualname__") else type(item))
    if is_dataclass(item) and not own(type(item)):
        # Only non-default fields, so that a shipped class may be moved, renamed, or get a new field with a default; and none that equality passes over.
        return {field.name: inner(value) for field in fields(item) if field.compare and (value := getattr(item, field.name)) != field.default}
    attributes = {field.name: getattr(item, field.name) for field in fields(item)} if is_dataclass(item) else vars(item)
    return {"of": code(type(item)), **{name: inner(value) for name, value in attributes.items()}}


def code(item: Any) -> str:
    """Return an identifier for the code of a function, class or module: its name, with a digest if it is a user's."""
    module = sys.modules.get(str(item.__module__)) if hasattr(item, "__module__") else item
    if not own(item) or (module is not None and not _is_users(module)):
        return _name(item)
    if module is None or _text(module) is None:
        return f"{_name(item)} {_compiled(item)}"
    digests = sorted(source.digest(text) for imported in _closure(module) if (text := _text(imported)) is not None)
    return f"{_name(item)} {hashlib.sha256(' '.join(digests).encode()).hexdigest()}"


def _name(item: Any) -> str:
    """Return an item's module and qualified name, without the module's packages, which may change."""
    module = str(getattr(item, "__module__", None) or "").rpartition(".")[2]
    return ".".join(filter(None, (module, str(getattr(item, "__qualname__", getattr(item, "__name__", "")))))).replace("<locals>.", "")


def _is_users(module: ModuleType) -> bool:
    """Return whether a module is a user's own file: neither of this package nor installed."""
    file = getattr(module, "__file__", None)
    if module.__name__.partition(".")[0] == PACKAGE or module.__name__ in sys.builtin_module_names or (file is None and module.__name__ != "__main__"):
        return False
    return file is None or not any(Path(file).resolve().is_relative_to(place) for place in _INSTALLED)


def _closure(module: ModuleType) -> list[ModuleType]:
    """Return a user's module and all modules of the user that it imports, directly or not."""
    modules, waiting = {module.__name__: module}, [module]
    while waiting:
        for name in _imports(waiting[-1], _text(waiting.pop()) or ""):
            imported = sys.modules.get(name)
            if imported is not None and name not in modules and _is_users(imported):
                modules[name] = imported
                waiting.append(imported)
    return list(modules.values())


def _imports(module: ModuleType, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = getattr(module, "__package__", None) or ""
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def _text(module: ModuleType) -> str | None:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        return None


def _compiled(item: Any) -> str:
    """Return a digest of the byte code of a function or class without source, as from a prompt; it differs between Python versions."""
    codes = [function.__code__ for function in (item, *vars(item).values()) if isinstance(function, FunctionType)]
    return hashlib.sha256(repr([_instructions(compiled) for compiled in codes]).encode()).hexdigest()


def _instructions(compiled: CodeType) -> Any:
    constants = [_instructions(constant) if isinstance(constant, CodeType) else repr(constant) for constant in compiled.co_consts]
    return [compiled.co_code.hex(), compiled.co_names, constants]
