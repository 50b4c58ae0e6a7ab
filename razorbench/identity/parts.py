"""What a thing is made of, as plain data that a run's hash can hold.

What comes with this package is named by its declared version, which `lock.json` guards. What a user wrote carries a digest of its own code,
and of the user's modules that it imports. No import path, source text or package build of ours is part of it.
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
    """Return what of a group comes with the package, and what makes it: tasks, original skills among them, by id, all others by name."""
    found, catalog = {}, Catalog()
    for folder in ("task", "skill") if group == "task" else (group,):
        for name in catalog.names(folder):
            keys: Settings = {}
            with suppress(UsageError):
                keys = catalog.entry(folder, name).keys
            found[str(keys.get("id")) if group == "task" else name] = str(keys.get("_target_"))
    return found


def made_of(item: Any) -> Any:
    """Return plain data that differs wherever two items of one kind differ in what decides a result.

    Numbers, words and containers stand for themselves, arrays for their bytes. A function stands for its code, its defaults, what it closes over
    and what `functools.partial` gave it; any other object for its class and its attributes.
    """
    return _made_of(item, ())


def own(item: Any) -> bool:
    """Whether a function or a class is a user's own, not this package's."""
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
        return [inner(each) for each in item]
    if isinstance(item, set | frozenset):
        return sorted((inner(each) for each in item), key=repr)
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
        # By what is not as usual, so that a class of ours may be moved, renamed, or get a field that nobody has set yet.
        return {each.name: inner(value) for each in fields(item) if (value := getattr(item, each.name)) != each.default}
    held = {each.name: getattr(item, each.name) for each in fields(item)} if is_dataclass(item) else vars(item)
    return {"of": code(type(item)), **{name: inner(value) for name, value in held.items()}}


def code(item: Any) -> str:
    """Return what stands for the code of a function, class or module: its name if it comes with an installed package, else also a digest."""
    module = sys.modules.get(str(item.__module__)) if hasattr(item, "__module__") else item
    if not own(item) or (module is not None and not _is_users(module)):
        return _name(item)
    if module is None or _text(module) is None:
        return f"{_name(item)} {_compiled(item)}"
    digests = sorted(source.digest(text) for each in _closure(module) if (text := _text(each)) is not None)
    return f"{_name(item)} {hashlib.sha256(' '.join(digests).encode()).hexdigest()}"


def _name(item: Any) -> str:
    """Name of a thing in its file, without the folders that the file lies in, which may change."""
    module = str(getattr(item, "__module__", None) or "").rpartition(".")[2]
    return ".".join(filter(None, (module, str(getattr(item, "__qualname__", getattr(item, "__name__", "")))))).replace("<locals>.", "")


def _is_users(module: ModuleType) -> bool:
    """Whether a module is a user's own file: not of this package, nor of what is installed."""
    file = getattr(module, "__file__", None)
    if module.__name__.partition(".")[0] == PACKAGE or module.__name__ in sys.builtin_module_names or (file is None and module.__name__ != "__main__"):
        return False
    return file is None or not any(Path(file).resolve().is_relative_to(place) for place in _INSTALLED)


def _closure(module: ModuleType) -> list[ModuleType]:
    """A user's module and those of the user that it imports, and so on."""
    found, waiting = {module.__name__: module}, [module]
    while waiting:
        for name in _imports(waiting[-1], _text(waiting.pop()) or ""):
            each = sys.modules.get(name)
            if each is not None and name not in found and _is_users(each):
                found[name] = each
                waiting.append(each)
    return list(found.values())


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
    """Digest of a function or class whose source is nowhere, as of one typed into a prompt: by its byte code, which differs between Pythons."""
    codes = [each.__code__ for each in (item, *vars(item).values()) if isinstance(each, FunctionType)]
    return hashlib.sha256(repr([_instructions(each) for each in codes]).encode()).hexdigest()


def _instructions(compiled: CodeType) -> Any:
    constants = [_instructions(each) if isinstance(each, CodeType) else repr(each) for each in compiled.co_consts]
    return [compiled.co_code.hex(), compiled.co_names, constants]
