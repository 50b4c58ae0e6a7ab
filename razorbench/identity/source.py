"""What code says, as a digest that every Python agrees on. Only the standard library is imported, so any Python can compare."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from typing import Any

_LEFT_OUT = frozenset({"ctx", "type_comment", "type_ignores", "annotation", "returns", "type_params", "kind", "simple"})
"""Fields of syntax trees that decide no result, or that not every Python has."""


@functools.cache
def digest(source: str) -> str:
    """Return the SHA-256 of a module's syntax tree without comments, docstrings, imports, annotations and layout.

    Source text would not do: `ast.unparse` writes quotes differently from one Python to the next, and an import that moves changes no result.
    Raises SyntaxError if the source is no Python.
    """
    return hashlib.sha256(json.dumps(_plain(ast.parse(source))).encode()).hexdigest()


def _plain(node: Any) -> Any:
    if isinstance(node, ast.Constant):
        return ["Constant", repr(node.value)]
    if isinstance(node, ast.AST):
        fields = {name: _plain(value) for name, value in ast.iter_fields(node) if name not in _LEFT_OUT}
        return [type(node).__name__, {name: value for name, value in sorted(fields.items()) if value not in (None, [])}]
    if isinstance(node, list):
        return [_plain(each) for each in node if not isinstance(each, ast.Import | ast.ImportFrom) and not _is_docstring(each)]
    return node if node is None or isinstance(node, str) else repr(node)


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
