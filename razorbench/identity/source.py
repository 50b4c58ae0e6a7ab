"""Digest of Python code that is the same under every Python version. It imports only the standard library."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from typing import Any

_LEFT_OUT = frozenset({"ctx", "type_comment", "type_ignores", "annotation", "returns", "type_params", "kind", "simple"})
"""Fields of syntax trees that do not affect results, or that some Python versions lack."""


@functools.cache
def digest(source: str) -> str:
    """Return the SHA-256 of a module's syntax tree without comments, docstrings, imports, annotations and layout.

    Source text is unsuitable: `ast.unparse` writes quotes differently between Python versions, and moving an import does not change results.
    Raises SyntaxError if the source is not Python.
    """
    return hashlib.sha256(json.dumps(_plain(ast.parse(source))).encode()).hexdigest()


def _plain(node: Any) -> Any:
    if isinstance(node, ast.Constant):
        return ["Constant", repr(node.value)]
    if isinstance(node, ast.AST):
        fields = {name: _plain(value) for name, value in ast.iter_fields(node) if name not in _LEFT_OUT}
        return [type(node).__name__, {name: value for name, value in sorted(fields.items()) if value not in (None, [])}]
    if isinstance(node, list):
        return [_plain(item) for item in node if not isinstance(item, ast.Import | ast.ImportFrom) and not _is_docstring(item)]
    return node if node is None or isinstance(node, str) else repr(node)


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
